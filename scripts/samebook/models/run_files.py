"""The files of a finished run, wherever their bytes are: beside its receipt, or in the store, by their sha256."""

from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import NotReproduced, UsageError
from samebook.core.text import word
from samebook.core.workspace import Workspace
from samebook.records import attestations, receipt, run_folder, signing
from samebook.records.receipt import Json
from samebook.store import objects

# A patch is work that its author has not committed: it is shown to nobody else unasked.
PRIVATE = frozenset({run_folder.PATCH})


@dataclass(frozen=True)
class RunFiles:
    """A finished run: its receipt, where that is, and the sha256 of each file that others may see, by name."""

    workspace: Workspace
    path: Path
    statement: Json
    digests: dict[str, str]

    @classmethod
    def read(cls, workspace: Workspace, path: Path) -> "RunFiles":
        """The run of the receipt at `path`. Raises UsageError where that is no receipt."""
        statement = receipt.read(path)
        digests = receipt.file_digests(statement)
        return cls(workspace, path, statement, {name: digests[name] for name in digests.keys() - PRIVATE})

    @property
    def id(self) -> str:
        return self.statement["predicate"]["runDetails"]["metadata"]["invocationId"]

    @property
    def receipt_digest(self) -> str:
        return sha256(self.path)

    @property
    def times(self) -> tuple[str, str]:
        """When the run started and finished."""
        metadata = self.statement["predicate"]["runDetails"]["metadata"]
        return metadata["startedOn"], metadata["finishedOn"]

    def find(self, name: str) -> Path | None:
        """The path of a file with the bytes that the receipt says; None where it is not here.

        Raises NotReproduced for other bytes beside the receipt, DamagedObject for those in the store.
        """
        beside, digest = self.path.parent / name, self.digests[name]
        if beside.is_file() and not beside.is_symlink():
            if (found := sha256(beside)) != digest:
                raise NotReproduced(
                    f"{name} of {self.id}: found sha256 {found[:12]}…, the receipt says {digest[:12]}…",
                    mend=f"make verify RUN={word(self.id)}",
                )
            return beside
        store = objects.local_store(self.workspace)
        if not store.has(digest):
            return None
        for _ in store.chunks(digest):  # which verifies them
            pass
        return store.path(digest)

    def path_of(self, name: str) -> Path:
        """The path of a file. Raises UsageError where it is not here, and as `find` does."""
        if (path := self.find(name)) is None:
            raise UsageError(f"{name} of {self.id} is neither in runs/ nor in the store", mend="make pull")
        return path

    def statements(self) -> list[Path]:
        """The receipt, the attestations of its reproductions, and the envelope with the signature of each."""
        return statements(self.path)


def statements(path: Path) -> list[Path]:
    """The statements about the run of the receipt at `path`, and the envelope with the signature of each."""
    paths = [path, *(beside for beside, _ in attestations.beside(path))]
    return paths + [envelope for item in paths if (envelope := signing.envelope_path(item)).is_file()]
