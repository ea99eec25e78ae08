"""Run a notebook for many parameter sets: kernels come warm, what is done already is left out, the best is told."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from samebook.core import signals, workspace
from samebook.core.errors import SamebookError, UsageError
from samebook.environment import machine, variables
from samebook.execution import freshness, grids, parameters, pool, preparation, sweep_result, workers
from samebook.execution.grids import ParameterSet
from samebook.execution.preparation import PreparedRun, RunRequest
from samebook.execution.sweep_result import Outcome, Sweep
from samebook.execution.workers import Failure
from samebook.records import receipt, run_folder, summary

# What does one run of a worker's: the verb run, which this one must not import.
type Runner = Callable[[RunRequest], Path]


@dataclass(frozen=True)
class SweepRequest:
    """One call of `samebook sweep`: a run, and what varies from it; `grid` or `file`, with `draws` from the grid."""

    run: RunRequest
    grid: tuple[tuple[str, str], ...] = ()
    file: Path | None = None
    draws: int = 0
    seed: int = 0
    jobs: int = 0
    metric: str = ""
    minimize: bool = False
    stops: bool = False


@dataclass
class Plan:
    """The sets of a sweep, and for those that are done already their runs."""

    prepared: PreparedRun
    sets: list[ParameterSet]
    known: dict[str, Path] = field(default_factory=dict)


def plan(request: SweepRequest) -> Plan:
    """Check everything before the first run. Raises UsageError that tells all that is wrong with the sets."""
    prepared = preparation.prepare(workspace.find(), request.run)
    if request.file:
        sets = grids.read(request.file)
    else:
        axes = grids.axes(request.grid, prepared.parameters)
        drawn = grids.draw(axes, request.draws, request.seed, prepared.parameters)
        sets = list(drawn if request.draws else grids.combinations(axes)) if axes else []
    if both := sorted(set(request.run.parameters) & {name for each in sets for name in each}):
        raise UsageError(f"parameter {both[0]} is given, and varies too")
    sets = grids.check(sets, prepared.parameters)
    return Plan(prepared, sets, _known(prepared, sets))


def described(found: Plan) -> str:
    """What a sweep would run, a line a set."""
    lines = [
        f"{'as before' if sweep_result.key(each) in found.known else 'run':<9}  {sweep_result.description(each)}"
        for each in found.sets
    ]
    return "\n".join((*lines, f"{len(found.sets)} sets, {len(found.known)} done already"))


def _known(prepared: PreparedRun, sets: list[ParameterSet]) -> dict[str, Path]:
    """The finished run of each set that has one, by the set's key."""
    index: dict[str, list[Path]] = {}
    for run in run_folder.finished(prepared.workspace, prepared.path.stem):
        with_parameters = _parameters(run)
        if with_parameters is not None:
            index.setdefault(json.dumps(with_parameters, sort_keys=True), []).append(run)
    found: dict[str, Path] = {}
    for each in sets:
        values = parameters.parse({**prepared.request.parameters, **each}, prepared.parameters)
        among = index.get(json.dumps(parameters.json_values(values), sort_keys=True), [])
        run = freshness.fresh_run(replace(prepared, values=values), candidates=among) if among else None
        found |= {sweep_result.key(each): run} if run else {}
    return found


def _parameters(run: Path) -> Mapping[str, object] | None:
    try:
        return receipt.external(receipt.read(run / run_folder.RECEIPT))["parameters"]
    except SamebookError:
        return None


def sweep(request: SweepRequest, run: Runner, say: Callable[[str], None]) -> Sweep:
    """Run every set that isn't done; `say` hears how far it is. A set that fails stops no other, unless asked to.

    Ctrl-C and SIGTERM stop all within seconds; started again, it goes on where it stopped.
    """
    found = plan(request)
    result = Sweep(found.prepared.path.stem, request.metric, request.minimize)
    waiting = [each for each in found.sets if sweep_result.key(each) not in found.known]
    for each in found.sets:
        if path := found.known.get(sweep_result.key(each)):
            result.add(Outcome.of(each, summary.described(path), is_new=False))
    say(f"{len(found.sets)} sets, {len(found.sets) - len(waiting)} done already")
    if waiting:
        with signals.as_errors(), variables.shared_cores(jobs(request)), pool.warm_kernels(found.prepared) as cold:
            if cold:
                say(f"kernels start cold: {cold}")
            _run(request, waiting, run, result, say)
    return result


def _run(
    request: SweepRequest, waiting: list[ParameterSet], run: Runner, result: Sweep, say: Callable[[str], None]
) -> None:
    began = time.monotonic()

    def one(each: ParameterSet) -> Path:
        return run(replace(request.run, parameters={**request.run.parameters, **each}))

    with closing(workers.results(waiting, jobs(request), one)) as done:
        for number, (each, path) in enumerate(done, 1):
            is_failure = isinstance(path, Failure)
            outcome = Outcome(each, error=path.message) if is_failure else Outcome.of(each, summary.described(path))
            result.add(outcome)
            say(sweep_result.progress(result, outcome, number, len(waiting), time.monotonic() - began))
            if outcome.error and request.stops:
                break


def jobs(request: SweepRequest) -> int:
    """How many runs go side by side: as asked, else one a core."""
    return request.jobs or machine.cores()
