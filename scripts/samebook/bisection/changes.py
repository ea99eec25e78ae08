"""The changes from one run to another, by their receipts and the files of their commits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from samebook.bisection import pieces
from samebook.bisection.pieces import FileChange
from samebook.bisection.search import Change, Leaf
from samebook.core import git
from samebook.core.errors import UsageError
from samebook.core.text import visible
from samebook.environment import numerics
from samebook.records import receipt
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json

# The longest text of a value that is shown.
WIDTH = 60
ABSENT, DEFAULT = "nothing", "its default"


@dataclass(frozen=True)
class Sides:
    """Two runs: their receipts, with each day of their datasets, and the files of both that differ.

    `links` are the paths of links that differ: nothing is written through one.
    """

    before: Json
    after: Json
    files: Mapping[str, FileChange]
    links: Sequence[str] = ()

    @cached_property
    def changes(self) -> list[Change]:
        """The changes, in the order in which they are made: code needs its packages, and takes its parameters."""
        return [*self._packages(), *self._files(), *self._inputs(), *self._conditions(), *self._parameters()]

    def untried(self) -> list[str]:
        """What differs and can't be changed here, a line each."""
        facts = {f"the {name}": name for name in ("processor", "platform", "engine")}
        facts["variables of the shell"] = receipt.CALLERS
        sides = [_internal(statement) for statement in (self.before, self.after)]
        lines = [
            f"{name}{_became(*(_machine(side, key) for side in sides))}"
            for name, key in facts.items()
            if _machine(sides[0], key) != _machine(sides[1], key)
        ]
        return [*lines, *(f"{path}: a link" for path in self.links)]

    @cached_property
    def locks(self) -> list[str]:
        """The paths of the locks that differ, and are there on both sides."""
        return [path for path, change in self.files.items() if is_lock(path) and change.before and change.after]

    def _packages(self) -> Iterator[Change]:
        versions: tuple[dict[str, str], dict[str, str]] = ({}, {})
        names: dict[str, None] = {}
        for path in self.locks:
            change = self.files[path]
            texts = [(content or b"").decode(errors="replace") for content in (change.before, change.after)]
            old, new = map(pieces.entries, texts)
            names |= dict.fromkeys(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))
            for side, entries in zip(versions, (old, new), strict=True):
                side.update({name: entry.partition("==")[2].split()[0] for name, entry in entries.items()})
        parts = []
        for name in names:
            old_version, new_version = (side.get(name, "none") for side in versions)
            same = f" ({old_version}, by other files)"
            became = f" ({old_version} became {new_version})" if old_version != new_version else same
            parts.append(_leaf(f"package {name}{became}", "package", name))
        yield from _group("the packages", parts)

    def _files(self) -> Iterator[Change]:
        notebook = receipt.external_parameters(self.after)["notebook"]
        for path in sorted(self.files.keys() - set(self.locks), key=lambda path: (path == notebook, path)):
            change = self.files[path]
            words = "" if change.pieces else f", {'new' if change.before is None else 'gone'}"
            words = words if None in (change.before, change.after) else ""
            parts = [
                _leaf(f"{path}{f', {name}' if name else words}", "file", path, str(number))
                for number, name in change.names().items()
            ]
            yield from _group(path, parts)

    def _inputs(self) -> Iterator[Change]:
        """The inputs that both have read, and that differ; what only one has read follows from something else."""
        old, new = receipt.inputs(self.before), receipt.inputs(self.after)
        groups: dict[str, list[Change]] = {}
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name]:
                label = Label.parse(name)
                group = f"the days of {label.name}" if label.kind is Kind.DAY else name
                title = name if label.kind is Kind.INPUT else f"input {name}"
                groups.setdefault(group, []).append(_leaf(title, "input", name))
        for name, parts in groups.items():
            yield from _group(name, parts)

    def _conditions(self) -> Iterator[Change]:
        old, new = _internal(self.before), _internal(self.after)
        for name in ("numerics", "threads"):
            if old.get(name) != new.get(name):
                yield _leaf(f"{name}{_became(old.get(name), new.get(name))}", name)
        if is_lowered(self.before) != is_lowered(self.after):
            levels = ["the next lower level" if is_lowered(side) else "its own" for side in (self.before, self.after)]
            yield _leaf(f"the processor's level{_became(*levels)}", "processor")

    def _parameters(self) -> Iterator[Change]:
        old, new = (receipt.external_parameters(statement) for statement in (self.before, self.after))
        if old["env"] != new["env"]:
            yield _leaf(f"the environment{_became(old['env'], new['env'])}", "env")
        values = [side["parameters"] for side in (old, new)]
        for name in sorted({*values[0], *values[1]}):
            before, after = (side.get(name, DEFAULT) for side in values)
            if json.dumps(before) != json.dumps(after):
                yield _leaf(f"parameter {name}{_became(before, after)}", "parameter", name)


def is_lock(path: str) -> bool:
    """Whether a file is a lock of packages."""
    return path.startswith("environments/") and path.endswith(".txt")


def is_lowered(statement: Json) -> bool:
    """Whether a run had a lower level of its processor, as a trial may."""
    processor = _internal(statement).get("processor")
    variables = processor.get("variables") if isinstance(processor, dict) else None
    return variables in [numerics.below(level) for level in numerics.BELOW]


def of_trees(before: Path, after: Path) -> tuple[dict[str, FileChange], list[str]]:
    """The files of two checkouts that differ, by path, and the links that do."""
    files: dict[str, FileChange] = {}
    links: list[str] = []
    for name in sorted({*_names(before), *_names(after)}):
        paths = [side / name for side in (before, after)]
        if any(path.is_symlink() for path in paths):
            targets = [path.readlink() if path.is_symlink() else None for path in paths]
            links += [name] * (targets[0] != targets[1])
            continue
        old, new = (path.read_bytes() if path.is_file() else None for path in paths)
        if old != new:
            mode = next(path.stat().st_mode & 0o777 for path in reversed(paths) if path.is_file())
            files[name] = FileChange.of(name, old, new, mode)
    return files, links


def check_same_notebook(before: Json, after: Json) -> None:
    """Raise UsageError for runs of two notebooks: nothing turns one into the other."""
    names = [receipt.external_parameters(statement)["notebook"] for statement in (before, after)]
    if names[0] != names[1]:
        raise UsageError(
            f"the runs are of two notebooks, {visible(names[0])} and {visible(names[1])}; expected two runs of one",
            mend="make runs",
        )


def _names(checkout: Path) -> list[str]:
    """The files of a checkout's commit and of its patch."""
    listed = git.git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [name.decode(errors="surrogateescape") for name in listed.split(b"\0") if name]


def _leaf(name: str, *leaf: str) -> Change:
    place: Leaf = leaf
    return Change(visible(name, kept=""), frozenset({place}))


def _group(name: str, parts: Sequence[Change]) -> Iterator[Change]:
    """One change of several parts; a part that is alone stands for itself."""
    if len(parts) > 1:
        yield Change(visible(name, kept=""), frozenset().union(*(part.leaves for part in parts)), tuple(parts))
    yield from parts if len(parts) == 1 else ()


def _internal(statement: Json) -> Json:
    return statement["predicate"]["buildDefinition"].get("internalParameters", {})


def _machine(internal: Json, key: str) -> Any:
    """A fact of the machine; of the processor its model and level, as its variables follow from the numerics."""
    value = internal.get(key)
    if key == "processor" and isinstance(value, dict):
        return f"{value.get('model')}, {value.get('level')}"
    return value or ABSENT


def _became(before: object, after: object) -> str:
    return f" ({_short(before)} became {_short(after)})"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}…"
