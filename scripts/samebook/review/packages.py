"""The packages that a change of the lock has moved, and which of them somebody has asked for."""

import re
import tomllib
from collections.abc import Mapping, Sequence

from samebook.environment.packages import normal, versions
from samebook.review.span import Span

WISH, LOCK = "environments/pyproject.toml", re.compile(r"environments/(?!apt)[\w-]+\.txt")
NAME = re.compile(r"[A-Za-z0-9._-]+")

type Row = tuple[str, str, str, str]


def compare(span: Span) -> list[Row]:
    """A row for each package that came, went or moved, or has other files: name, version before and after, and why.

    What several locks say alike is one row.
    """
    wishes = [_wished(content) for content in (span.contents(WISH) if WISH in span.paths else (b"", b""))]
    rows: dict[Row, None] = {}
    for path in sorted(path for path in span.paths if LOCK.fullmatch(path)):
        before, after = map(_entries, span.contents(path))
        for name in sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
            rows[name, *_row(name, before.get(name, ""), after.get(name, ""), wishes)] = None
    return sorted(rows)


def _entries(lock: bytes) -> dict[str, str]:
    """What a lock has of each package, its hashes too, by its name; a line of another kind is its own name."""
    lines = (line for line in lock.decode(errors="replace").splitlines() if line.strip() and line.lstrip()[0] != "#")
    entries, is_open = list[str](), False
    for line in lines:
        if is_open:
            entries[-1] += f"\n{line}"
        else:
            entries.append(line.strip())
        is_open = line.rstrip().endswith("\\")
    return {next(iter(versions([entry])), entry): entry for entry in entries}


def _row(name: str, before: str, after: str, wishes: Sequence[Mapping[str, str]]) -> tuple[str, str, str]:
    """The version before and after, and why it is another."""
    old, new = (next(iter(versions([entry]).values()), entry and "a line") or "none" for entry in (before, after))
    if old != new:
        return old, new, _why(name.split()[0], *wishes)
    count = len({*after.splitlines()} - {*before.splitlines()})
    return old, new, f"the same version by other files: {count} lines of its entry are new"


def _wished(content: bytes) -> dict[str, str]:
    """What environments/pyproject.toml asks for, by the package's name; nothing where it can't be read."""
    try:
        project = tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        return {}
    tables = [table if isinstance(table := project.get(key), dict) else {} for key in ("project", "dependency-groups")]
    wishes = [tables[0].get("dependencies"), *tables[1].values()]
    texts = [wish for group in wishes if isinstance(group, list) for wish in group if isinstance(wish, str)]
    return {normal(name[0]): text for text in texts if (name := NAME.match(text))}


def _why(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    if name in new and new[name] != old.get(name):
        return f"asked for: {new[name]}"
    return "asked for no longer" if name in old and name not in new else "comes along"
