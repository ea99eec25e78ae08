"""Uncommitted changes of a checkout: a patch on HEAD, and the names of the changes that it can't hold.

Git works here in a folder of its own, with its own index, objects and attributes: the user's repository is only read.
So files count by their bytes, whatever filters, line endings, replaced objects and index flags make of them.
"""

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from samebook.core import git
from samebook.core.digest import sha256

# These options overrule the user's configuration: a patch must apply on any machine.
PLAIN = ("--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")
PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
RAW = ("-c", "core.autocrlf=false", "-c", "core.safecrlf=false", "-c", "core.fsmonitor=false")
ATTRIBUTES = "* -text -filter -ident !working-tree-encoding\n"

# Files that Python and Jupyter write beside a notebook, and no run reads as its source.
CACHES = ("__pycache__/", ".ipynb_checkpoints/", ".pytest_cache/", ".ruff_cache/", ".mypy_cache/", "*.egg-info/")
# A run reads its source in these folders: files there that git ignores are not the commit's.
SOURCES = ("notebooks", "environments", "scripts")

# The largest size of all changed files together, in MB.
LIMIT, MB = 50, 10**6
POINTER, POINTER_SIZE = b"version https://git-lfs.github.com/spec/v1\n", 1024


@dataclass(frozen=True)
class Changes:
    """The uncommitted changes: `patch` is empty where all is committed, and None where it can't hold them.

    `unpatched` names the changes that it can't hold, each with the reason.
    """

    patch: bytes | None
    unpatched: tuple[str, ...] = ()


def changes(root: Path, results: Sequence[Path] = (), limit: int = LIMIT) -> Changes:
    """The uncommitted changes of the repository around `root`, new files included.

    `results` are folders that hold no source; a link in the place of such a folder is not a change. `limit` is the
    largest size of all changed files, in MB. Raises UsageError with git's own message where git fails.
    """
    top = Path(_line(root, "rev-parse", "--show-toplevel"))
    with tempfile.TemporaryDirectory() as folder:
        repository = _Repository.create(top, Path(folder), results)
        names = repository.names()
        size = sum(_size(top / name) for name in names)
        unpatched = [*repository.nested(), *repository.ignored(root)]
        if size > limit * MB:
            large = max(names, key=lambda name: _size(top / name))
            unpatched.append(f"{large}: {size // MB} MB of changes, more than the {limit} MB of a patch")
        return Changes(None, tuple(unpatched)) if unpatched else Changes(repository.patch(names))


def names(root: Path, patch: bytes) -> list[str]:
    """The files that git changes by a patch, sorted: git reads more forms of one than it writes."""
    top = Path(_line(root, "rev-parse", "--show-toplevel"))
    lines = git.git(top, "apply", "--numstat", "-z", "-", stdin=patch).split(b"\0")
    return sorted(os.fsdecode(line.split(b"\t", 2)[2]) for line in lines if line)


@dataclass(frozen=True)
class _Repository:
    """A repository of its own over the user's checkout: it borrows the objects, and writes none there."""

    top: Path
    env: dict[str, str]

    @classmethod
    def create(cls, top: Path, folder: Path, results: Sequence[Path]) -> "_Repository":
        facts = _line(top, "rev-parse", "HEAD", "--show-object-format", "--git-path", "objects")
        head, object_format, path = facts.split("\n", 2)
        objects = top / path
        exclude = objects.parent / "info" / "exclude"
        git.git(folder, "init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", ".")
        (folder / "info").mkdir(exist_ok=True)
        (folder / "info" / "attributes").write_text(ATTRIBUTES)
        links = [f"/{path.relative_to(top)}" for path in results if path.is_symlink() and path.is_relative_to(top)]
        own = exclude.read_text() if exclude.is_file() else ""
        (folder / "info" / "exclude").write_text("\n".join((own, *CACHES, *links, "")))
        (folder / "objects" / "info").mkdir(exist_ok=True)
        (folder / "objects" / "info" / "alternates").write_text(f"{objects.resolve()}\n")
        (folder / "HEAD").write_text(f"{head}\n")
        env = {"GIT_DIR": str(folder), "GIT_WORK_TREE": str(top)}
        repository = cls(top, env)
        repository.git("read-tree", "HEAD")
        return repository

    def git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return git.git(self.top, *RAW, *arguments, env=self.env, stdin=stdin)

    def listed(self, *arguments: str) -> list[str]:
        return [os.fsdecode(name) for name in self.git(*arguments).split(b"\0") if name]

    def names(self) -> list[str]:
        """The files that are changed, removed or new; a file of git-lfs is unchanged where its pointer names it."""
        changed = self.listed("diff", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=all")
        new = (name for name in self._others if not name.endswith("/"))
        return [*(name for name in changed if not self._is_pointed_at(name)), *new]

    def nested(self) -> Iterator[str]:
        """The repositories inside the repository that are not as its commit says."""
        yield from (f"{name}: a repository of its own" for name in self._others if name.endswith("/"))
        for name, commit in git.submodules(self.top, "HEAD"):
            path = self.top / name
            if not (path / ".git").exists():
                if path.is_dir() and any(path.iterdir()):
                    yield f"{name}/: files in the place of a submodule"
            elif git.head(path) != commit:
                yield f"{name}/: a submodule at another commit"
            elif changes(path) != Changes(b""):
                yield f"{name}/: changes in a submodule"

    def ignored(self, root: Path) -> Iterator[str]:
        """The files and folders among the sources of runs that git ignores."""
        folders = [str((root / name).relative_to(self.top)) for name in SOURCES if (root / name).is_dir()]
        options = ("-z", "--others", "--ignored", "--exclude-standard", "--directory")
        for name in self.listed("ls-files", *options, "--", *folders) if folders else ():
            if not is_cache(name):
                yield f"{name}: git ignores it"

    def patch(self, names: Sequence[str]) -> bytes:
        if not names:
            return b""
        self.git("update-index", "-z", "--add", "--remove", "--stdin", stdin=b"\0".join(map(os.fsencode, names)))
        return self.git("diff", "--cached", *PLAIN, *PREFIXES, "HEAD")

    @cached_property
    def _others(self) -> list[str]:
        return self.listed("ls-files", "-z", "--others", "--exclude-standard")

    def _is_pointed_at(self, name: str) -> bool:
        path = self.top / name
        entry = self.git("ls-tree", "-z", "--long", "--full-tree", "HEAD", "--", f":(literal){name}").split()
        if len(entry) < 4 or not entry[3].isdigit() or int(entry[3]) > POINTER_SIZE or not path.is_file():
            return False
        pointer = self.git("cat-file", "blob", entry[2].decode())
        return pointer.startswith(POINTER) and f"oid sha256:{sha256(path)}\n".encode() in pointer


def is_cache(name: str) -> bool:
    """Whether a path is in a folder of caches."""
    return any(fnmatchcase(f"{part}/", cache) for part in Path(name).parts for cache in CACHES)


def _line(root: Path, *arguments: str) -> str:
    return os.fsdecode(git.git(root, *arguments)).removesuffix("\n")


def _size(path: Path) -> int:
    try:
        state = path.lstat()
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0
