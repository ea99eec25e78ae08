"""Tiny repositories whose runs are reproduced: their Makefile uses the environment of the tests."""

from pathlib import Path

import shared_imports
from tiny import Result, Tiny, git, shorten_lock

MAKEFILE = """environment:
\t@{environment}
run:
\t@SAMEBOOK_WORKSPACE=$(CURDIR) {samebook} run --receipt $(RECEIPT)
"""


def make_repository(root: Path, environment: str = "true", **cells: str) -> Tiny:
    """A repository with the notebook `sum`, committed; its cells by keyword."""
    tiny = Tiny.create(root)
    shorten_lock(tiny)
    tiny.notebook("sum", **(cells or {"work": "import samebook\nsamebook.log_metric('n', 6)\nprint(6)"}))
    (tiny.root / "Makefile").write_text(MAKEFILE.format(environment=environment, samebook=shared_imports.program()))
    (tiny.root / ".gitignore").write_text("/runs/\n/store/\n/data/\n/.samebook/\n")
    git(tiny, "init", "--quiet")
    commit(tiny)
    return tiny


def commit(tiny: Tiny) -> None:
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "work")


def run(tiny: Tiny, *arguments: str, **variables: str) -> Path:
    ended = tiny.samebook("run", "sum", *arguments, **variables)
    assert ended.code == 0, ended.stderr
    return tiny.last


def reproduce(tiny: Tiny, what: str = "sum", *options: str, **variables: str) -> Result:
    """Reproduce, after which the checkout is as it was, and nothing of the checkout aside is left."""
    before = git(tiny, "status", "--porcelain")
    ended = tiny.samebook("reproduce", what, *options, **variables)
    assert git(tiny, "status", "--porcelain") == before
    assert len(git(tiny, "worktree", "list").splitlines()) == 1
    assert not list((tiny.root / ".samebook").glob("worktree-*"))
    return ended
