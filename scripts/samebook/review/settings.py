"""The settings that have changed, key by key, in the YAML files of environments/."""

import json
from collections.abc import Iterator
from typing import Any

from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.environment import yaml_file
from samebook.review.span import Span

type Row = tuple[str, str, str, str]


def compare(span: Span) -> Iterator[Row]:
    """A row for each value: file, key, before, after."""
    for path in sorted(span.paths):
        if path.startswith("environments/") and path.endswith(".yml"):
            before, after = (_values(content, path) for content in span.contents(path))
            if before == after:
                yield path.removeprefix("environments/"), "(its text alone)", "", ""
            for key in sorted({**before, **after}):
                if before.get(key) != after.get(key):
                    yield path.removeprefix("environments/"), key, before.get(key, "none"), after.get(key, "none")


def _values(content: bytes, path: str) -> dict[str, str]:
    """The text of each value by its key, like promotion.gate.margin; a file that can't be read is one value."""
    try:
        if b"&" in content and b"*" in content:  # aliases may stand for more than there is memory
            raise ValueError("aliases")
        return dict(_flat(yaml_file.parse(content, path) if content else {}, ()))
    except (UsageError, ValueError, TypeError, RecursionError) as error:
        return {"(unreadable)": f"{type(error).__name__}, sha256 {sha256(content)[:12]}"}


def _flat(value: Any, place: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and (value or not place):
        for key, item in value.items():
            # A key may hold a dot: `promotion.signed` as one key is none of the section's.
            yield from _flat(item, (*place, f"'{key}'" if "." in str(key) else str(key)))
    else:
        yield ".".join(place), json.dumps(value, default=str)
