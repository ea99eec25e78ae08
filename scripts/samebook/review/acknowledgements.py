"""The acknowledgements that a branch adds or takes back: what monitoring is to be silent about, and who answers."""

import json
from collections.abc import Iterator

from samebook.review.span import Span

SUFFIX = ".acknowledged.jsonl"
TITLES = ("model", "", "finding", "as it was", "who", "why")
# Lines that are shown; the rest is counted. The characters of a text in one.
MOST, LONGEST = 50, 200

type Row = tuple[str, str, str, str, str, str]


def compare(span: Span) -> list[Row]:
    """A row for each line that was added or taken back, at most MOST of them and one that counts the others."""
    rows = [row for path in sorted(span.paths) for row in _rows(path, span)]
    more = [(f"and {len(rows) - MOST} more", "", "", "", "", "")] if len(rows) > MOST else []
    return rows[:MOST] + more


def _rows(path: str, span: Span) -> Iterator[Row]:
    if not (path.startswith("models/") and path.endswith(SUFFIX)):
        return
    model = path.removeprefix("models/").removesuffix(SUFFIX)
    before, after = (dict.fromkeys(content.split(b"\n")) for content in span.contents(path))
    for change, lines, others in (("added", after, before), ("taken back", before, after)):
        yield from ((model, change, *_facts(line)) for line in lines if line.strip() and line not in others)


def _facts(line: bytes) -> tuple[str, str, str, str]:
    """The finding, how it was, who and why; of a line that is no acknowledgement its text."""
    try:
        record = json.loads(line)
        if "withdrawn" in record:
            return f"withdraws {len(record['withdrawn'])}", "", _cut(str(record["who"])), _cut(str(record["why"]))
        said = record["said"]
        finding = f"{record['kind']} {record['name']}, {record['span']}"
        was = f"{said['verdict']} {said['value']} of {said['day']}"
        return _cut(finding), _cut(was), _cut(str(record["who"])), _cut(str(record["why"]))
    except (ValueError, TypeError, LookupError, RecursionError):
        return _cut(line.decode(errors="replace")), "not an acknowledgement", "", ""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
