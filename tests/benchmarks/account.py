"""What a bench has found so far: as tables while it goes, as JSON, and whether anything failed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import figures, goals, machine, racing
from benchmarks.figures import Result
from benchmarks.places import Case, Plan, Race
from benchmarks.racing import Say

from samebook.core.digest import json_bytes
from samebook.core.workspace import write_whole


@dataclass
class Account:
    """Races by case and subject, surveys by case: their rows, or why there are none."""

    plan: Plan
    machine: dict[str, Any] = field(default_factory=machine.facts)
    races: dict[str, dict[str, Result]] = field(default_factory=dict)
    surveys: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    without_rows: dict[str, Result] = field(default_factory=dict)

    def measure(self, case: Case, say: Say) -> Iterator[str]:
        """Measure a case; its table."""
        if isinstance(case, Race):
            self.races[case.name] = racing.race(case, self.plan, say)
            return figures.race_table(self.races[case.name], case.against)
        rows, state = racing.survey(case, self.plan)
        if rows:
            self.surveys[case.name] = rows
            return figures.facts_table(rows)
        self.without_rows[case.name] = state
        return figures.race_table({case.name: state}, ())

    @property
    def is_failed(self) -> bool:
        """Whether a subject failed, or a survey; what isn't there did not."""
        raced = [result for results in self.races.values() for result in results.values()]
        return any(result.error for result in [*raced, *self.without_rows.values()])

    def verdicts(self) -> list[dict[str, Any]]:
        return list(goals.verdicts(self.races, self.surveys))

    def plain(self) -> dict[str, Any]:
        """All of it, as JSON."""
        asked = {name: getattr(self.plan, name) for name in ("repeats", "runs", "rows", "jobs")}
        races = {case: {name: each.plain() for name, each in found.items()} for case, found in self.races.items()}
        nothing = {case: state.plain() for case, state in self.without_rows.items()}
        cases = {**races, **self.surveys, **nothing}
        return {"machine": self.machine, "asked": asked, "cases": cases, "goals": self.verdicts()}

    def write(self, path: Path, **more: Any) -> None:
        """As JSON, into a file that is whole at any time."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json_bytes(self.plain() | more))
