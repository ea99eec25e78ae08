"""`make bench-scale MEMORY=2g`: a training of more rows than memory, in a container that has no more, or in several.

    python tests/benchmarks/scale_container.py --sizes 100000000 --memory 2g --trees 100 --parts 100
    python tests/benchmarks/scale_container.py --sizes 10000000 --memory 2g --workers 1,2,4

One year of flights is ingested, and its days are repeated for the following years, with four times as many flights
each. Without `--parts` the training is that of `memory=external`, with them that of `memory=parts`. The container is
production's, with volumes for data, runs and store and no checkout; nothing is swapped, and what `/tmp` holds is
memory, too. With `--workers` the training is that of `memory=cluster` for each number of workers, in the cluster of
`make cluster`, and in as many containers with that memory.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from benchmarks import scale, scale_data  # noqa: E402
from benchmarks.places import Place  # noqa: E402
from tiny import CHECKOUT, of_its_own_make  # noqa: E402

# In the container: the command, and then what its largest process has had in memory.
WATCH = """
import json, resource, subprocess, sys
code = subprocess.call(["samebook", *sys.argv[1:]])
took = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"MiB of the largest process": took.ru_maxrss // 1024, "processor seconds": round(sum(took[:2]))}))
sys.exit(code)
"""
# The most that each worker's container has held, by the kernel's own account, whatever version of cgroups it has.
PEAKS = """
for each in $(docker ps --quiet --filter label=com.docker.compose.project=samebook-scale \\
                        --filter label=com.docker.compose.service=worker); do
  docker exec $each sh -c \\
    'cat /sys/fs/cgroup/memory.peak 2>/dev/null || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes'
done
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train once for each size, and print what it took. Exit code 1 where a training failed."""
    parser = argparse.ArgumentParser(prog="scale_container.py", description="Train more rows than memory.")
    parser.add_argument("--sizes", type=scale.counts, default=[10_000_000], help="rows of flights")
    parser.add_argument("--memory", default="2g", help="memory of the container, as Docker has it")
    parser.add_argument("--trees", type=int, default=scale.TREES, help="trees of the model")
    parser.add_argument("--parts", type=int, default=0, help="parts of the flights; 0 keeps bins of all on disk")
    parser.add_argument("--image", default=f"samebook:runtime{os.environ.get('SAMEBOOK_TAG', '')}", help="the image")
    parser.add_argument("--workers", type=scale.counts, default=[], help="numbers of workers of a cluster")
    options = parser.parse_args(arguments)
    held = f"memory=parts parts={options.parts}" if options.parts else "memory=external"
    failed = False
    for rows in options.sizes:
        with scale.place() as here:
            root, learnt, size = made(here, rows)
            learnt = f"{learnt} n_estimators={options.trees}"
            if not options.workers:
                failed |= trained(root, options.memory, f"{learnt} {held}", options.image, size)
            for workers in options.workers:
                failed |= trained_together(root, options.memory, f"{learnt} memory=cluster", workers, size)
    return int(failed)


def made(here: Place, rows: int) -> tuple[Path, str, int]:
    """A workspace with at least as many rows, the parameters by which all are learnt from, and their number."""
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
    return workspace.root, f"as_of={last} train_days={days} holdout_days={scale.HOLDOUT}", rows


def trained(root: Path, memory: str, parameters: str, image: str, rows: int) -> bool:
    """Train in a container of production; returns whether it failed."""
    given = [part for pair in parameters.split() for part in ("-p", pair)]
    return told([*container(root, memory), image, "-c", WATCH, "run", "train", *given], root, parameters, memory, rows)


def trained_together(root: Path, memory: str, parameters: str, workers: int, rows: int) -> bool:
    """Train in a cluster, of a clone that has the workspace's data; returns whether it failed."""
    clone = root.parent / "clone"
    if not clone.is_dir():
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
        (root / "data").rename(clone / "data")
    # Other clusters of the machine stay as they are.
    environ = {**of_its_own_make(), "COMPOSE_PROJECT_NAME": "samebook-scale", "SAMEBOOK_TAG": "-scale"}
    make = ["make", "--silent", "ENGINE=docker"]
    given = f"PARAMS={parameters} workers={workers} minutes=600"
    try:
        cluster = [*make, "cluster", f"WORKERS={workers}", f"MEMORY={memory}", "DASHBOARD_PORT=0"]
        subprocess.run(cluster, cwd=clone, env=environ, check=True, stdout=subprocess.DEVNULL)
        failed = told([*make, "run", "NOTEBOOK=train", given], clone, given, f"{workers} of {memory}", rows, environ)
        peaks = subprocess.run(["sh", "-c", PEAKS], check=True, capture_output=True, text=True).stdout.split()
        click.echo(f"MiB of the largest worker: {max(map(int, peaks)) >> 20}")
    finally:
        subprocess.run([*make, "cluster-down"], cwd=clone, env=environ, check=False)
    return failed


def told(
    command: Sequence[str],
    folder: Path,
    parameters: str,
    memory: str,
    rows: int,
    environ: Mapping[str, str] | None = None,
) -> bool:
    """Run a training and print what it took; returns whether it failed."""
    start = time.monotonic()
    code = subprocess.call(command, cwd=folder, env=environ)
    click.echo(f"{rows:,} rows, {parameters}, {memory}: {time.monotonic() - start:,.0f} s, exit code {code}")
    return code != 0


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
