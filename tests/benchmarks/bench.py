"""`make bench`: python tests/benchmarks/bench.py --repeats 5 --only trivial,cells; `--list` shows the cases."""

import argparse
import datetime
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import figures, goals, racing
from benchmarks.cases import CASES
from benchmarks.figures import Result
from benchmarks.racing import Case
from tiny import CHECKOUT

from samebook.core.digest import json_bytes
from samebook.core.workspace import write_whole
from samebook.environment import machine

JSON = CHECKOUT / ".samebook" / "bench" / "bench.json"
# Above this share of the cores other work is running, and ratios are off.
BUSY = 0.3
SUBJECTS = {name: None for case in CASES.values() for name in case.subjects}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench. Exit code 1 where a subject failed, 2 for a wrong call; a missed goal is not a failure."""
    parser = argparse.ArgumentParser(prog="bench.py", description="Us and the peers, side by side.")
    parser.add_argument("--repeats", type=positive, default=5, help="rounds of each subject")
    parser.add_argument("--only", type=lambda text: known(text, CASES), help="some cases, like trivial,cells")
    parser.add_argument("--subjects", type=lambda text: known(text, SUBJECTS), default=[], help="like script,samebook")
    parser.add_argument("--slow", action="store_true", help="also what takes minutes: a new clone's first run")
    parser.add_argument("--list", action="store_true", help="only list cases and subjects")
    parser.add_argument("--json", type=Path, default=JSON, help="where every figure goes")
    parser.add_argument("--load", type=int, default=0, help="processes that keep the cores busy meanwhile")
    options = parser.parse_args(arguments)
    chosen = [CASES[name] for name in options.only or CASES]
    if options.list:
        for case in chosen:
            click.echo(f"{case.name:14}{case.title}{' (only with --slow, or by name)' * case.is_slow}")
            click.echo(f"{'':14}  {', '.join(case.subjects)}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # its processes end, too
    return bench([case for case in chosen if options.only or options.slow or not case.is_slow], options)


def words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def known(text: str, names: Collection[str]) -> list[str]:
    """Names of cases, or of subjects. Raises ArgumentTypeError for an unknown one."""
    if unknown := [name for name in words(text) if name not in names]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; expected some of {', '.join(names)}")
    return words(text)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)


def bench(chosen: Sequence[Case], options: argparse.Namespace) -> int:
    """Measure the cases one after the other, and write all results after each. Returns the exit code."""
    results, facts = dict[str, dict[str, Result]](), machine_facts()
    say(load_warning(facts["load"], facts["cores"] or 1))
    with busy(options.load):
        for case in chosen:
            click.echo(f"\n{case.name}: {case.title}")
            results[case.name] = racing.race(case, options.repeats, options.subjects, say)
            click.echo("\n".join(figures.case_table(results[case.name], case.against)))
            facts["load_after"], verdicts = os.getloadavg()[0], goals.verdicts(results, options.load)
            cases = {name: {each: result.as_json() for each, result in of.items()} for name, of in results.items()}
            asked = {"repeats": options.repeats, "load": options.load}
            options.json.parent.mkdir(parents=True, exist_ok=True)
            # The file is whole at any time.
            write_whole(options.json, json_bytes({"machine": facts, "asked": asked, "cases": cases, "goals": verdicts}))
    click.echo("\n".join(["", *figures.overview(results), "", *goals.table(verdicts), "", str(options.json)]))
    return int(any(result.error for subjects in results.values() for result in subjects.values()))


def machine_facts() -> dict[str, Any]:
    """The present circumstances, as JSON."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain")),
        "processor": machine.processor(),
        "cores": os.process_cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def load_warning(load: float, cores: int) -> str:
    """A warning where the machine has other work; else an empty text."""
    return f"the load is {load:.1f} on {cores} cores: take no ratio from this" if load > BUSY * cores else ""


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Beside the block this many processes do nothing, and want a core each for it."""
    endless = (sys.executable, "-I", "-S", "-c", "while True: pass")
    with ExitStack() as stack:
        for _ in range(count):
            stack.callback(stack.enter_context(subprocess.Popen(endless)).kill)
        yield


def _git(*arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={CHECKOUT}", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout.strip()


def say(line: str) -> None:
    """Print progress to standard error."""
    if line:
        click.echo(f"  {line}", err=True)


if __name__ == "__main__":
    sys.exit(main())
