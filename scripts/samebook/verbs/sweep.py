"""Run a notebook for many parameter sets, here or in a cluster; sets that a finished run has done are left out."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from samebook.cluster import places, pods
from samebook.cluster.places import Place
from samebook.cluster.pods import Pods
from samebook.core import signals
from samebook.core import workspace as workspaces
from samebook.core.errors import SamebookError, UsageError
from samebook.core.text import Say
from samebook.environment import machine
from samebook.execution import freshness, grids, parameters, preparation, sweep_result
from samebook.execution.grids import ParameterSet
from samebook.execution.preparation import PreparedRun, RunRequest
from samebook.execution.sweep_result import Outcome, Sweep
from samebook.execution.workers import Failure
from samebook.records import receipt, run_folder, summary

# The verb `run`, which the caller hands in, as no verb imports another.
type Runner = Callable[[RunRequest], Path]


@dataclass(frozen=True)
class SweepRequest:
    """One call of `samebook sweep`: a run, and its variations by `grid` or `file`.

    `draws` is the number of sets that are drawn from the grid (0: all of them run); `jobs` 0 is one run a core, and in
    a cluster one a worker.
    """

    run: RunRequest
    grid: tuple[tuple[str, str], ...] = ()
    file: Path | None = None
    draws: int = 0
    seed: int = 0
    jobs: int = 0
    metric: str = ""
    minimize: bool = False
    stop_on_failure: bool = False
    on: places.Name = "local"
    pods: Pods = field(default_factory=Pods)


@dataclass
class Plan:
    """The sets of a sweep, and the finished runs of those that are done already, by the sets' keys."""

    prepared: PreparedRun
    sets: list[ParameterSet]
    finished: dict[str, Path] = field(default_factory=dict)


def plan(request: SweepRequest) -> Plan:
    """Check everything before the first run. Raises UsageError with every error in the sets."""
    prepared = preparation.prepare(workspaces.find(), request.run)
    if request.file:
        sets = grids.read(request.file)
    else:
        axes = grids.axes(request.grid, prepared.parameters)
        drawn = grids.draw(axes, request.draws, request.seed, prepared.parameters)
        sets = list(drawn if request.draws else grids.combinations(axes)) if axes else []
    if fixed := sorted(set(request.run.parameters) & {name for parameter_set in sets for name in parameter_set}):
        raise UsageError(f"parameter {fixed[0]} is given, and varies too", mend=f"again, without {fixed[0]} in PARAMS")
    sets = grids.check(sets, prepared.parameters)
    return Plan(prepared, sets, _finished(prepared, sets))


def description(plan: Plan) -> str:
    """The plan as text, a line for each set."""
    states = ["as before" if sweep_result.key(values) in plan.finished else "run" for values in plan.sets]
    lines = [f"{state:<9}  {sweep_result.description(values)}" for state, values in zip(states, plan.sets, strict=True)]
    return "\n".join((*lines, f"{len(plan.sets)} sets, {len(plan.finished)} done already"))


def _finished(prepared: PreparedRun, sets: list[ParameterSet]) -> dict[str, Path]:
    """The finished run of each set that has one, by the set's key."""
    index: dict[str, list[Path]] = {}
    for run in run_folder.finished_runs(prepared.workspace, prepared.name):
        run_parameters = _parameters(run)
        if run_parameters is not None:
            index.setdefault(json.dumps(run_parameters, sort_keys=True), []).append(run)
    finished: dict[str, Path] = {}
    for parameter_set in sets:
        values = parameters.parse({**prepared.request.parameters, **parameter_set}, prepared.parameters)
        candidates = index.get(json.dumps(parameters.json_values(values), sort_keys=True), [])
        run = freshness.fresh_run(replace(prepared, values=values), candidates=candidates) if candidates else None
        finished |= {sweep_result.key(parameter_set): run} if run else {}
    return finished


def _parameters(run: Path) -> Mapping[str, object] | None:
    try:
        return receipt.external_parameters(receipt.read(run / run_folder.RECEIPT))["parameters"]
    except SamebookError:
        return None


def sweep(request: SweepRequest, run: Runner, say: Say) -> Sweep:
    """Run every set that isn't done; `say` gets a line for each that has ended. A set that fails stops no other, unless
    `request.stop_on_failure`. Ctrl-C and SIGTERM stop all within seconds; a second call goes on where it stopped.
    """
    sweep_plan = plan(request)
    sets, finished = sweep_plan.sets, sweep_plan.finished
    result = Sweep(sweep_plan.prepared.name, request.metric, request.minimize)
    remaining = [parameter_set for parameter_set in sets if sweep_result.key(parameter_set) not in finished]
    for parameter_set in sets:
        if path := finished.get(sweep_result.key(parameter_set)):
            result.add(Outcome.of(parameter_set, summary.summarize(path), is_new=False))
    say(f"{len(sets)} sets, {len(sets) - len(remaining)} done already")
    if remaining:
        with signals.as_errors():
            _run(request, remaining, place(request, sweep_plan.prepared, run, say), result, say)
    return result


def place(request: SweepRequest, prepared: PreparedRun, run: Runner, say: Say) -> Place:
    """The place where the runs of a request are executed."""
    if request.on == "dask":
        return places.Dask(prepared, request.jobs, say)
    if request.on == "kubernetes":
        env = request.run.env
        return places.Stored(
            prepared, pods.sender(prepared.workspace, env, request.pods, prepared.name, request.jobs, say)
        )
    return places.Local(prepared, jobs(request), run, say)


def _run(request: SweepRequest, remaining: list[ParameterSet], place: Place, result: Sweep, say: Say) -> None:
    start, fixed = time.monotonic(), request.run.parameters
    requests = [replace(request.run, parameters={**fixed, **parameter_set}) for parameter_set in remaining]
    with closing(place.map(requests)) as done:
        for number, (of_set, path) in enumerate(done, 1):
            parameter_set = {name: text for name, text in of_set.parameters.items() if name not in fixed}
            if isinstance(path, Failure):
                outcome = Outcome(parameter_set, error=path.message)
            else:
                outcome = Outcome.of(parameter_set, summary.summarize(path))
            result.add(outcome)
            say(sweep_result.progress(result, outcome, number, len(remaining), time.monotonic() - start))
            if outcome.error and request.stop_on_failure:
                break


def jobs(request: SweepRequest) -> int:
    """The number of runs side by side: the request's, else one a core."""
    return request.jobs or machine.cores()
