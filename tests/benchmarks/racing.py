"""The measurement of cases: subjects take turns, so that a change of the machine hits all of them."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import SLOW, Result, number, rotated
from benchmarks.places import Place, Plan, Race, Survey
from benchmarks.trials import FailedTrial, MissingTool, Trial, measure

type Say = Callable[[str], None]


def race(case: Race, plan: Plan, say: Say) -> dict[str, Result]:
    """The result of each subject."""
    with tempfile.TemporaryDirectory(prefix="samebook-bench-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder), plan)
        with place.stack:
            return _race_in(case, place, say)


def survey(case: Survey, plan: Plan) -> tuple[list[dict[str, object]], Result]:
    """The rows of a case; without rows the result has the reason."""
    with tempfile.TemporaryDirectory(prefix="samebook-bench-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder), plan)
        result = Result()
        with place.stack:
            rows = _guarded(result, lambda: case.find(place))
        return rows or [], result


def _race_in(case: Race, place: Place, say: Say) -> dict[str, Result]:
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
    """Measure a subject once. The first round warms up the disk's cache, and counts only for a slow subject."""
    measurement = _guarded(result, lambda: measure(trial, place.root / f"{name}.txt"))
    if measurement is None:
        say(f"{case}: {name}: error: {result.error}")
        return
    counts = not is_first or measurement.seconds > SLOW
    say(f"{case}: {name}: {number(measurement.seconds)} s{'' if counts else ', to warm up'}")
    if counts:
        result.rounds.append(measurement)


def _guarded[T](result: Result, action: Callable[[], T]) -> T | None:
    """The value of an action. Its failure goes into the result, because a failing subject does not end a bench."""
    try:
        return action()
    except MissingTool as error:
        result.absent = str(error)
    except FailedTrial as error:
        result.error = str(error)
    except Exception as error:
        result.error = f"{type(error).__name__}: {error}"
    return None
