"""Show two versions of the promoted models side by side: metrics, data, parameters, environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from samebook.core import git, table
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.models import lookup
from samebook.models.bundle import Bundle

HERE = "here"
# A host reads mentions in what an entity has become, too; a comment between keeps them apart.
_INERT = {each: f"&#{ord(each)};" for each in "&<>|\\`[]*~"} | {"@": "@<!-- -->", "#": "#<!-- -->"}


@dataclass(frozen=True)
class Row:
    """One line: what it is about, its value on either side, and what the change is."""

    section: str
    name: str
    before: str
    after: str
    change: str = ""


@dataclass(frozen=True)
class ModelDiff:
    """A model's rows; empty where both sides have the same bundle."""

    name: str
    rows: list[Row]


def bundle_diff(here: Workspace, before: str, after: str = "") -> list[ModelDiff]:
    """Each model of two branches, tags or commits; `after` is the work tree where it is empty.

    Raises UsageError for a branch that isn't there, or a bundle that isn't whole.
    """
    sides = [_bundles(here, ref) for ref in (before, after)]
    names = sorted({*sides[0], *sides[1]})
    if not names:
        raise UsageError(f"no model is promoted, neither at {before} nor at {after or HERE}")
    return [ModelDiff(name, list(_rows(sides[0].get(name), sides[1].get(name)))) for name in names]


def _bundles(here: Workspace, ref: str) -> dict[str, Bundle]:
    if not ref:
        return {path.stem: lookup.read(here, path.stem) for path in sorted(here.models.glob("*.json"))}
    return {name: lookup.read(here, f"{name}@{ref}") for name in git.file_names(here.root, ref, "models", ".json")}


def _rows(a: Bundle | None, b: Bundle | None) -> Iterator[Row]:
    if a is None or b is None:
        yield Row("model", "run", a.receipt.run if a else "none", b.receipt.run if b else "none")
        return
    if a.digest == b.digest:
        return
    yield from _metrics(a.metrics, b.metrics)
    yield from _values("parameters", a.source.parameters, b.source.parameters)
    yield from _data(a, b)
    images = [{"image": each.environment.image, "base image": each.environment.base_image} for each in (a, b)]
    yield from _values(
        "environment", {"python": a.environment.python, **images[0]}, {"python": b.environment.python, **images[1]}
    )
    yield from _values("environment", a.environment.packages, b.environment.packages)
    yield from _values("provenance", _provenance(a), _provenance(b))


def _metrics(a: Mapping[str, float], b: Mapping[str, float]) -> Iterator[Row]:
    """All metrics, the same ones too: what did not change is news as well."""
    for name in sorted({*a, *b}):
        change = f"{b[name] - a[name]:+.6g}" if name in a and name in b and a[name] != b[name] else ""
        before, after = (f"{each[name]:.6g}" if name in each else "none" for each in (a, b))
        yield Row("metrics", name, before, after, change)


def _values(section: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Row]:
    """What differs; a parameter that isn't given has the notebook's default."""
    missing = "default" if section == "parameters" else "none"
    for name in sorted(name for name in {*a, *b} if a.get(name) != b.get(name)):
        before, after = (missing if each.get(name) is None else str(each[name]) for each in (a, b))
        yield Row(section, name, before, after)


def _data(a: Bundle, b: Bundle) -> Iterator[Row]:
    for name in sorted({*a.data, *b.data}):
        days = [each.data[name].days if name in each.data else {} for each in (a, b)]
        counts = {
            "added": len(days[1].keys() - days[0].keys()),
            "removed": len(days[0].keys() - days[1].keys()),
            "changed": sum(days[0][day] != days[1][day] for day in days[0].keys() & days[1].keys()),
        }
        before, after = (f"{min(each)} to {max(each)}" if each else "none" for each in days)
        change = ", ".join(f"{count} days {what}" for what, count in counts.items() if count)
        if change:
            yield Row("data", name, before, after, change)


def _provenance(found: Bundle) -> dict[str, str]:
    others = sorted({each.builder for each in found.reproductions if each.builder != found.receipt.builder})
    return {
        "run": found.receipt.run,
        "commit": found.source.commit[:12],
        "reproduced by": ", ".join(others) or "nobody else",
        "promoted by": found.promoted.by,
        "why": found.promoted.why,
    }


def text(found: list[ModelDiff], before: str, after: str) -> str:
    """The models as text, a line for each row."""
    return "\n\n".join(_text(each, before, after or HERE) for each in found)


def _text(found: ModelDiff, before: str, after: str) -> str:
    before, after = _visible(before), _visible(after)
    if not found.rows:
        return f"{found.name}: the same in {before} and {after}"
    cells = [(f"  {_visible(row.name)}", *map(_visible, (row.before, row.after, row.change))) for row in found.rows]
    title, *aligned = table.align([(found.name, before, after, ""), *cells])
    lines, section = [title], ""
    for row, line in zip(found.rows, aligned, strict=True):
        lines += [row.section] if row.section != section else []
        lines.append(line)
        section = row.section
    return "\n".join(lines)


def _visible(value: str) -> str:
    """On one line, and nothing in it that a terminal obeys."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in value)


def markdown(found: list[ModelDiff], before: str, after: str) -> str:
    """The models as Markdown tables, for a pull request."""
    return "\n\n".join(_markdown(each, _cell(before), _cell(after or HERE)) for each in found)


def _markdown(found: ModelDiff, before: str, after: str) -> str:
    if not found.rows:
        return f"**{found.name}**: the same in {before} and {after}"
    rows = (
        f"| {row.section} | {' | '.join(_cell(cell) for cell in (row.name, row.before, row.after, row.change))} |"
        for row in found.rows
    )
    return "\n".join((f"**{found.name}**\n", f"| | | {before} | {after} | |", "|---|---|---|---|---|", *rows))


def _cell(value: str) -> str:
    """A value that is text alone: no cell of its own, no tag, link or code, and nobody is told of it by @name."""
    return "".join(_INERT.get(each, each) for each in _visible(value))
