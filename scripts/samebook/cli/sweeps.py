"""The commands for many runs of one notebook: sweeps, and warm kernels for the next."""

import datetime
import functools
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, override

import click

from samebook.cli.options import ENV, FILE, ON, SECONDS, VARIABLES, PairsType, parameters, pods, say, show
from samebook.core import errors, workspace

if TYPE_CHECKING:
    from samebook.cluster.places import Name
    from samebook.cluster.pods import Pods
    from samebook.execution.preparation import RunRequest
    from samebook.verbs.sweep import SweepRequest

# No time has so many.
DIGITS = 10


class DurationType(click.ParamType[float]):
    """`15m`, as --idle takes it: seconds, minutes or hours."""

    name = "time"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text, units = str(value), {"s": 1, "m": 60, "h": 3600}
        if not (text[:-1].isdecimal() and len(text) < DIGITS and text[-1:] in units):
            self.fail(f"found {value!r}; expected a time, like 15m", param, ctx)
        return float(text[:-1]) * units[text[-1]]


@dataclass(frozen=True)
class Variations:
    """The sets of parameters of a call: a grid, or sets that are drawn from it, or a file."""

    grid: tuple[tuple[str, str], ...]
    draws: int | None
    seed: int
    file: Path | None

    def request(self, run: "RunRequest") -> "SweepRequest":
        """The sweep of a run over these sets. Raises UsageError for a file beside a grid."""
        from samebook.verbs.sweep import SweepRequest

        if self.file and (self.grid or self.draws):
            raise errors.UsageError(
                "found both a file of sets and a grid, or draws; expected one of them",
                mend=f"make sweep NOTEBOOK={run.notebook} SETS={self.file}",
            )
        return SweepRequest(run, grid=self.grid, file=self.file, draws=self.draws or 0, seed=self.seed)


def variations[Result](command: Callable[..., Result]) -> Callable[..., Result]:
    """Add --grid, --draws, --seed and --sets to a command, which gets them as `vary`."""

    @functools.wraps(command)
    def call(
        *, grid: tuple[tuple[str, str], ...], draws: int | None, seed: int, file: Path | None, **others: Any
    ) -> Result:
        return command(vary=Variations(grid, draws, seed, file), **others)

    for option in (
        click.option(
            "--sets", "file", type=FILE, help="Take the sets from this file: CSV with a header, or JSON lines."
        ),
        click.option("--seed", type=click.IntRange(0), default=0, help="Seed of the draws: the same sets again."),
        click.option(
            "--draws",
            type=click.IntRange(1, 100_000),
            help="Draw this many sets at random from the grid, where a:b is a range.",
        ),
        click.option(
            "--grid",
            type=PairsType(),
            default="",
            show_default=False,
            help='Values of each parameter, like "max_depth=3,5 rate=0.01:0.3:log".',
        ),
    ):
        call = option(call)
    return call


@click.command()
@click.argument("notebook", metavar="NOTEBOOK")
@variations
@parameters
@ENV
@VARIABLES
@ON
@pods
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    help="Run this many sets at a time; by default one a core or worker, and 4 on Kubernetes.",
)
@click.option("--metric", default="", help="Metric that ranks the sets; by default a run's first one.")
@click.option("--minimize", is_flag=True, help="Rank the lowest value of the metric first.")
@click.option(
    "--timeout",
    type=SECONDS,
    help="Seconds that a cell may take; 0 sets no limit, the default is cell_timeout of the settings.",
)
@click.option(
    "--on-failure", type=click.Choice(["continue", "stop"]), default="continue", help="What to do when a set fails."
)
@click.option("--dry-run", "--dry", is_flag=True, help="Check the sets and list them, without a run.")
def sweep(
    notebook: str,
    vary: Variations,
    given: dict[str, str],
    env: str,
    on: "Name",
    pods: "Pods",
    jobs: int | None,
    metric: str,
    minimize: bool,
    timeout: int | None,
    on_failure: str,
    dry_run: bool,
) -> None:
    """Run NOTEBOOK once for each parameter set, side by side, each run with its receipt.

    Example: samebook sweep train --grid "max_depth=3,5,7" --metric auc

    Sets that a finished run has done already are left out, so a sweep that was stopped goes on where it stopped.
    The table is written as sweep.csv and sweep.png in runs/.sweeps/. Exit code 1 where a set failed.
    """
    from samebook.cli.console import Console
    from samebook.execution import sweep_result
    from samebook.execution.preparation import RunRequest
    from samebook.verbs import run as run_verb
    from samebook.verbs import sweep as verb

    request = replace(
        vary.request(RunRequest(notebook, given, env, timeout)),
        jobs=jobs or 0,
        metric=metric,
        minimize=minimize,
        stop_on_failure=on_failure == "stop",
        on=on,
        pods=pods,
    )
    if dry_run:
        show(verb.description(verb.plan(request)))
        return
    # The progress of many runs at once would be unreadable; each run's run.log has its own.
    result = verb.sweep(request, lambda run: run_verb.run(run, Console(stream=io.StringIO())), say)
    show(sweep_result.table(result))
    if result.ranked():
        now = datetime.datetime.now(datetime.UTC)
        folder = (
            workspace.find().runs
            / ".sweeps"
            / f"{now:%Y%m%dT%H%M%SZ}-{result.notebook.replace('/', '.')}-{os.getpid()}"
        )
        workspace.write_whole(folder / "sweep.csv", sweep_result.as_csv(result).encode())
        workspace.write_whole(folder / "sweep.png", sweep_result.picture(result))
        show(f"kept in {workspace.find().relative(folder)}")
    if result.failed:
        sys.exit(errors.SamebookError.exit_code)


@click.command()
@click.argument("notebook", metavar="NOTEBOOK")
@ENV
@VARIABLES
@click.option("--idle", type=DurationType(), default="15m", help="End after this long without a run; 0s is never.")
def warm(notebook: str, env: str, idle: float) -> None:
    """Keep the imports of NOTEBOOK in memory until Ctrl-C: runs of it start at once, with the same results.

    Example: samebook warm train --idle 1h

    Only installed packages are kept; each run reads your own code anew. A run with other packages, variables or imports
    starts a kernel of its own, as without this command.
    """
    from samebook.verbs import warm as verb

    verb.warm(verb.WarmRequest(notebook, env, idle), say)
