"""The data files that a notebook reads, by the literals in its code: where they are, and where they go.

A file keeps its path below the notebook's folder, so that the code stays as it is; another one goes to
`notebooks/data/`, and the literal is rewritten. What git should not hold goes to `data/`, which git ignores; its
name becomes `samebook.input_path(…)`, which records it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from samebook.adoption.code import cells, literals
from samebook.adoption.code.cells import Edit, Note
from samebook.adoption.code.literals import Literal
from samebook.core.digest import sha256
from samebook.core.errors import UsageError

# Bytes that git should hold of one file, at most.
LARGEST = 5_000_000
URL = re.compile(r"(https?|ftp|s3|gs)://", re.IGNORECASE)
ABSOLUTE = re.compile(r"(/|~|[A-Za-z]:[\\/])")


@dataclass(frozen=True)
class Copy:
    """A file to copy: from where, and to where below the workspace."""

    source: Path
    target: str
    is_large: bool


@dataclass(frozen=True)
class DataFiles:
    """The files of a notebook: those to copy, the code with their new paths, and what a person should know."""

    copies: tuple[Copy, ...]
    texts: list[str]
    notes: tuple[Note, ...]


def given(paths: Iterable[Path]) -> list[Path]:
    """The files among DATA, those of a folder with all below it. Raises UsageError for an unreadable one."""
    files: list[Path] = []
    for path in paths:
        try:
            if path.is_dir():
                files += _below(path)
            else:
                with path.open("rb"):
                    files.append(path)
        except OSError as error:
            raise UsageError(
                f"data {path} can't be read: {error.strerror}; expected a file or a folder", mend=f"ls -l {path.parent}"
            ) from None
    return files


@dataclass(frozen=True)
class Beside:
    """What a notebook can read: its folder, the folder that no file may be outside of, and the files given besides.

    `named` are those of `data` that were given themselves, not by their folder: they come along whatever the code says.
    """

    folder: Path
    limit: Path
    data: Sequence[Path] = ()
    named: Sequence[Path] = ()


def plan(texts: Sequence[str], beside: Beside, notebooks: Path, planned: Iterable[Copy] = ()) -> DataFiles:
    """What becomes of the files that these code cells read, beside the copies that are planned already."""
    copies = {copy.target: copy for copy in planned}
    edits: dict[int, list[Edit]] = {}
    notes: list[Note] = []
    for literal in literals.find(texts):
        if URL.match(literal.text):
            continue
        path = _found(literal.text, beside)
        if path is None:
            if literals.SUFFIX.search(literal.text) or ABSOLUTE.match(literal.text):
                notes.append(Note(literal.cell, f"reads {literal.text}, which is not here", "name the file as DATA"))
            continue
        listed = [file for file in _listed(literal.text, path) if _is_inside(file, beside)]
        small = [file for file in listed if file.stat().st_size <= LARGEST]
        copies |= {made.target: made for made in _of_folder(literal.text, path, small, notebooks)}
        if len(small) < len(listed):
            text = (
                f"lists {literal.text}, with files above {LARGEST / 1e6:.0f} MB, which git should not hold: they stay"
            )
            notes.append(Note(literal.cell, text, "name them as DATA, and read them by samebook.input_path"))
        if path.is_file():
            made = copy(literal.text, path, notebooks, copies)
            copies[made.target] = made
            edits.setdefault(literal.cell, []).extend(_edits(literal, made, texts[literal.cell - 1]))
    for path in beside.named:
        if not any(made.source == path for made in copies.values()):
            made = copy("", path, notebooks, copies)
            copies[made.target] = made
    notes += [_size(made) for made in copies.values() if made.is_large]
    rewritten = [cells.edited(text, dict.fromkeys(edits.get(number, []))) for number, text in enumerate(texts, start=1)]
    return DataFiles(tuple(copies.values()), rewritten, tuple(dict.fromkeys(notes)))


def _listed(text: str, path: Path) -> list[Path]:
    """The files of a folder below the notebook that the code lists; none of any other folder."""
    parts = PurePosixPath(text).parts
    if not path.is_dir() or ABSOLUTE.match(text) or ".." in parts or not parts:
        return []
    return _below(path)


def _is_inside(file: Path, beside: Beside) -> bool:
    """Whether a file is no link out of the folder that files may come from, or was given by the person."""
    return file in beside.data or file.resolve().is_relative_to(beside.limit.resolve())


def _below(folder: Path) -> list[Path]:
    """All files below a folder, in order, without those of git."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and ".git" not in file.parts)


def _of_folder(text: str, path: Path, files: Iterable[Path], notebooks: Path) -> Iterator[Copy]:
    """The copies of a folder's files, each at its own path below the notebook."""
    for file in files:
        target = f"notebooks/{PurePosixPath(text) / file.relative_to(path).as_posix()}"
        if is_free(target, file, notebooks.parent, {}):
            yield Copy(file, target, is_large=False)


def _edits(literal: Literal, copy: Copy, text: str) -> list[Edit]:
    """The new text for a file's name: where git does not hold the file, its hash and its bytes are kept by its run."""
    name = copy.target.removeprefix("notebooks/")
    if copy.is_large:
        named = f'samebook.input_path("{Path(name).name}")'
        return [cells.first_line(text, "import samebook"), Edit(literal.start, literal.end, named)]
    stays = name == literal.text.removeprefix("./") and not literal.is_joined
    return [] if stays else [Edit(literal.start, literal.end, f'"{name}"')]


def _found(text: str, beside: Beside) -> Path | None:
    """The file that a literal names: beside the notebook, as from a folder above it, or the given one most alike."""
    candidates = list[Path]()
    with suppress(OSError, ValueError, RuntimeError):  # a null, links around, a user that nobody knows
        path = Path(*_parts(text)).expanduser()
        above = [folder / path for folder in (beside.folder, *beside.folder.absolute().parents)]
        candidates += [place for place in above if place.resolve().is_relative_to(beside.limit.resolve())]
    with_same_name = [file for file in beside.data if file.name == _parts(text)[-1]]
    candidates += sorted(with_same_name, key=lambda file: -alike(file.parts, _parts(text)))
    for candidate in candidates:
        with suppress(OSError, ValueError):  # a name that is too long, or holds a null
            if candidate.exists():
                return candidate
    return None


def _parts(text: str) -> tuple[str, ...]:
    """The parts of a path, of Windows too."""
    return (PureWindowsPath(text) if "\\" in text else PurePosixPath(text)).parts or ("",)


def alike(first: Sequence[str], second: Sequence[str]) -> int:
    """How many last parts two paths have in common."""
    pairs = list(zip(reversed(first), reversed(second), strict=False))
    return next((count for count, (a, b) in enumerate(pairs) if a != b), len(pairs))


def copy(text: str, path: Path, notebooks: Path, copies: Mapping[str, Copy]) -> Copy:
    """The copy of a file: at the path that the code names, or else in a folder data/, where no other one is."""
    names = [path.name, *(f"{path.stem}-{number}{path.suffix}" for number in range(2, 100))]
    is_large = path.stat().st_size > LARGEST
    inside = PurePosixPath(text)
    stays = text and "\\" not in text and not ABSOLUTE.match(text) and ".." not in inside.parts and not is_large
    targets = [f"notebooks/{inside}"] * bool(stays)
    # By its name alone a large file is read, and one beside the notebook would be read in its place.
    earlier = ("", "notebooks/") if is_large else ()
    targets += [
        f"{'' if is_large else 'notebooks/'}data/{name}"
        for name in names
        if all(is_free(f"{folder}{name}", path, notebooks.parent, {}) for folder in earlier)
    ]
    return Copy(path, next(name for name in targets if is_free(name, path, notebooks.parent, copies)), is_large)


def is_free(target: str, path: Path, root: Path, copies: Mapping[str, Copy]) -> bool:
    """Whether nothing, or the same bytes, is at this path of the workspace, now and in the plan."""
    planned, present = copies.get(target), root / target
    if planned and planned.source.resolve() != path.resolve():
        return False
    return not present.exists() or (present.is_file() and sha256(present) == sha256(path))


def _size(copy: Copy) -> Note:
    size = copy.source.stat().st_size
    text = f"{copy.target} has {size / 1e6:.0f} MB, too much for git: it goes to data/, which git ignores"
    return Note(0, text, "each run records its hash; others get it from the shared store: make push")
