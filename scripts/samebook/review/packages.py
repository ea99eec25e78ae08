"""The packages that a change of the lock has moved, and which of them somebody has asked for."""

import re
import tomllib
from collections.abc import Mapping

from samebook.environment.packages import normal, versions
from samebook.review.span import Span

WISH, LOCKS = "environments/pyproject.toml", ("environments/runtime.txt", "environments/lab.txt")
NAME = re.compile(r"[A-Za-z0-9._-]+")

type Row = tuple[str, str, str, str]


def compare(span: Span) -> list[Row]:
    """A row for each package that came, went or moved: name, version before and after, and why."""
    pairs = [span.contents(path) for path in LOCKS if path in span.paths]
    before, after = (versions([pair[side].decode(errors="replace") for pair in pairs]) for side in (0, 1))
    old, new = map(_wished, span.contents(WISH) if WISH in span.paths else (b"", b""))
    names = sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
    return [
        (name, before.get(name, "none"), after.get(name, "none"), _why(name.split()[0], old, new)) for name in names
    ]


def _wished(content: bytes) -> dict[str, str]:
    """What environments/pyproject.toml asks for, by the package's name; nothing where it can't be read."""
    try:
        project = tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        return {}
    wishes = [project.get("project", {}).get("dependencies", []), *project.get("dependency-groups", {}).values()]
    texts = [wish for group in wishes for wish in group if isinstance(wish, str)]
    return {normal(name[0]): text for text in texts if (name := NAME.match(text))}


def _why(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    if name in new and new[name] != old.get(name):
        return f"asked for: {new[name]}"
    return "asked for no longer" if name in old and name not in new else "comes along"
