"""Git's objects for an update of a project: trees that are made beside its repository, and applied as a whole."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from samebook.core import git, signals
from samebook.core.errors import UsageError
from samebook.core.git import NO_HOOKS
from samebook.core.workspace import copy_whole

# The files of a commit or a folder, by their paths: the mode and the hash of each.
type Tree = dict[str, str]
BYTES = ("-c", "core.autocrlf=false", "-c", "core.safecrlf=false", "-c", "core.fileMode=true")


@dataclass(frozen=True)
class Objects:
    """The objects of the repository at `root`, and new ones in `folder`."""

    root: Path
    folder: Path

    def committed(self) -> Tree:
        """The tree of HEAD."""
        entries = _entries(git.git(self.root, "ls-tree", "-r", "-z", "--full-tree", "HEAD"))
        return {path: f"{mode} {digest}" for path, (mode, _, digest) in entries}

    def of_folder(self, folder: Path) -> Tree:
        """The tree of all files in a folder, whatever git is told to ignore."""
        index = {"GIT_INDEX_FILE": f"{folder}.index", "GIT_WORK_TREE": str(folder)}
        self._git(*BYTES, "add", "--all", "--force", ".", root=folder, env=index)
        entries = _entries(self._git("ls-files", "--stage", "-z", root=folder, env=index))
        return {path: f"{mode} {digest}" for path, (mode, digest, _) in entries}

    def content(self, entry: str) -> bytes:
        """The content of a file in a tree."""
        return self._git("cat-file", "blob", entry.split()[1])

    def entry(self, mode: str, content: bytes) -> str:
        """The file of a tree with a mode and a content."""
        return f"{mode} {self._git('hash-object', '-w', '--stdin', stdin=content).decode().strip()}"

    def write(self, tree: Tree) -> str:
        """Write a tree; returns its hash."""
        self._git("read-tree", "--empty")
        lines = (f"{entry}\t{path}\0" for path, entry in tree.items())
        self._git("update-index", "-z", "--index-info", stdin=os.fsencode("".join(lines)))
        return self._git("write-tree").decode().strip()

    def check_out(self, tree: Tree, folder: Path) -> None:
        """Write the files of a tree into a folder."""
        self.write(tree)
        self._git("checkout-index", "--all", f"--prefix={folder}/")

    def difference(self, tree: str, *paths: str) -> str:
        """The difference of HEAD and a tree as text, in these paths."""
        options = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")
        return self._git("diff", *options, "HEAD", tree, "--", *paths).decode(errors="replace")

    def apply(self, tree: str, new: Sequence[str], conflicts: Mapping[str, Iterable[str | None]]) -> None:
        """Bring index and files of the project, which has no changes, from HEAD to a tree, or leave all as it is.

        `new` are the files of the tree that HEAD has not. Each conflict has the three versions of its file, which the
        index keeps as those of a merge.
        """
        for path in (self.folder / "objects").glob("??/*"):
            if not (target := self._own / path.parent.name / path.name).exists():
                copy_whole(path, target)
        lines = [f"0 {'0' * len(tree)}\t{path}\0" for path in conflicts]
        lines += [
            f"{entry} {stage}\t{path}\0"
            for path, entries in conflicts.items()
            for stage, entry in enumerate(entries, 1)
            if entry
        ]
        with signals.ignored():
            try:
                self._change("read-tree", "-m", "-u", "HEAD", tree)
                self._change("update-index", "-z", "--index-info", stdin=os.fsencode("".join(lines)))
            except BaseException:
                with suppress(UsageError):
                    self._change("read-tree", "--reset", "-u", "HEAD")
                for name in new:
                    (self.root / name).unlink(missing_ok=True)
                raise

    @cached_property
    def _own(self) -> Path:
        """The folder of the repository's own objects."""
        name = git.git(self.root, "rev-parse", "--git-path", "objects")
        return self.root / os.fsdecode(name).removesuffix("\n")

    @cached_property
    def _env(self) -> dict[str, str]:
        (self.folder / "objects").mkdir(exist_ok=True)
        return {
            "GIT_DIR": os.fsdecode(git.git(self.root, "rev-parse", "--absolute-git-dir")).removesuffix("\n"),
            "GIT_WORK_TREE": str(self.root),
            "GIT_INDEX_FILE": str(self.folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(self.folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self._own),
        }

    def _git(
        self, *arguments: str, stdin: bytes = b"", root: Path | None = None, env: Mapping[str, str] | None = None
    ) -> bytes:
        return git.git(root or self.root, *arguments, stdin=stdin, env={**self._env, **(env or {})})

    def _change(self, *arguments: str, stdin: bytes = b"") -> None:
        git.git(self.root, "-c", NO_HOOKS, *arguments, stdin=stdin)


def _entries(output: bytes) -> list[tuple[str, list[str]]]:
    """Each path in a list of git's, with its three fields."""
    lines = (line.partition(b"\t") for line in output.split(b"\0") if line)
    return [(os.fsdecode(path), fields.decode().split()) for fields, _, path in lines]
