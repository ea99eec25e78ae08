"""The judges of models: the gates' notebooks, and the modules and queries of the repository that they use."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from samebook.core import git
from samebook.core.errors import UsageError
from samebook.environment import yaml_file
from samebook.review.span import Span

# Where a notebook finds modules and queries; samebook itself has a row of its own.
USED = re.compile(r"(?:notebooks|scripts)/(?!samebook/).*\.(?:py|sql)")
WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")


def paths(span: Span) -> set[str]:
    """The paths of the notebooks by which the base compares models, and of each file that they may use.

    A file may be used where its name is a word of a gate, or of another file that may be: a module can be imported, and
    a query be read, in more ways than could be told from code. A file of either side of the change counts.
    """
    gates = set(_gates(span))
    sides = [(commit, git.blobs(span.root, commit)[0]) for commit in (span.before, span.after)]
    found, waiting = set(gates), [*gates]
    while waiting:
        path = waiting.pop()
        words = {word.decode() for commit, files in sides if path in files for word in _words(span, commit, path)}
        used = {name for _, files in sides for name in files if USED.fullmatch(name) and _name(name) in words}
        waiting += sorted(used - found)
        found |= used
    return found


def _words(span: Span, commit: str, path: str) -> list[bytes]:
    return WORD.findall(git.show(span.root, commit, path))


def _name(path: str) -> str:
    """The word by which code names a module or a query: a package's is its folder's."""
    file = PurePosixPath(path)
    return file.parent.name if file.name == "__init__.py" else file.stem


def _gates(span: Span) -> Iterator[str]:
    """The paths of the notebooks by which the base compares models."""
    for name in git.file_names(span.root, span.base, "environments", ".yml"):
        path = f"environments/{name}.yml"
        try:
            gate = yaml_file.parse(git.show(span.root, span.base, path), path)["promotion"]["gate"]["notebook"]
        except (UsageError, KeyError, TypeError):
            continue  # no policy with a gate
        yield f"notebooks/{gate}.ipynb"
