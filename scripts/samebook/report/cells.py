"""The cells of a run's canonical notebook, as the report compares them: source, and what it shows as text."""

from collections.abc import Iterator
from typing import Any

from samebook.records import canonical

# Lines of one cell's output, and the characters of a line.
MOST_LINES, LONGEST = 200, 400


def cells(notebook: list[dict[str, Any]]) -> list[list[Any]]:
    """The cells as rows of name, type, lines of source, lines of output. Times, ids and paths are in none of them."""
    numbers = canonical.numbers(cell["type"] for cell in notebook)
    return [
        [
            canonical.name(cell["tags"], number),
            cell["type"],
            _cut(cell["source"].split("\n")),
            _cut(list(_output(cell))),
        ]
        for number, cell in zip(numbers, notebook, strict=True)
    ]


def _output(cell: dict[str, Any]) -> Iterator[str]:
    for text in cell["printed"].values():
        yield from text.removesuffix("\n").split("\n")
    for shown in cell["displayed"]:
        if "error" in shown:
            yield f"{shown['error']}: {shown.get('value', '')}"
        for kind, value in shown.items():
            if kind == "text/plain" and not any(other.startswith("image/") for other in shown):
                yield from str(value).split("\n")
            elif isinstance(value, dict) and "sha256" in value:
                yield f"{kind} sha256 {value['sha256']}"


def _cut(lines: list[str]) -> list[str]:
    cut = [line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines[:MOST_LINES]]
    return [*cut, f"… {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else cut
