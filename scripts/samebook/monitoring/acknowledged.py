"""Acknowledgements: findings that somebody has looked at and answers for, one line of JSON each, in git.

models/<name>.acknowledged.jsonl holds who, when, what and why, and travels with the branch. Lines are added and never
changed or removed: git merges two branches' lines by keeping both sides', so that a removed one may come back. A line
that withdraws others ends them. An acknowledgement is of one finding on one day, as it was: what goes beyond it is said
as ever.
"""

import datetime
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.monitoring.finding import VERDICTS, Finding, Said

SUFFIX = ".acknowledged.jsonl"


@dataclass(frozen=True)
class Acknowledgement:
    """One line: who has acknowledged which finding, when and why, and the run that found it. `span`: day or window."""

    who: str
    when: str
    why: str
    kind: str
    name: str
    span: str
    run: str
    said: Said

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.name, self.span

    @classmethod
    def of(cls, finding: Finding, said: Said, *, who: str, when: str, why: str, run: str) -> Self:
        """The acknowledgement of a finding, as it was on its day."""
        return cls(who, when, why, *finding.key, run, said)

    def line(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Withdrawal:
    """A line that ends acknowledgements, which it names by the sha256 of their lines: who, when and why."""

    who: str
    when: str
    why: str
    withdrawn: tuple[str, ...]

    def line(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode() + b"\n"


def path(workspace: Workspace, model: str) -> Path:
    """The file with a model's acknowledgements; `churn@prod` has those of `churn`, as they are here."""
    return workspace.models / f"{model.partition('@')[0]}{SUFFIX}"


def content(workspace: Workspace, model: str) -> bytes:
    """The lines of a model; none where nothing was acknowledged."""
    file = path(workspace, model)
    return file.read_bytes() if file.is_file() else b""


def parse(lines: bytes, model: str) -> list[Acknowledgement]:
    """The acknowledgements in a file that nobody has withdrawn. Raises UsageError for a line that is not whole: half of
    it hides nothing.
    """
    return [given for _, given in in_force(lines, model)]


def in_force(lines: bytes, model: str) -> list[tuple[str, Acknowledgement]]:
    """The same, each with the sha256 of its line."""
    numbered = [(number, line.strip()) for number, line in enumerate(lines.split(b"\n"), 1) if line.strip()]
    records = [(sha256(line), _parsed(line, number, model)) for number, line in numbered]
    withdrawn = {digest for _, record in records if isinstance(record, Withdrawal) for digest in record.withdrawn}
    return [
        (digest, record)
        for digest, record in records
        if isinstance(record, Acknowledgement) and digest not in withdrawn
    ]


def _parsed(line: bytes, number: int, model: str) -> Acknowledgement | Withdrawal:
    try:
        record: dict[str, Any] = json.loads(line)
        if "withdrawn" in record:
            return _withdrawal(record)
        said = Said(**record.pop("said"))
        found = Acknowledgement(**record, said=said)
        texts = (*(value for name, value in asdict(found).items() if name != "said"), said.day, said.verdict, said.way)
        if not _are_texts(texts) or said.verdict not in VERDICTS:
            raise TypeError(f"found {line.decode()[:80]}")
        datetime.date.fromisoformat(said.day)
        counts, value = tuple(int(count) for count in said.counts), float(said.value)
        if not math.isfinite(value) or min(counts, default=0) < 0:  # nothing is beyond NaN: it would hide all
            raise ValueError(f"found {value} and {counts}")
        return replace(found, said=replace(said, value=value, counts=counts))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        name = f"models/{model.partition('@')[0]}{SUFFIX}"
        raise UsageError(
            f"{name}, line {number}: expected an acknowledgement as make ack writes it; {error}",
            mend=f"git checkout HEAD -- {name}",
        ) from None


def _withdrawal(record: dict[str, Any]) -> Withdrawal:
    found = Withdrawal(**record | {"withdrawn": tuple(record["withdrawn"])})
    if not _are_texts((found.who, found.when, found.why, *found.withdrawn)):
        raise TypeError("found something else than a text")
    return found


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)
