"""Measures cases: the subjects of one in turns, so that what changes meanwhile changes for all."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import SLOW, Result, number, rotated
from benchmarks.places import Place, Plan, Race, Survey
from benchmarks.trials import NotThere, Trial, Wrong, measure

type Say = Callable[[str], None]


def race(case: Race, plan: Plan, say: Say) -> dict[str, Result]:
    """By subject, its rounds, or why there are none."""
    with tempfile.TemporaryDirectory(prefix="samebook-bench-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder), plan)
        with place.stack:
            return _raced(case, place, say)


def survey(case: Survey, plan: Plan) -> tuple[list[dict[str, object]], Result]:
    """The rows of a case, and why there are none."""
    with tempfile.TemporaryDirectory(prefix="samebook-bench-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder), plan)
        result = Result()
        with place.stack:
            rows = _guarded(result, lambda: case.find(place))
        return rows or [], result


def _raced(case: Race, place: Place, say: Say) -> dict[str, Result]:
    chosen = {name: make for name, make in case.subjects.items() if name in (place.plan.subjects or case.subjects)}
    results = {name: Result() for name in chosen}
    trials = {}
    for name, make in chosen.items():
        say(f"{case.name}: preparing {name}")
        trials[name] = _guarded(results[name], lambda make=make: make(place))
    for turn in range(place.plan.repeats + 1):
        waiting = [name for name, trial in trials.items() if trial and _is_waiting(results[name], place.plan, turn)]
        for name in rotated(waiting, turn):
            _round(case.name, name, trials[name], results[name], place, say, is_first=turn == 0)
    return results


def _is_waiting(result: Result, plan: Plan, turn: int) -> bool:
    return not result.error and (turn == 0 or not result.is_enough(plan.repeats))


def _round(case: str, name: str, trial: Trial, result: Result, place: Place, say: Say, *, is_first: bool) -> None:
    """Measure once. The first round warms up what is read from disk, and counts only where it took long."""
    took = _guarded(result, lambda: measure(trial, place.root / f"{name}.txt"))
    if took is None:
        say(f"{case}: {name}: error: {result.error}")
        return
    counts = not is_first or took.seconds > SLOW
    say(f"{case}: {name}: {number(took.seconds)} s{'' if counts else ', to warm up'}")
    if counts:
        result.rounds.append(took)


def _guarded[T](result: Result, action: Callable[[], T]) -> T | None:
    """What an action returns; what it fails with goes into the result: a failing subject doesn't end a bench."""
    try:
        return action()
    except NotThere as why:
        result.absent = str(why)
    except Wrong as wrong:
        result.error = str(wrong)
    except Exception as error:
        result.error = f"{type(error).__name__}: {error}"
    return None
