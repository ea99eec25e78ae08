"""The results of a bench so far: as tables while it runs, and as JSON."""

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
    """Races by case and subject; surveys by case: their rows, or the reason that they have none."""

    plan: Plan
    machine: dict[str, Any] = field(default_factory=machine.facts)
    races: dict[str, dict[str, Result]] = field(default_factory=dict)
    surveys: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    without_rows: dict[str, Result] = field(default_factory=dict)

    def measure(self, case: Case, say: Say) -> Iterator[str]:
        """Measure a case, and give its table."""
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
        """Whether a subject or a survey failed; a missing one did not."""
        raced = [result for results in self.races.values() for result in results.values()]
        return any(result.error for result in [*raced, *self.without_rows.values()])

    def verdicts(self) -> list[dict[str, Any]]:
        return list(goals.verdicts(self.races, self.surveys))

    def as_json(self) -> dict[str, Any]:
        """The whole account, as JSON."""
        plan = {name: getattr(self.plan, name) for name in ("repeats", "runs", "rows", "jobs", "load")}
        races = {
            case: {name: result.as_json() for name, result in results.items()} for case, results in self.races.items()
        }
        without_rows = {case: state.as_json() for case, state in self.without_rows.items()}
        cases = {**races, **self.surveys, **without_rows}
        return {"machine": self.machine, "asked": plan, "cases": cases, "goals": self.verdicts()}

    def write(self, path: Path, **more: Any) -> None:
        """Write the account as JSON. The file is whole at any time."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json_bytes(self.as_json() | more))
