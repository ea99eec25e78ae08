"""The span of a review: what a branch has changed since it left another."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from samebook.core import git
from samebook.core.errors import UsageError

DOTS = ".."


@dataclass(frozen=True)
class Span:
    """The changes from the commit `before`, where the branch has left `base`, to the commit `after`.

    `base` is the commit that a merge goes into; it is another than `before` where it has gone on since.
    """

    root: Path
    base: str
    before: str
    after: str

    @cached_property
    def paths(self) -> dict[str, str]:
        """The letter of git for each file that has changed below `root`, by its path: A added, D removed, M changed."""
        return self.changes(self.before, self.after)

    def changes(self, before: str, after: str) -> dict[str, str]:
        """The letter of git for each file below `root` that differs between two commits, by its path."""
        options = ("--name-status", "--no-renames", "--ignore-submodules=none", "--relative", "-z")
        output = git.git(self.root, "diff", *options, before, after)
        words = output.decode(errors="surrogateescape").split("\0")
        return dict(zip(words[1::2], words[::2], strict=False))

    def contents(self, path: str) -> tuple[bytes, bytes]:
        """A file before and after; empty where it is missing."""
        status = self.paths.get(path, "M")
        before = b"" if status == "A" else git.show(self.root, self.before, path)
        return before, b"" if status == "D" else git.show(self.root, self.after, path)

    def counts(self) -> tuple[int, int]:
        """The number of commits of the branch, and of those that it lacks of its base."""
        ahead, behind = (
            int(git.git(self.root, "rev-list", "--count", f"{old}..{new}"))
            for old, new in ((self.base, self.after), (self.after, self.base))
        )
        return ahead, behind


def parse(root: Path, text: str) -> Span:
    """The span of a text like main..HEAD; what is left out is HEAD. Raises UsageError where there is no such span."""
    base, dots, head = text.partition(DOTS)
    if not dots or not base or head.startswith("."):
        raise UsageError(
            f"{text!r}; expected two branches, tags or commits with two dots between, like main..HEAD",
            mend="make review RANGE=main..HEAD",
        )
    commits = [git.commit(root, name) for name in (base, head or "HEAD")]
    fork = git.git(root, "merge-base", *commits, accepted=1).decode().strip()
    if not fork:
        if git.is_shallow(root):
            raise UsageError(f"history is cut off before {base} and {head} meet", mend="git fetch --unshallow")
        raise UsageError(f"{base} and {head or 'HEAD'} have no commit in common", mend=f"git log --oneline {base}")
    return Span(root, commits[0], fork, commits[1])
