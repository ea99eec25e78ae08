"""The command line of the bench."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from benchmarks import goals, machine
from benchmarks.account import Account
from benchmarks.cases import CASES
from benchmarks.places import Case, Plan, Race, Survey
from tiny import CHECKOUT

JSON = CHECKOUT / ".samebook" / "bench" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench. Exit code 1 where a subject failed, 2 for a wrong call; a missed goal is not a failure."""
    options = options_parser().parse_args(arguments)
    chosen = [CASES[name] for name in options.only or CASES]
    if options.list:
        return print_cases(chosen)
    return bench([case for case in chosen if options.only or options.slow or not is_slow(case)], options)


def options_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.py", description="Us and the peers, side by side.")
    parser.add_argument("--repeats", type=positive, default=Plan.repeats, help="rounds of each subject")
    parser.add_argument("--only", type=cases, help="some cases, like trivial,cells")
    parser.add_argument("--subjects", type=subjects, default=[], help="some subjects, like script,samebook")
    parser.add_argument("--runs", type=tens, default=Plan.runs, help="runs of a sweep")
    parser.add_argument("--rows", type=positive, default=Plan.rows, help="rows to score")
    parser.add_argument("--jobs", type=positive, default=Plan.jobs, help="runs of a sweep at a time")
    parser.add_argument("--slow", action="store_true", help="also what takes minutes: a changed lock, built")
    parser.add_argument("--list", action="store_true", help="only list cases and subjects")
    parser.add_argument("--json", type=Path, default=JSON, help="where every figure goes")
    parser.add_argument("--load", type=int, default=Plan.load, help="processes that keep the cores busy meanwhile")
    return parser


def is_slow(case: Case) -> bool:
    return isinstance(case, Survey) and case.is_slow


def words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


def cases(text: str) -> list[str]:
    """Names of cases. Raises ArgumentTypeError for an unknown one."""
    unknown = [name for name in words(text) if name not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no case {', '.join(unknown)}; expected some of {', '.join(CASES)}")
    return words(text)


def subjects(text: str) -> list[str]:
    """Names of subjects. Raises ArgumentTypeError for an unknown one."""
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


def print_cases(chosen: Sequence[Case]) -> int:
    """Print the cases and their subjects, and measure nothing."""
    for case in chosen:
        click.echo(f"{case.name:14}{case.title}{' (only with --slow, or by name)' * is_slow(case)}")
        if isinstance(case, Race):
            click.echo(f"{'':14}  {', '.join(case.subjects)}")
    return 0


def bench(chosen: Sequence[Case], options: argparse.Namespace) -> int:
    """Measure the cases one after the other, and write all results after each. Returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # its processes end, too
    plan = Plan(options.repeats, options.runs, options.rows, options.jobs, options.load, frozenset(options.subjects))
    account = Account(plan)
    say(machine.load_warning(account.machine["load"], account.machine["cores"] or 1))
    with machine.busy(plan.load):
        for case in chosen:
            click.echo(f"\n{case.name}: {case.title}")
            click.echo("\n".join(account.measure(case, say)))
            account.write(options.json)
    account.machine["load_after"] = machine.load()
    account.write(options.json, versions=machine.versions(account.plan.peers))
    click.echo("\n".join(["", *goals.table(account.verdicts()), "", str(options.json)]))
    return int(account.is_failed)


def say(line: str) -> None:
    """Print progress to standard error."""
    if line:
        click.echo(f"  {line}", err=True)


if __name__ == "__main__":
    sys.exit(main())
