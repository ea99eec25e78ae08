"""The question about two runs: in what do they differ, and what of it is to be explained."""

import json
from dataclasses import dataclass

from samebook.bisection.mixture import Facts
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError, nearest
from samebook.core.text import visible
from samebook.records import run_folder


@dataclass(frozen=True)
class Result:
    """The result of a run, as far as the question goes; two with equal keys are the same."""

    key: str
    facts: Facts


@dataclass(frozen=True)
class Question:
    """A subject, or one metric, whose difference is to be explained."""

    subject: str
    metric: str = ""

    def result(self, facts: Facts) -> Result:
        """The result of a run. Of a notebook it is what cells show, where that is here: a source alone is no result."""
        if self.metric:
            return Result(json.dumps(facts.metrics.get(self.metric)), facts)
        if self.subject == run_folder.CANONICAL and facts.cells:
            return Result(sha256(json_bytes(list(facts.cells.values()))), facts)
        return Result(facts.subjects.get(self.subject, ""), facts)

    def gives(self, found: Result, expected: Result) -> bool:
        """Whether a run has the expected result; the contents of that one may not be here any more."""
        digests = [side.facts.subjects.get(self.subject) for side in (found, expected)]
        return found.key == expected.key or (digests[0] == digests[1] and digests[0] is not None)

    def change(self, before: Facts, after: Facts) -> str:
        """The difference of two runs in words: that of the metric, of all metrics, or of the subject."""
        if self.metric or self.subject == run_folder.METRICS:
            names = [self.metric] if self.metric else sorted({*before.metrics, *after.metrics})
            pairs = ((name, before.metrics.get(name), after.metrics.get(name)) for name in names)
            return ", ".join(
                f"{visible(name)} {_number(old)} became {_number(new)}" for name, old, new in pairs if old != new
            )
        return f"{visible(self.subject)} is another"

    def share(self, before: Facts, after: Facts, ends: tuple[Facts, Facts]) -> float | None:
        """The part of the whole difference that a step explains, of the first metric that differs; None without one."""
        names = [self.metric] if self.metric else sorted(ends[0].metrics.keys() & ends[1].metrics.keys())
        for name in names if self.metric or self.subject == run_folder.METRICS else ():
            values = [side.metrics.get(name) for side in (before, after, *ends)]
            numbers = [value for value in values if isinstance(value, int | float)]
            if len(numbers) == len(values) and numbers[2] != numbers[3]:
                return (numbers[1] - numbers[0]) / (numbers[3] - numbers[2])
        return None


def ask(before: Facts, after: Facts, subject: str, metric: str) -> Question | None:
    """The question about two runs; by default their metrics, then another subject, then what the cells show.

    None where nothing differs. Raises UsageError for a subject or a metric that neither has.
    """
    if metric:
        _check(metric, {*before.metrics, *after.metrics}, "metric")
        return _open(Question(run_folder.METRICS, metric), before, after)
    if subject:
        _check(subject, {*before.subjects, *after.subjects}, "subject")
        return _open(Question(subject), before, after)
    names = sorted({*before.subjects, *after.subjects} - {run_folder.CANONICAL}, key=_order)
    questions = (_open(Question(name), before, after) for name in (*names, run_folder.CANONICAL))
    return next((question for question in questions if question), None)


def first_cell(before: Facts, after: Facts) -> str:
    """The first cell that shows something else in two runs; "" where none does."""
    pairs = ((name, before.cells.get(name), content) for name, content in after.cells.items())
    return next((name for name, old, new in pairs if old != new and "`injected-parameters`" not in name), "")


def _open(question: Question, before: Facts, after: Facts) -> Question | None:
    return question if question.result(before).key != question.result(after).key else None


def _number(value: object) -> str:
    return "nothing" if value is None else f"{value:.6g}" if isinstance(value, int | float) else str(value)


def _order(name: str) -> tuple[bool, str]:
    return name != run_folder.METRICS, name


def _check(name: str, names: set[str], kind: str) -> None:
    if name not in names:
        raise UsageError(f"no {kind} {name!r}{nearest(name, names)}", mend="make runs")
