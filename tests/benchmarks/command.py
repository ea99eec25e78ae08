"""The command: what to measure, and where it goes."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from benchmarks import goals, machine, picture
from benchmarks.account import Account
from benchmarks.cases import CASES
from benchmarks.places import Case, Plan, Race, Survey
from tiny import CHECKOUT

JSON = CHECKOUT / ".samebook" / "bench" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where a subject failed, 2 for a wrong call; a missed goal is none."""
    given = parser().parse_args(arguments)
    chosen = [CASES[name] for name in given.only or CASES]
    if given.list:
        return listed(chosen)
    return bench([case for case in chosen if given.only or given.slow or not is_slow(case)], given)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="bench.py", description="Us and the peers, side by side.")
    made.add_argument("--repeats", type=positive, default=Plan.repeats, help="rounds of each subject")
    made.add_argument("--only", type=cases, help="some cases, like trivial,cells")
    made.add_argument("--subjects", type=subjects, default=[], help="some subjects, like script,samebook")
    made.add_argument("--runs", type=tens, default=Plan.runs, help="runs of a sweep")
    made.add_argument("--rows", type=positive, default=Plan.rows, help="rows to score")
    made.add_argument("--jobs", type=positive, default=Plan.jobs, help="runs of a sweep at a time")
    made.add_argument("--slow", action="store_true", help="also what takes minutes: a changed lock, built")
    made.add_argument("--list", action="store_true", help="only list cases and subjects")
    made.add_argument("--json", type=Path, default=JSON, help="where every figure goes")
    made.add_argument("--picture", type=Path, help="where a picture goes")
    return made


def is_slow(case: Case) -> bool:
    return isinstance(case, Survey) and case.is_slow


def words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


def cases(text: str) -> list[str]:
    """Names of cases. Raises ArgumentTypeError for one that isn't there."""
    unknown = [name for name in words(text) if name not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no case {', '.join(unknown)}; expected some of {', '.join(CASES)}")
    return words(text)


def subjects(text: str) -> list[str]:
    """Names of subjects. Raises ArgumentTypeError for one that no case has."""
    known = {name: None for case in CASES.values() if isinstance(case, Race) for name in case.subjects}
    unknown = [name for name in words(text) if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"no subject {', '.join(unknown)}; expected some of {', '.join(known)}")
    return words(text)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)


def tens(text: str) -> int:
    if positive(text) % 10:
        raise argparse.ArgumentTypeError(f"{text}: expected a multiple of 10")
    return int(text)


def listed(chosen: Sequence[Case]) -> int:
    """Print what would be measured."""
    for case in chosen:
        click.echo(f"{case.name:14}{case.says}{' (only with --slow, or by name)' * is_slow(case)}")
        if isinstance(case, Race):
            click.echo(f"{'':14}  {', '.join(case.subjects)}")
    return 0


def bench(chosen: Sequence[Case], given: argparse.Namespace) -> int:
    """Measure the cases one after the other; what is known is written after each. The exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started ends, too
    account = Account(Plan(given.repeats, given.runs, given.rows, given.jobs, frozenset(given.subjects)))
    say(machine.busy(account.machine["load"], account.machine["cores"] or 1))
    for case in chosen:
        click.echo(f"\n{case.name}: {case.says}")
        click.echo("\n".join(account.measure(case, say)))
        account.write(given.json)
    account.machine["load_after"] = machine.load()
    account.write(given.json, versions=machine.versions(account.plan.peers))
    click.echo("\n".join(["", *goals.table(account.verdicts()), "", str(given.json)]))
    if given.picture:
        picture.draw(account.races, given.picture)
        click.echo(given.picture)
    return int(account.is_failed)


def say(line: str) -> None:
    """Progress, beside what is printed."""
    if line:
        click.echo(f"  {line}", err=True)


if __name__ == "__main__":
    sys.exit(main())
