"""The commands for many runs of one notebook: sweeps, and warm kernels for the next."""

import datetime
import io
import os
import sys
from pathlib import Path
from typing import override

import click

from samebook.cli.options import ENV, FILE, PairsType, parameters, say, show
from samebook.core import errors, workspace


class DurationType(click.ParamType[float]):
    """`15m`, as --idle takes it: seconds, minutes or hours."""

    name = "time"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text, units = str(value), {"s": 1, "m": 60, "h": 3600}
        if not (text[:-1].isdecimal() and text[-1:] in units):
            self.fail(f"found {value!r}; expected a time, like 15m", param, ctx)
        return float(text[:-1]) * units[text[-1]]


class SizeType(click.ParamType[int]):
    """`2g`, as --memory takes it."""

    name = "size"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text, units = str(value).lower(), {"m": 1 << 20, "g": 1 << 30}
        if text == "0":
            return 0
        if not (text[:-1].isdecimal() and text[-1:] in units):
            self.fail(f"found {value!r}; expected a size, like 500m or 2g", param, ctx)
        return int(text[:-1]) * units[text[-1]]


@click.command()
@click.argument("notebook", metavar="NOTEBOOK")
@click.option(
    "--grid", type=PairsType(), default="", show_default=False, help='Like "max_depth=3,5 rate=0.01:0.3:log".'
)
@click.option("--draws", type=click.IntRange(1, 100_000), help="Draw so many sets from the grid; a:b is a range.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the draws: the same seed draws the same.")
@click.option("--sets", "file", type=FILE, help="The sets instead: CSV with a header, or JSON lines.")
@parameters
@ENV
@click.option("--jobs", type=click.IntRange(1, 64), help="Runs side by side; by default one a core.")
@click.option("--metric", default="", help="What counts; by default a run's first metric.")
@click.option("--minimize", is_flag=True, help="The lowest is the best.")
@click.option("--timeout", type=click.IntRange(min=0), help="Seconds that a cell may take; 0 is no limit.")
@click.option("--on-failure", type=click.Choice(["continue", "stop"]), default="continue", help="When a set fails.")
@click.option("--dry-run", "--dry", is_flag=True, help="Check the sets, say what would run, and start nothing.")
def sweep(
    notebook: str,
    grid: tuple[tuple[str, str], ...],
    draws: int | None,
    seed: int,
    file: Path | None,
    given: dict[str, str],
    env: str,
    jobs: int | None,
    metric: str,
    minimize: bool,
    timeout: int | None,
    on_failure: str,
    dry_run: bool,
) -> None:
    """Run NOTEBOOK once for each parameter set, side by side, each run with its receipt.

    What a finished run has done already is not done again, so a sweep that was stopped goes on where it stopped.
    The table is kept as sweep.csv and sweep.png in runs/.sweeps/. Exit code 1 where a set failed.
    """
    from samebook.cli.console import Console
    from samebook.execution import sweep_result
    from samebook.execution.preparation import RunRequest
    from samebook.verbs import run as runner
    from samebook.verbs import sweep as verb

    if file and (grid or draws):
        raise errors.UsageError("expected --grid or --sets, one of them")
    request = verb.SweepRequest(
        RunRequest(notebook, given, env, timeout),
        *(grid, file, draws or 0, seed, jobs or 0, metric, minimize, on_failure == "stop"),
    )
    if dry_run:
        show(verb.description(verb.plan(request)))
        return
    # Each run's own progress would be a hundred at once; its run.log has it.
    found = verb.sweep(request, lambda each: runner.run(each, Console(stream=io.StringIO())), say)
    show(sweep_result.table(found))
    if found.ranked():
        now = datetime.datetime.now(datetime.UTC)
        folder = workspace.find().runs / ".sweeps" / f"{now:%Y%m%dT%H%M%SZ}-{found.notebook}-{os.getpid()}"
        workspace.write_whole(folder / "sweep.csv", sweep_result.as_csv(found).encode())
        workspace.write_whole(folder / "sweep.png", sweep_result.picture(found))
        show(f"kept in {workspace.find().relative(folder)}")
    if found.failed:
        sys.exit(errors.SamebookError.exit_code)


@click.command()
@click.argument("notebook", metavar="NOTEBOOK")
@ENV
@click.option("--idle", type=DurationType(), default="15m", help="End after so long without a run; 0s: never.")
@click.option("--memory", type=SizeType(), default="0", help="End where the imports take more, like 2g; 0: no limit.")
def warm(notebook: str, env: str, idle: float, memory: int) -> None:
    """Keep what NOTEBOOK imports in memory, until Ctrl-C: runs of it start at once, with the same results.

    Only installed packages are kept; code of your own is read by each run. Where anything differs (packages,
    variables, what the notebook imports), a run starts a kernel of its own as ever.
    """
    from samebook.verbs import warm as verb

    verb.warm(verb.WarmRequest(notebook, env, idle, memory), say)
