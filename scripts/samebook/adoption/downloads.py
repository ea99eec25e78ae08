"""The addresses that a notebook downloads at run time, which become inputs: fetched once, and known by their hash.

The code reads them by `samebook.input_path`, from an entry of environments/inputs.yml, or from a file given as DATA.
"""

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from pydantic import ValidationError

from samebook.adoption import addresses, data_files
from samebook.adoption.code import cells
from samebook.adoption.code.cells import Edit, Note
from samebook.adoption.data_files import Beside, Copy
from samebook.environment.fields import url_parts
from samebook.environment.input_entries import Entry


@dataclass(frozen=True)
class Download:
    """An address, and the name that it gets in environments/inputs.yml; `cell` is the number of its first cell."""

    cell: int
    url: str
    name: str


@dataclass(frozen=True)
class Downloads:
    """What becomes inputs, files given in place of addresses, the code that reads them, and what a person should know.

    `downloads` lack what environments/inputs.yml has already.
    """

    downloads: tuple[Download, ...]
    copies: tuple[Copy, ...]
    texts: list[str]
    notes: tuple[Note, ...]


def plan(texts: Sequence[str], beside: Beside, notebooks: Path, entries: Mapping[str, Entry]) -> Downloads:
    """What becomes of the addresses that these code cells read; `entries` are those of environments/inputs.yml."""
    uses = addresses.uses(texts)
    names = _Names(beside, notebooks, {entry.origin: name for name, entry in entries.items() if entry.origin})
    names.own = {_plain(use.url): path for use in uses if (path := _of_repository(use.url, beside.limit))}
    edits: dict[int, list[Edit]] = {}
    notes: list[Note] = []
    for use in uses:
        if use.is_own and names.is_beside(use.url):
            continue
        reason = "" if use.text else "the code has to read the file by samebook.input_path"
        name = "" if reason else names.of(use.url, use.cell)
        if not name:
            notes.append(Note(use.cell, f"reads {use.url} at run time, which may be another tomorrow", reason or FIX))
            continue
        edit = Edit(use.start, use.end, use.text.format(f'samebook.input_path("{name}")'))
        text = texts[use.cell - 1]
        edits.setdefault(use.cell, []).extend([*(cells.first_line(text, line) for line in use.imports), edit])
    rewritten = [cells.edited(text, dict.fromkeys(edits.get(number, []))) for number, text in enumerate(texts, start=1)]
    return Downloads(
        tuple(names.new.values()), tuple(names.copies.values()), rewritten, tuple(dict.fromkeys([*notes, *names.notes]))
    )


FIX = "bring the file, and name it as DATA: environments/inputs.yml can't hold this address"


@dataclass
class _Names:
    """The names of addresses as inputs: a given file's, that of an entry, or a free one.

    `own` are files of the repository, by names of addresses that say where they lie.
    """

    beside: Beside
    notebooks: Path
    known: dict[str, str]
    new: dict[str, Download] = field(default_factory=dict[str, Download])
    copies: dict[str, Copy] = field(default_factory=dict[str, Copy])
    notes: list[Note] = field(default_factory=list[Note])
    own: dict[str, Path] = field(default_factory=dict[str, Path])

    def of(self, url: str, cell: int) -> str:
        """The name; "" where the address can't be an input."""
        if url in self.known:
            return self.known[url]
        plain = _plain(url)
        given = next((path for path in self.beside.data if path.name == plain), None)
        if given is None and (given := self.own.get(plain)):
            self.notes.append(Note(cell, f"reads {url}: the repository's own {plain} takes its place"))
        if given:
            copy = data_files.copy("", given, self.notebooks, self.copies)
            self.copies[copy.target] = copy
            name = Path(copy.target).name if copy.is_large else copy.target.removeprefix("notebooks/")
        else:
            try:
                Entry.model_validate({"from": url})
            except ValidationError:
                return ""
            name = next(name for name in _numbered(plain) if self._is_free(name))
            self.new[url] = Download(cell, url, name)
        self.known[url] = name
        return name

    def is_beside(self, url: str) -> bool:
        """Whether the file of an address lies beside the notebook; then it comes along, under its name."""
        path = self.beside.folder / _plain(url)
        if not path.is_file():
            return False
        copy = data_files.copy(path.name, path, self.notebooks, self.copies)
        self.copies[copy.target] = copy
        return copy.target == f"notebooks/{path.name}"

    def _is_free(self, name: str) -> bool:
        """Whether nothing else is read by this name: a file has the same bytes only by chance."""
        root = self.notebooks.parent
        places = (self.notebooks, root, root / "data", self.beside.folder)
        return name not in self.known.values() and not any((place / name).exists() for place in places)


def _of_repository(url: str, limit: Path) -> Path | None:
    """The repository's file that lies as the address says, in a folder of the same name; None where several differ.

    By its name alone a file would take the place of another one: many are called train.csv.
    """
    if not (limit / ".git").exists():
        return None
    parts = Path(unquote(url_parts(url).path)).parts
    files = [path for path in sorted(limit.rglob(glob.escape(_plain(url)))) if path.is_file() and not path.is_symlink()]
    most = max((data_files.alike(path.parts, parts) for path in files), default=0)
    best = [path for path in files if data_files.alike(path.parts, parts) == most]
    return best[0] if most > 1 and len({path.read_bytes() for path in best}) == 1 else None


def _plain(url: str) -> str:
    """The name of an address: the last part of its path, or else its host."""
    last = re.sub(r"[^\w.-]+", "_", unquote(url_parts(url).path).rstrip("/").rpartition("/")[2]).strip("._")
    return last or re.sub(r"[^\w.-]+", "_", url_parts(url).netloc)


def _numbered(name: str) -> Iterator[str]:
    path = Path(name)
    yield name
    yield from (f"{path.stem}-{number}{path.suffix}" for number in range(2, 1000))
