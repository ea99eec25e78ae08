"""The command: what to measure, and where it goes."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiny import CHECKOUT

from benchmarks import figures, goals, machine, picture, racing
from benchmarks.cases import CASES
from benchmarks.figures import Result
from benchmarks.places import Case, Plan, Race
from samebook.workspace import write_whole

JSON = CHECKOUT / ".samebook" / "bench" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where a subject failed, 2 for a wrong call; a missed goal is none."""
    given = parser().parse_args(arguments)
    chosen = [CASES[name] for name in given.only or CASES]
    if given.list:
        return listed(chosen)
    return bench([case for case in chosen if given.slow or not getattr(case, "is_slow", False)], given)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="bench.py", description="Us and the peers, side by side.")
    made.add_argument("--repeats", type=positive, default=Plan.repeats, help="rounds of each subject")
    made.add_argument("--only", type=cases, help="some cases, like trivial,cells")
    made.add_argument("--subjects", type=words, default=[], help="some subjects, like script,samebook")
    made.add_argument("--runs", type=tens, default=Plan.runs, help="runs of a sweep")
    made.add_argument("--rows", type=positive, default=Plan.rows, help="rows to score")
    made.add_argument("--jobs", type=positive, default=Plan.jobs, help="runs of a sweep at a time")
    made.add_argument("--slow", action="store_true", help="also what takes minutes: a changed lock, built")
    made.add_argument("--list", action="store_true", help="only list cases and subjects")
    made.add_argument("--json", type=Path, default=JSON, help="where every figure goes")
    made.add_argument("--picture", type=Path, help="where a picture goes")
    return made


def words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


def cases(text: str) -> list[str]:
    """Names of cases. Raises ArgumentTypeError for one that isn't there."""
    unknown = [name for name in words(text) if name not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no case {', '.join(unknown)}; expected some of {', '.join(CASES)}")
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
        print(f"{case.name:14}{case.says}{' (with --slow)' if getattr(case, 'is_slow', False) else ''}")
        if isinstance(case, Race):
            print(f"{'':14}  {', '.join(case.subjects)}")
    return 0


def bench(chosen: Sequence[Case], given: argparse.Namespace) -> int:
    """Measure the cases one after the other; what is known is written after each."""
    plan = Plan(given.repeats, given.runs, given.rows, given.jobs, given.slow, frozenset(given.subjects))
    found: dict[str, Any] = {"machine": machine.facts(), "cases": {}}
    warn(machine.busy(found["machine"]["load"], found["machine"]["cores"] or 1))
    results: dict[str, dict[str, Result]] = {}
    facts: dict[str, list[dict[str, object]]] = {}
    for case in chosen:
        print(f"\n{case.name}: {case.says}", flush=True)
        if isinstance(case, Race):
            results[case.name] = racing.race(case, plan, warn)
            lines = figures.race_table(results[case.name], case.against)
            found["cases"][case.name] = {name: each.plain() for name, each in results[case.name].items()}
        else:
            facts[case.name], state = racing.survey(case, plan)
            results[case.name] = {} if facts[case.name] else {case.name: state}
            lines = figures.facts_table(facts[case.name]) if facts[case.name] else figures.race_table({"": state}, ())
            found["cases"][case.name] = facts[case.name] or state.plain()
        print("\n".join(lines), flush=True)
        found["goals"] = list(goals.verdicts(results, facts))
        write(given.json, found)
    found["versions"] = machine.versions(plan.peers)
    found["machine"]["load_after"] = machine.facts()["load"]
    write(given.json, found)
    return ended(found, results, given)


def ended(found: dict[str, Any], results: dict[str, dict[str, Result]], given: argparse.Namespace) -> int:
    """The goals, the picture, and the exit code."""
    print("", *goals.table(found["goals"]), "", str(given.json), sep="\n")
    if given.picture:
        picture.draw(results, given.picture)
        print(given.picture)
    return int(any(each.error for case in results.values() for each in case.values()))


def write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


def warn(line: str) -> None:
    """Progress, beside what is printed."""
    if line:
        print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
