"""`make bench-scale`: seconds of the processor and peak memory as rows and runs grow, with the slope of each.

    python tests/benchmarks/scale.py --sizes 1000000,10000000 --runs 10,100,1000 --picture docs/scale.png

A slope is the exponent of growth, by least squares on logarithms: 1 is twice the time for twice the rows, 0 the same
time. Start-up lowers it where the work is short. Memory is that of the largest process. Each command runs once. The
seconds are the processor's, which other work on the machine changes least; those of the clock are in the JSON.
"""

import argparse
import datetime
import json
import math
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from benchmarks import scale_data, scale_picture  # noqa: E402
from benchmarks.bench import machine_facts, positive, words  # noqa: E402
from benchmarks.places import Place  # noqa: E402
from benchmarks.trials import FailedTrial, Measurement, measure  # noqa: E402
from s3 import KEY, TEXT, serving  # noqa: E402
from tiny import CHECKOUT, Tiny  # noqa: E402

DASK = Path(__file__).with_name("dask_script.py")
JSON = CHECKOUT / ".samebook" / "bench" / "scale.json"
HOLDOUT, WINDOW, TREES = 14, 28, 20
DAY = 86_400
# More than this is superlinear: a table that is read twice in places makes 1.05 of a run without any fault.
SUPERLINEAR = 1.1

type Figures = dict[str, dict[int, Measurement]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, draw the picture. Exit code 1 where a command failed."""
    parser = argparse.ArgumentParser(prog="scale.py", description="Seconds and memory as rows and runs grow.")
    parser.add_argument("--sizes", type=counts, default=[1_000_000, 10_000_000], help="rows of flights")
    parser.add_argument("--runs", type=counts, default=[10, 100, 1_000, 10_000], help="runs of a workspace")
    parser.add_argument("--json", type=Path, default=JSON, help="where every figure goes")
    parser.add_argument("--picture", type=Path, help="where a picture goes")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # its processes and folders go, too
    by_rows: Figures = {}
    by_runs: Figures = {}
    facts, failed = machine_facts(), False
    for figures, sizes, find in ((by_rows, options.sizes, of_rows), (by_runs, options.runs, of_runs)):
        for size in sizes:
            try:
                for name, figure in find(size):
                    figures.setdefault(name, {})[size] = figure
                    say(name, size, figure)
            except FailedTrial as error:
                failed = True
                click.echo(f"{size:,}: {error}", err=True)
            write(options.json, facts, by_rows, by_runs)
    click.echo("\n".join(["", *table("rows", by_rows), "", *table("runs", by_runs), "", str(options.json)]))
    if options.picture:
        scale_picture.draw({"rows": by_rows, "runs": by_runs}, options.picture)
        click.echo(options.picture)
    return int(failed)


def counts(text: str) -> list[int]:
    """Numbers like 1000000,10_000_000, in their order; none with 0. Raises ArgumentTypeError for another text."""
    return sorted({positive(word.replace("_", "")) for word in words(text) if word != "0"})


def of_rows(rows: int) -> Iterator[tuple[str, Measurement]]:
    """The notebooks of the example over this many flights, one after the other. Raises FailedTrial."""
    with place() as here:
        workspace, last = scale_data.flights(here.root / "workspace", rows)
        days = (last - scale_data.FIRST).days + 1
        learnt = f"as_of={last} train_days={days - HOLDOUT} holdout_days={HOLDOUT} n_estimators={TREES}"
        notebooks = {
            "ingest": ("ingest", f"start={scale_data.FIRST} end={last}"),
            "train, memory=all": ("train", f"{learnt} memory=all"),
            "train, memory=external": ("train", f"{learnt} memory=external"),
            "predict": ("predict", f"day={last}"),
            f"monitor, {WINDOW} days": ("monitor", f"day={last} days={WINDOW} model=train"),
        }
        for name, (notebook, parameters) in notebooks.items():
            given = [part for pair in parameters.split() for part in ("-p", pair)]
            yield name, run(here, workspace, "run", notebook, *given)
        script = (str(DASK), "notebooks", "data", f"{scale_data.FIRST}", f"{last}", f"{TREES}", "2")
        command, output = (sys.executable, *script), here.root / "output.txt"
        yield "plain Dask, 2 workers", measure(command, workspace.root, here.environ(), output, timeout=DAY)
        yield "store verify", run(here, workspace, "store", "verify")


def of_runs(count: int) -> Iterator[tuple[str, Measurement]]:
    """The commands on a workspace with this many runs. Raises FailedTrial."""
    with place() as here:
        workspace = scale_data.runs(here, count)
        newest = workspace.last.name
        day = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
        commands = {
            "runs": ("runs",),
            "runs --last 20": ("runs", "--last", "20"),
            "report": ("report",),
            "report, as before": ("report",),
            "run --reuse, as before": ("run", "small", "--reuse"),
            "lineage": ("lineage", newest),
            "log": ("log", "--day", day),
            "verify": ("verify", newest),
            "gc --dry-run": ("gc", "--dry-run"),
            "store verify, of runs": ("store", "verify"),
        }
        for name, command in commands.items():
            yield name, run(here, workspace, *command)
        with serving(Path(tempfile.mkdtemp(dir=here.root))) as bucket:
            (workspace.root / "environments" / "dev.yml").write_text(bucket.settings())
            for name in ("push", "push, as before"):
                yield name, run(here, workspace, "store", "push", S3_KEY=KEY, S3_TEXT=TEXT)


class place:  # noqa: N801
    """A place in a folder of its own, which goes with it."""

    def __enter__(self) -> Place:
        parent = CHECKOUT / ".samebook" / "bench"
        parent.mkdir(parents=True, exist_ok=True)
        self.root = Path(tempfile.mkdtemp(prefix="scale-", dir=parent))
        return Place(self.root)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


def run(here: Place, workspace: Tiny, *arguments: str, **secrets: str) -> Measurement:
    """A command of samebook, once. Raises FailedTrial."""
    command, environ = (sys.executable, "-m", "samebook", *arguments), here.samebook_environ(workspace) | secrets
    return measure(command, workspace.root, environ, here.root / "output.txt", timeout=DAY)


def slope(figures: Mapping[int, float]) -> float | None:
    """The exponent of growth; None of fewer than two sizes."""
    points = [(math.log(size), math.log(max(value, 1e-9))) for size, value in figures.items()]
    if len(points) < 2:
        return None
    middle = [sum(axis) / len(points) for axis in zip(*points, strict=True)]
    up = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    return up / sum((x - middle[0]) ** 2 for x, _ in points)


def table(unit: str, figures: Figures) -> Iterator[str]:
    """Lines of a table: for each command processor seconds and MiB at each size, and both slopes."""
    sizes = sorted({size for values in figures.values() for size in values})
    if not sizes:
        return
    yield "".join([f"{unit:24}", *(f"{size:>20,}" for size in sizes), f"{'slopes: s, MiB':>20}"])
    for name, values in figures.items():
        cells = [f"{shown(values[size]) if size in values else '-':>20}" for size in sizes]
        slopes = [slope({size: value.cpu or 0 for size, value in values.items()})]
        slopes.append(slope({size: value.peak or 0 for size, value in values.items()}))
        text = "  ".join("-" if each is None else f"{each:.2f}" for each in slopes)
        mark = " superlinear" if any(each and each > SUPERLINEAR for each in slopes) else ""
        yield "".join([f"{name:24}", *cells, f"{text:>20}", mark])


def shown(figure: Measurement) -> str:
    return f"{figure.cpu or 0:.1f} s {figure.peak or 0:,.0f} MiB"


def say(name: str, size: int, figure: Measurement) -> None:
    click.echo(f"  {name}, {size:,}: {shown(figure)}", err=True)


def write(path: Path, facts: Mapping[str, Any], *figures: Figures) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = [{name: {n: vars(m) for n, m in values.items()} for name, values in each.items()} for each in figures]
    path.write_text(json.dumps({"machine": facts, "rows": plain[0], "runs": plain[1]}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
