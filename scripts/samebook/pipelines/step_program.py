"""What a step of a pipeline does: its program, what has done the same already, and whether it can run at all."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from samebook.core import subcommand
from samebook.core.errors import UsageError
from samebook.core.processes import STEP
from samebook.core.workspace import Workspace
from samebook.data import publish
from samebook.environment import settings
from samebook.execution import freshness, parameters, preparation
from samebook.execution.preparation import PreparedRun, RunRequest
from samebook.models import lookup, policy
from samebook.pipelines import definition
from samebook.pipelines.definition import Filled
from samebook.records import run_folder
from samebook.records.comparison import Verdict

SHOWN = 4000
# What make says of a recipe that failed, in whatever language: its own exit code is always 2.
MAKE = re.compile(r"^make(?:\[\d+\])?: \*\*\* \[.*\] \S+ (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A pipeline with its parameters, for one environment.

    `engine` is where notebooks run: "local" in this very environment, "docker" through make. `force` runs what a
    finished run has done already; `jobs` steps run side by side.
    """

    here: Workspace
    name: str
    given: Mapping[str, str]
    env: str = "dev"
    engine: str = "local"
    force: bool = False
    jobs: int = 2


def check(job: Job, step: Filled) -> None:
    """Raise UsageError, or PolicyRefused for a model, where a step could not run."""
    here = job.here
    if step.step.promote:
        lookup.path(here, step.step.promote.model)
    if step.step.verb != "run":
        return
    found = _prepared(job, step, {name: name for name in step.step.needs})
    for name in parameters.models(found.parameters, found.values):
        if name not in step.step.needs and not _means_something(here, name):
            raise UsageError(
                f"no model is promoted as {name!r} here, and no run or file has that name",
                mend=f"make promote RUN=train MODEL={name}",
            )


def _means_something(here: Workspace, name: str) -> bool:
    is_run = (here.runs / name / run_folder.RECEIPT).is_file() or run_folder.finished_runs(here, name)
    return bool(lookup.is_reference(here, name) or is_run or (here.root / name).is_file())


def prepared(job: Job, filled: Sequence[Filled]) -> list[PreparedRun]:
    """The runs that a pipeline will start, as far as they can be told before it runs."""
    runs = [step for step in filled if step.is_wanted and step.step.verb == "run"]
    return [_prepared(job, step, {name: name for name in step.step.needs}) for step in runs]


def _prepared(job: Job, step: Filled, runs: Mapping[str, str]) -> PreparedRun:
    return preparation.prepare(job.here, RunRequest(step.notebook, step.given(runs), job.env))


def described(step: Filled) -> str:
    """What a step would do, in a line."""
    if step.step.promote:
        return f"promote {step.step.promote.run} as {step.step.promote.model}"
    if step.step.reproduce:
        return f"reproduce {step.step.reproduce}"
    return " ".join((f"run {step.notebook}", *(f"{name}={value}" for name, value in step.parameters.items())))


def done_already(job: Job, step: Filled, runs: Mapping[str, str]) -> str:
    """The run that has done the same as this step would, its partitions published; "" where there is none."""
    if job.force:
        return ""
    if step.step.promote:
        return _promoted_already(job, step.step.promote, runs)
    if step.step.reproduce:
        return _reproduced_already(job, definition.resolved(step.step.reproduce, runs))
    in_force = settings.load(job.here, job.env)
    in_image = job.engine == "docker" and in_force.promotion.pinned_image
    if found := freshness.fresh_run(_prepared(job, step, runs), in_image=in_image):
        publish.publish(job.here, in_force, found)
        return found.name
    return ""


def _promoted_already(job: Job, wanted: definition.Promote, runs: Mapping[str, str]) -> str:
    run = definition.resolved(wanted.run, runs)
    path = lookup.path(job.here, wanted.model)
    return run if path.is_file() and lookup.read(job.here, wanted.model).receipt.run == run else ""


def _reproduced_already(job: Job, run: str) -> str:
    told = policy.attestations(job.here.runs / run / run_folder.RECEIPT)
    return run if any(each["predicate"]["verdict"] == Verdict.IDENTICAL for _, each in told) else ""


def command(job: Job, step: Filled, runs: Mapping[str, str]) -> list[str]:
    """The program that does a step."""
    ours = [sys.executable, "-m", "samebook"]
    if step.step.promote:
        run = definition.resolved(step.step.promote.run, runs)
        return [*ours, "promote", run, step.step.promote.model, "--env", job.env, "--why", _why(job)]
    if step.step.reproduce:
        return [*ours, "reproduce", definition.resolved(step.step.reproduce, runs), "--engine", job.engine]
    given = step.given(runs)
    if job.engine == "docker":
        told = f"PARAMS={json.dumps(given, ensure_ascii=False)}"
        return ["make", "--silent", "run", f"NOTEBOOK={step.notebook}", told, f"ENV={job.env}", "JSON=1"]
    pairs = [part for name, value in given.items() for part in ("-p", f"{name}={value}")]
    return [*ours, "run", step.notebook, *pairs, "--env", job.env, "--json"]


def _why(job: Job) -> str:
    given = " ".join(f"{name}={value}" for name, value in job.given.items())
    return f"Pipeline {job.name} {given}".rstrip()


def variables(job: Job, step: Filled) -> dict[str, str]:
    """The caller's variables; the step is told, for the log, and make which engine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    engine = {"ENGINE": "docker"} if job.engine == "docker" else {}
    return {**kept, **engine, STEP: f"{job.name}/{step.name}"}


def words(stderr: str) -> str:
    """What a program that failed said of it: from its last `error:` on, or the end of what it said."""
    lines = MAKE.sub("", stderr).strip().splitlines()
    last = max((n for n, line in enumerate(lines) if line.startswith("error:")), default=0)
    return "\n".join(lines[last:])[-SHOWN:]


def exit_code(code: int, stderr: str) -> int:
    """The exit code of the program itself, where make has started it."""
    told = MAKE.findall(stderr)
    return int(told[0]) if told else code


def run_of(step: Filled, stdout: str, runs: Mapping[str, str]) -> str:
    """The id of the run that a step has made, or worked on."""
    if step.step.verb != "run":
        return definition.resolved(step.step.reproduce or (step.step.promote.run if step.step.promote else ""), runs)
    return subcommand.run_id(stdout)
