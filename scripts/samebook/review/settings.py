"""The settings that have changed, key by key, in the YAML files of environments/."""

from collections.abc import Iterator
from typing import Any

from samebook.core.errors import UsageError
from samebook.environment import yaml_file
from samebook.review.span import Span

type Row = tuple[str, str, str, str]


def compare(span: Span) -> Iterator[Row]:
    """A row for each value: file, key, before, after."""
    for path in sorted(span.paths):
        if path.startswith("environments/") and path.endswith(".yml"):
            before, after = (_values(content, path) for content in span.contents(path))
            for key in sorted({**before, **after}):
                if before.get(key) != after.get(key):
                    yield path.removeprefix("environments/"), key, before.get(key, "none"), after.get(key, "none")


def _values(content: bytes, path: str) -> dict[str, str]:
    """The text of each value by its key, like promotion.gate.margin; a file that can't be read is one value."""
    try:
        return dict(_flat(yaml_file.parse(content, path) if content else {}, ()))
    except UsageError as error:
        return {"(unreadable)": str(error)}


def _flat(value: Any, place: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and (value or not place):
        for key, item in value.items():
            yield from _flat(item, (*place, str(key)))
    else:
        yield ".".join(place), str(value)
