"""A step of a pipeline as a program: its check, its command, its result, and the finished run that did the same."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samebook.core import subcommand
from samebook.core.errors import UsageError
from samebook.core.make import clean_environment
from samebook.core.processes import STEP
from samebook.core.signing_programs import SAMEBOOK
from samebook.core.workspace import Workspace
from samebook.data import publish
from samebook.environment import settings
from samebook.execution import freshness, parameters, preparation
from samebook.execution.json_value import json_object
from samebook.execution.preparation import PreparedRun, RunRequest
from samebook.models import lookup, reproducible
from samebook.pipelines import definition
from samebook.pipelines.definition import PreparedStep
from samebook.records import attestations, run_folder
from samebook.records.comparison import Verdict


@dataclass(frozen=True)
class Job:
    """A pipeline with its parameters, for one environment.

    `engine` says where notebooks run: "local" in this environment, "docker" through make. `force` runs steps that a
    finished run has done already; `jobs` steps run side by side.
    """

    workspace: Workspace
    name: str
    given: Mapping[str, str]
    env: str = "dev"
    engine: str = "local"
    force: bool = False
    jobs: int = 2


def call(job: Job, day: datetime.date) -> tuple[str, ...]:
    """The arguments of `samebook` for a whole pipeline and a day."""
    return ("pipeline", job.name, "--params", json_object({**job.given, "day": str(day)}), "--env", job.env)


def check(job: Job, step: PreparedStep) -> None:
    """Check that a step can run. Raises UsageError, or PolicyRefused for a model."""
    workspace = job.workspace
    if step.declaration.promote:
        lookup.path(workspace, step.declaration.promote.model)
    if step.declaration.verb != "run":
        return
    run = _prepare_run(job, step, {name: name for name in step.declaration.needs})
    for name in parameters.models(run.parameters, run.values):
        if name not in step.declaration.needs and not _exists(workspace, name):
            raise UsageError(
                f"no model is promoted as {name!r} here, and no run or file has that name",
                mend=f"make promote RUN=train MODEL={name}",
            )


def check_in_image(job: Job) -> None:
    """Check every step by planning the pipeline in the image. Raises the error of the first that can't run."""
    subcommand.make(job.workspace, "pipeline", NAME=job.name, PARAMS=json_object(job.given), ENV=job.env, DRY="1")


def _exists(workspace: Workspace, name: str) -> bool:
    is_run = (workspace.runs / name / run_folder.RECEIPT).is_file() or run_folder.finished_runs(workspace, name)
    return bool(lookup.is_reference(workspace, name) or is_run or (workspace.root / name).is_file())


def prepare(job: Job, filled: Sequence[PreparedStep]) -> list[PreparedRun]:
    """The runs that a pipeline will start, as far as they are known before it runs."""
    runs = [step for step in filled if step.is_wanted and step.declaration.verb == "run"]
    return [_prepare_run(job, step, {name: name for name in step.declaration.needs}) for step in runs]


def _prepare_run(job: Job, step: PreparedStep, runs: Mapping[str, str]) -> PreparedRun:
    return preparation.prepare(job.workspace, RunRequest(step.notebook, step.given(runs), job.env))


def description(step: PreparedStep) -> str:
    """The action of a step, in a line."""
    if step.declaration.promote:
        return f"promote {step.declaration.promote.run} as {step.declaration.promote.model}"
    if step.declaration.reproduce:
        return f"reproduce {step.declaration.reproduce}"
    return " ".join((f"run {step.notebook}", *(f"{name}={value}" for name, value in step.parameters.items())))


def finished_run(job: Job, step: PreparedStep, runs: Mapping[str, str]) -> str:
    """The id of the finished run that did the same as this step would, its partitions published; "" for none."""
    if job.force:
        return ""
    if step.declaration.promote:
        return _promoted_already(job, step.declaration.promote, runs)
    if step.declaration.reproduce:
        return _reproduced_already(job, definition.resolve(step.declaration.reproduce, runs))
    if not subcommand.has_kernels():
        return ""  # the run itself looks, in the image
    options = settings.load(job.workspace, job.env)
    in_image = job.engine == "docker" and options.promotion.pinned_image
    if run := freshness.fresh_run(_prepare_run(job, step, runs), in_image=in_image):
        publish.publish(job.workspace, options, run)
        return run.name
    return ""


def _promoted_already(job: Job, target: definition.Promote, runs: Mapping[str, str]) -> str:
    run = definition.resolve(target.run, runs)
    path = lookup.path(job.workspace, target.model)
    return run if path.is_file() and lookup.read(job.workspace, target.model).receipt.run == run else ""


def _reproduced_already(job: Job, run: str) -> str:
    receipts = reproducible.receipts(job.workspace, run)
    return run if all(map(_has_identical, receipts)) else ""


def _has_identical(path: Path) -> bool:
    return any(item["predicate"]["verdict"] == Verdict.IDENTICAL for _, item in attestations.beside(path))


def command(job: Job, step: PreparedStep, runs: Mapping[str, str]) -> list[str]:
    """The command of a step's program."""
    if step.declaration.promote:
        run = definition.resolve(step.declaration.promote.run, runs)
        return [*SAMEBOOK, "promote", run, step.declaration.promote.model, "--env", job.env, "--why", _why(job)]
    if step.declaration.reproduce:
        return [*SAMEBOOK, "reproduce", definition.resolve(step.declaration.reproduce, runs), "--engine", job.engine]
    given = step.given(runs)
    if job.engine == "docker":
        params = f"PARAMS={json_object(given)}"
        reuse = [] if job.force or subcommand.has_kernels() else ["REUSE=1"]
        return ["make", "--silent", "run", f"NOTEBOOK={step.notebook}", params, f"ENV={job.env}", "JSON=1", *reuse]
    return [*SAMEBOOK, "run", step.notebook, "--params", json_object(given), "--env", job.env, "--json"]


def _why(job: Job) -> str:
    given = " ".join(f"{name}={value}" for name, value in job.given.items())
    return f"Pipeline {job.name} {given}".rstrip()


def variables(job: Job, step: PreparedStep) -> dict[str, str]:
    """The environment variables of a step: the caller's, the step's name for the log, and the engine for make."""
    engine = {"ENGINE": "docker"} if job.engine == "docker" else {}
    return {**clean_environment(), **engine, STEP: f"{job.name}/{step.name}"}


def is_reused(step: PreparedStep, stdout: str) -> bool:
    """Whether a finished run had done the same as this step, so that nothing ran."""
    return step.declaration.verb == "run" and subcommand.run_facts(stdout).get("reused", False)


def run_of(step: PreparedStep, stdout: str, runs: Mapping[str, str]) -> str:
    """The id of the run that a step has started, reproduced or promoted."""
    if step.declaration.verb != "run":
        return definition.resolve(
            step.declaration.reproduce or (step.declaration.promote.run if step.declaration.promote else ""), runs
        )
    return subcommand.run_id(stdout)
