"""The data files that a notebook reads, by the literals in its code: where they are, and where they go.

A file keeps its path below the notebook's folder, so that the code stays as it is; another one goes to
`notebooks/data/`, and the literal is rewritten. What git should not hold goes to `data/`, which git ignores; its
name becomes `samebook.input_path(…)`, which records it.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from samebook.adoption import cells
from samebook.adoption.cells import Edit, Note
from samebook.core.digest import sha256
from samebook.core.errors import UsageError

# Bytes that git should hold of one file, at most.
LARGEST = 5_000_000
# Calls whose first argument is a file's name, by their last name; `read_sql` and the like take a query.
READERS = re.compile(
    r"(read_(csv|table|fwf|excel|json|parquet|feather|hdf|pickle|stata|sas|spss|xml|orc|text|html|image|file|data\w*)"
    r"|open|load|loads?_?(txt|mat|dataset|img|image|wb|workbook)|genfromtxt|fromfile|imread|loadtxt|loadmat|Path"
    r"|ExcelFile|HDFStore|File|ZipFile|glob|listdir|scan_\w+)"
)
NAMES = ("filepath_or_buffer", "path", "fname", "file", "filename", "io", "path_or_buf")
SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")
URL = re.compile(r"(https?|ftp|s3|gs)://", re.IGNORECASE)
ABSOLUTE = re.compile(r"(/|~|[A-Za-z]:[\\/])")


@dataclass(frozen=True)
class Literal:
    """A string in the code that names a file: the number of its cell, its text, and its place in the cell."""

    cell: int
    text: str
    start: int
    end: int


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


def literals(texts: Iterable[str]) -> list[Literal]:
    """The strings that code cells read files by: arguments of readers, and those assigned to a name they are read by.

    A file that is opened for writing is none.
    """
    return [literal for number, text in enumerate(texts, start=1) for literal in _in_cell(number, text)]


def _in_cell(number: int, text: str) -> Iterator[Literal]:
    nodes = [*_arguments(text), *_assigned(text)]
    for node in sorted({id(node): node for node in nodes}.values(), key=lambda node: (node.lineno, node.col_offset)):
        start, end = cells.span(text, node)
        yield Literal(number, str(node.value), start, end)


def _arguments(text: str) -> Iterator[ast.Constant]:
    for call in cells.calls(text):
        name = cells.last_name(call)
        if READERS.fullmatch(name) and not _writes(name, call):
            keywords = [keyword.value for keyword in call.keywords if keyword.arg in NAMES]
            values = (*call.args[:1], *keywords)
            yield from (node for node in values if isinstance(node, ast.Constant) and _is_text(node))


def _assigned(text: str) -> Iterator[ast.Constant]:
    """Strings with a file's suffix that are assigned to a name: `DATA = "a/b.csv"`."""
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and _is_text(node.value):
            name = str(node.value.value)
            yield from [node.value] * bool(SUFFIX.search(name) and " " not in name)


def _is_text(node: ast.Constant) -> bool:
    return isinstance(node.value, str) and bool(node.value.strip())


def _writes(name: str, call: ast.Call) -> bool:
    """Whether `open` is given a mode that writes."""
    modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return name in ("open", "File") and any(
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax")
        for mode in modes
    )


def given(paths: Iterable[Path]) -> list[Path]:
    """The files among DATA, those of a folder with all below it. Raises UsageError for an unreadable one."""
    files: list[Path] = []
    for path in paths:
        try:
            if path.is_dir():
                files += sorted(file for file in path.rglob("*") if file.is_file() and ".git" not in file.parts)
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
    for literal in literals(texts):
        if URL.match(literal.text):
            continue
        path = _found(literal.text, beside)
        if path is None:
            if SUFFIX.search(literal.text) or ABSOLUTE.match(literal.text):
                notes.append(Note(literal.cell, f"reads {literal.text}, which is not here", "name the file as DATA"))
            continue
        listed = _listed(literal.text, path)
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
    return sorted(file for file in path.rglob("*") if file.is_file() and ".git" not in file.parts)


def _of_folder(text: str, path: Path, files: Iterable[Path], notebooks: Path) -> Iterator[Copy]:
    """The copies of a folder's files, each at its own path below the notebook."""
    for file in files:
        target = f"notebooks/{PurePosixPath(text) / file.relative_to(path).as_posix()}"
        if _is_free(target, file, notebooks.parent, {}):
            yield Copy(file, target, is_large=False)


def _edits(literal: Literal, copy: Copy, text: str) -> list[Edit]:
    """The new text for a file's name: where git does not hold the file, its hash and its bytes are kept by its run."""
    name = copy.target.removeprefix("notebooks/")
    if copy.is_large:
        named = f'samebook.input_path("{Path(name).name}")'
        return [cells.first_line(text, "import samebook"), Edit(literal.start, literal.end, named)]
    return [Edit(literal.start, literal.end, f'"{name}"')] if name != literal.text.removeprefix("./") else []


def _found(text: str, beside: Beside) -> Path | None:
    """The file that a literal names: beside the notebook, or the one given whose path ends most alike."""
    candidates = list[Path]()
    with suppress(OSError, ValueError, RuntimeError):  # a null, links around, a user that nobody knows
        path = beside.folder / Path(text).expanduser()
        candidates += [path] * path.resolve().is_relative_to(beside.limit.resolve())
    with_same_name = [file for file in beside.data if file.name == _parts(text)[-1]]
    candidates += sorted(with_same_name, key=lambda file: -_alike(file.parts, _parts(text)))
    for candidate in candidates:
        with suppress(OSError, ValueError):  # a name that is too long, or holds a null
            if candidate.exists():
                return candidate
    return None


def _parts(text: str) -> tuple[str, ...]:
    """The parts of a path, of Windows too."""
    return (PureWindowsPath(text) if "\\" in text else PurePosixPath(text)).parts or ("",)


def _alike(first: Sequence[str], second: Sequence[str]) -> int:
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
        if all(_is_free(f"{folder}{name}", path, notebooks.parent, {}) for folder in earlier)
    ]
    return Copy(path, next(name for name in targets if _is_free(name, path, notebooks.parent, copies)), is_large)


def _is_free(target: str, path: Path, root: Path, copies: Mapping[str, Copy]) -> bool:
    """Whether nothing, or the same bytes, is at this path of the workspace, now and in the plan."""
    planned, present = copies.get(target), root / target
    if planned and planned.source.resolve() != path.resolve():
        return False
    return not present.exists() or (present.is_file() and sha256(present) == sha256(path))


def _size(copy: Copy) -> Note:
    size = copy.source.stat().st_size
    text = f"{copy.target} has {size / 1e6:.0f} MB, too much for git: it goes to data/, which git ignores"
    return Note(0, text, "each run records its hash; others get it from the shared store: make push")
