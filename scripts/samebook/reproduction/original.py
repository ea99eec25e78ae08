"""The run that is reproduced: its receipt and its files, checked before anything runs.

A verdict must not speak for altered files, or for a receipt whose signature is broken.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import NotReproduced
from samebook.core.text import word
from samebook.core.workspace import Workspace
from samebook.records import evidence, receipt, signing
from samebook.records.comparison import Side
from samebook.records.signing import Purpose
from samebook.reproduction import rerun
from samebook.store import objects

# The sha256 of no bytes: an empty file tells nothing.
EMPTY = sha256(b"")


@dataclass(frozen=True)
class Original:
    """The run that is reproduced: its receipt's path, the sha256 and content of the receipt, and who signed it."""

    path: Path
    digest: str
    statement: receipt.Json
    signers: list[str]


def read(workspace: Workspace, path: Path) -> Original:
    """The run of a receipt. Raises NotReproduced for altered files beside it, PolicyRefused for a broken signature."""
    statement = receipt.read(path)
    digest = sha256(path)
    keys = signing.signers(workspace, path, Purpose.RUNS) if signing.envelope_path(path).is_file() else []
    if altered := evidence.alterations(evidence.file_states(workspace, path, statement)):
        raise NotReproduced(
            f"{path} can't be reproduced, as files beside it are not what it says: {'; '.join(altered)}",
            mend=f"the receipt alone will do: cp {word(path)} /tmp && make reproduce RUN=/tmp/{word(path.name)}",
        )
    return Original(path, digest, statement, [key.name for key in keys])


def check_unread(workspace: Workspace, original: Original, checkout: Path, undeclared: Mapping[str, str]) -> None:
    """Raise NotReproduced where a new run has read results of earlier ones: it need not have computed anything.

    `undeclared` has the sha256 of each file that it has read without declaring it, in its checkout or by its path
    elsewhere. A link may give a file any name, and be gone: what has the content of one of the original's files is it,
    but for files of the checkout, which the run may have written.
    """
    names = [original.path.parent, workspace.runs, objects.local_store(workspace).root]
    root, *paths = (f"{os.path.realpath(folder)}/" for folder in (workspace.root, *names))
    # A receipt that somebody has sent may lie in the home folder, or anywhere above the checkout.
    folders = tuple(path for path in paths if not root.startswith(path))
    files = {*receipt.file_digests(original.statement).values(), original.digest} - {EMPTY}
    for name, digest in undeclared.items():
        path = Path(os.path.realpath(checkout / name))
        is_own = path.is_relative_to(os.path.realpath(checkout)) and path.exists()
        if not is_own and (digest in files or str(path).startswith(folders)):
            raise NotReproduced(
                f"the new run has read an earlier result, {name!a}: nobody can say that it has computed its own",
                mend="git grep -n runs -- notebooks",
            )


def side(workspace: Workspace, original: Original) -> Side:
    """The run's subjects; their bytes come from its folder where the hash holds, else from the store."""
    digests, store = receipt.subject_digests(original.statement), objects.local_store(workspace)

    def content(name: str) -> bytes | None:
        path = original.path.parent / name
        if path.is_file() and sha256(path) == digests[name]:
            return path.read_bytes()
        return rerun.read_object(store, digests[name], lambda _: None)

    return Side(digests, content)
