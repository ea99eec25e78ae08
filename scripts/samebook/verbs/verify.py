"""Check a receipt or a reproduction's attestation: its signature, and every hash in it against the files."""

from dataclasses import dataclass
from pathlib import Path

from samebook.core import workspace
from samebook.core.errors import NotReproduced
from samebook.records import attestations, evidence, receipt, run_folder, signing


@dataclass(frozen=True)
class Verified:
    """What was found in order: who signed, and where each subject's bytes are."""

    signers: list[str]
    subjects: dict[str, str]


def verify(path: Path) -> Verified:
    """Verify the receipt in a file, and what it speaks of: beside it, or in the store.

    Raises PolicyRefused for a signature that doesn't hold, NotReproduced naming each file that is not what the
    receipt says, UsageError for what is no receipt.
    """
    here = workspace.find()
    if attestation := attestations.read(path):
        return _attested(here, path, attestation)
    statement = receipt.read(path)
    signers = signing.signers(here, path)
    found = evidence.files(here, path, statement)
    if wrong := evidence.wrong(found):
        raise NotReproduced("\n  ".join((f"{len(wrong)} of {len(found)} files are not what the receipt says", *wrong)))
    return Verified(signers, found)


def _attested(here: workspace.Workspace, path: Path, attestation: receipt.Json) -> Verified:
    """A reproduction's attestation: signed as it is, and of the receipt that is beside it or in the store."""
    signers = signing.signers(here, path)
    digest = attestation["predicate"]["receipt"]["sha256"]
    state = evidence.where(path.parent, run_folder.RECEIPT, digest, here)
    if evidence.wrong({run_folder.RECEIPT: state}):
        raise NotReproduced(f"the receipt that {path.name} speaks of is not this one: {state}")
    return Verified(signers, {run_folder.RECEIPT: state})


def table(verified: Verified) -> str:
    """The result as text."""
    lines = [f"ok {name}  ({where})" for name, where in verified.subjects.items()]
    signed = f"signed by {', '.join(verified.signers)}" if verified.signers else "not signed, no key trusted here"
    return "\n".join((*lines, f"verified: all {len(lines)} hashes hold; {signed}"))
