"""`make bench-scale MEMORY=2g`: a training of more rows than memory, in a container that has no more.

    python tests/benchmarks/scale_container.py --sizes 100000000 --memory 2g --trees 100 --parts 100

One year of flights is ingested, and its days are repeated for the following years, with four times as many flights
each. Without `--parts` the training is that of `memory=external`, with them that of `memory=parts`. The container is
production's, with volumes for data, runs and store and no checkout; nothing is swapped, and what `/tmp` holds is
memory, too.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from benchmarks import scale, scale_data  # noqa: E402

# In the container: the command, and then what its largest process has had in memory.
WATCH = """
import json, resource, subprocess, sys
code = subprocess.call(["samebook", *sys.argv[1:]])
took = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"MiB of the largest process": took.ru_maxrss // 1024, "processor seconds": round(sum(took[:2]))}))
sys.exit(code)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train once for each size, and print what it took. Exit code 1 where a training failed."""
    parser = argparse.ArgumentParser(prog="scale_container.py", description="Train more rows than memory.")
    parser.add_argument("--sizes", type=scale.counts, default=[10_000_000], help="rows of flights")
    parser.add_argument("--memory", default="2g", help="memory of the container, as Docker has it")
    parser.add_argument("--trees", type=int, default=scale.TREES, help="trees of the model")
    parser.add_argument("--parts", type=int, default=0, help="parts of the flights; 0 keeps bins of all on disk")
    parser.add_argument("--image", default=f"samebook:runtime{os.environ.get('SAMEBOOK_TAG', '')}", help="the image")
    options = parser.parse_args(arguments)
    held = f"memory=parts parts={options.parts}" if options.parts else "memory=external"
    learnt = f"n_estimators={options.trees} {held}"
    return max(trained(rows, options.memory, learnt, options.image) for rows in options.sizes)


def trained(rows: int, memory: str, learnt: str, image: str) -> int:
    """Train at least this many rows; returns 1 where it failed."""
    with scale.place() as here:
        start = time.monotonic()
        workspace, _ = scale_data.flights(here.root / "workspace", 1)
        last = scale_data.last_day(1)
        scale.run(here, workspace, "run", "ingest", "-p", f"start={scale_data.FIRST}", "-p", f"end={last}")
        a_year = int(json.loads((workspace.last / "metrics.json").read_text())["flights"])
        years = 1 + max(0, -(-(rows - a_year) // (a_year * scale_data.MOST)))
        for name in ("flights", "outcomes"):
            scale_data.repeat(workspace.root / "data", name, years, scale_data.MOST)
        rows = a_year * (1 + (years - 1) * scale_data.MOST)
        click.echo(f"{rows:,} rows in {years} years, made in {time.monotonic() - start:,.0f} s", err=True)
        last = scale_data.last_day(years)
        days = (last - scale_data.FIRST).days + 1 - scale.HOLDOUT
        parameters = f"as_of={last} train_days={days} holdout_days={scale.HOLDOUT} {learnt}"
        given = [part for pair in parameters.split() for part in ("-p", pair)]
        start = time.monotonic()
        code = subprocess.call([*container(workspace.root, memory), image, "-c", WATCH, "run", "train", *given])
        took = time.monotonic() - start
        click.echo(f"{rows:,} rows, {learnt}, {memory}: {took:,.0f} s, exit code {code}")
    return int(code != 0)


def container(root: Path, memory: str) -> list[str]:
    """The beginning of `docker run` with the volumes of a workspace."""
    command = ["docker", "run", "--rm", "--init", "--memory", memory, "--memory-swap", memory, "--read-only"]
    command += ["--tmpfs", "/tmp:mode=1777", "--user", f"{os.getuid()}:{os.getgid()}", "--entrypoint", "python"]
    for name in ("data", "runs", "store"):
        (root / name).mkdir(exist_ok=True)
        command += ["--volume", f"{root / name}:/workspace/{name}"]
    return command


if __name__ == "__main__":
    sys.exit(main())
