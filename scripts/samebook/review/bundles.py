"""Two versions of the promoted models side by side: metrics, data, parameters, environment, provenance."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from samebook.core import git
from samebook.core.errors import UsageError
from samebook.core.text import align, visible
from samebook.core.workspace import Workspace
from samebook.models import lookup
from samebook.models.bundle import Bundle
from samebook.review.markdown import inert, table

HERE = "here"


@dataclass(frozen=True)
class Row:
    """One line of the comparison: a section and a name in it, the value on either side, and the change in words."""

    section: str
    name: str
    before: str
    after: str
    change: str = ""


@dataclass(frozen=True)
class ModelDiff:
    """A model's rows; there are none where both sides have the same bundle."""

    name: str
    rows: list[Row]


def compare(workspace: Workspace, before: str, after: str = "") -> list[ModelDiff]:
    """Compare each model of two branches, tags or commits; an empty `after` means the work tree.

    Raises UsageError for an unknown branch, or a bundle that isn't whole.
    """
    sides = [_bundles(workspace, ref) for ref in (before, after)]
    names = sorted({*sides[0], *sides[1]})
    if not names:
        raise UsageError(
            f"no model is promoted, neither at {before} nor at {after or HERE}", mend="make promote RUN=… MODEL=…"
        )
    return [ModelDiff(name, rows(sides[0].get(name), sides[1].get(name))) for name in names]


def _bundles(workspace: Workspace, ref: str) -> dict[str, Bundle]:
    if not ref:
        return {path.stem: lookup.read(workspace, path.stem) for path in sorted(workspace.models.glob("*.json"))}
    names = git.file_names(workspace.root, ref, "models", ".json")
    return {name: lookup.read(workspace, f"{name}@{ref}") for name in names}


def rows(old: Bundle | None, new: Bundle | None) -> list[Row]:
    """The rows of two versions of a model; None is no version."""
    return list(_rows(old, new))


def _rows(old: Bundle | None, new: Bundle | None) -> Iterator[Row]:
    if old is None or new is None:
        yield Row("model", "run", old.receipt.run if old else "none", new.receipt.run if new else "none")
        return
    if old.digest == new.digest:
        return
    yield from _metrics(old.metrics, new.metrics)
    yield from _values("parameters", old.source.parameters, new.source.parameters)
    yield from _data(old, new)
    yield from _values("environment", _platform(old), _platform(new))
    yield from _values("environment", old.environment.packages, new.environment.packages)
    yield from _values("provenance", _provenance(old), _provenance(new))


def _platform(bundle: Bundle) -> dict[str, str | None]:
    environment = bundle.environment
    return {"python": environment.python, "image": environment.image, "base image": environment.base_image}


def _metrics(old: Mapping[str, float], new: Mapping[str, float]) -> Iterator[Row]:
    """All metrics, those that are equal on both sides too."""
    for name in sorted({*old, *new}):
        change = f"{new[name] - old[name]:+.6g}" if name in old and name in new and old[name] != new[name] else ""
        before, after = (f"{metrics[name]:.6g}" if name in metrics else "none" for metrics in (old, new))
        yield Row("metrics", name, before, after, change)


def _values(section: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Row]:
    """The values that differ; a parameter that a run was not given had the notebook's default."""
    missing = "default" if section == "parameters" else "none"
    for name in sorted(name for name in {*old, *new} if old.get(name) != new.get(name)):
        before, after = (missing if values.get(name) is None else str(values[name]) for values in (old, new))
        yield Row(section, name, before, after)


def _data(old: Bundle, new: Bundle) -> Iterator[Row]:
    for name in sorted({*old.data, *new.data}):
        first, second = (bundle.data[name].days if name in bundle.data else {} for bundle in (old, new))
        counts = {
            "added": len(second.keys() - first.keys()),
            "removed": len(first.keys() - second.keys()),
            "changed": sum(first[day] != second[day] for day in first.keys() & second.keys()),
        }
        before, after = (f"{min(days)} to {max(days)}" if days else "none" for days in (first, second))
        change = ", ".join(f"{count} days {what}" for what, count in counts.items() if count)
        if change:
            yield Row("data", name, before, after, change)


def _provenance(bundle: Bundle) -> dict[str, str]:
    builders = {reproduction.builder for reproduction in bundle.reproductions} - {bundle.receipt.builder}
    return {
        "run": bundle.receipt.run,
        "commit": bundle.source.commit[:12],
        "reproduced by": ", ".join(sorted(builders)) or "nobody else",
        "promoted by": bundle.promoted.by,
        "why": bundle.promoted.why,
    }


def text(diffs: list[ModelDiff], before: str, after: str) -> str:
    """The models as text, a line for each row."""
    return "\n\n".join(_text(diff, before, after or HERE) for diff in diffs)


def _text(diff: ModelDiff, before: str, after: str) -> str:
    before, after = (visible(name, kept="") for name in (before, after))
    if not diff.rows:
        return f"{diff.name}: the same in {before} and {after}"
    cells = [(f"  {row.name}", row.before, row.after, row.change) for row in diff.rows]
    title, *lines = align([(diff.name, before, after, ""), *cells])
    output, section = [title], ""
    for row, line in zip(diff.rows, lines, strict=True):
        output += [row.section] if row.section != section else []
        output.append(line)
        section = row.section
    return "\n".join(output)


def markdown(diffs: list[ModelDiff], before: str, after: str) -> str:
    """The models as Markdown tables, for a pull request."""
    return "\n\n".join(_markdown(diff, before, after or HERE) for diff in diffs)


def _markdown(diff: ModelDiff, before: str, after: str) -> str:
    name = f"**{inert(diff.name)}**"
    if not diff.rows:
        return f"{name}: the same in {inert(before)} and {inert(after)}"
    rows = [(row.section, row.name, row.before, row.after, row.change) for row in diff.rows]
    return f"{name}\n\n{table(('', '', before, after, ''), rows)}"
