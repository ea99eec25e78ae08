"""Check a receipt or a reproduction's attestation: its signature, and every hash in it against the files."""

from dataclasses import dataclass
from pathlib import Path

from samebook.core import workspace as workspaces
from samebook.core.errors import NotReproduced
from samebook.core.text import word
from samebook.records import attestations, data_manifest, evidence, receipt, run_folder, signing
from samebook.records.signing import Purpose, TrustedKey
from samebook.store import objects


@dataclass(frozen=True)
class Verification:
    """A verification that held: the keys that signed, and the place of each subject's bytes, by the subject's name.

    `verdict` is that of a reproduction: one that found other bytes is verified as well.
    """

    signers: list[TrustedKey]
    subjects: dict[str, str]
    verdict: str = ""


def verify(path: Path) -> Verification:
    """Verify a receipt or an attestation: its signature, and the files that it names, beside it or in the store.

    Raises PolicyRefused for a signature that doesn't hold, NotReproduced naming each file with another hash than the
    receipt's, UsageError for a file that is not a receipt.
    """
    workspace = workspaces.find()
    if attestation := attestations.read(path):
        return _verify_attestation(workspace, path, attestation)
    statement = receipt.read(path)
    signers = signing.signers(workspace, path, Purpose.RUNS)
    states = evidence.file_states(workspace, path, statement)
    of_lists = data_manifest.states(objects.local_store(workspace), statement)
    states |= {name: problem or evidence.STORED for name, problem in of_lists.items()}
    if wrong := evidence.problems(states):
        raise NotReproduced(
            "\n  ".join((f"{len(wrong)} of {len(states)} files are not what the receipt says", *wrong)),
            mend=f"make reproduce RUN={word(path.parent.name)}",
        )
    return Verification(signers, states)


def _verify_attestation(workspace: workspaces.Workspace, path: Path, attestation: receipt.Json) -> Verification:
    """Verify a reproduction's attestation: its signature, and the hash of the receipt that it is about."""
    signers = signing.signers(workspace, path, Purpose.REPRODUCTIONS)
    digest = attestation["predicate"]["receipt"]["sha256"]
    state = evidence.file_state(workspace, path.parent, run_folder.RECEIPT, digest)
    if evidence.problems({run_folder.RECEIPT: state}):
        raise NotReproduced(
            f"the receipt that {path.name} speaks of is not this one: {state}",
            mend=f"make reproduce RUN={word(path.parent.name)}",
        )
    return Verification(signers, {run_folder.RECEIPT: state}, attestations.facts(attestation)["verdict"])


def table(verification: Verification) -> str:
    """The result as text, a line for each subject."""
    lines = [f"ok {name}  ({place})" for name, place in verification.subjects.items()]
    names = (key.name if key.name == key.owner else f"{key.name} of {key.owner}" for key in verification.signers)
    signature = f"signed by {', '.join(names)}" if verification.signers else "not signed, no key trusted here"
    verdict = f"; its verdict is {verification.verdict}" if verification.verdict else ""
    return "\n".join((*lines, f"verified: all {len(lines)} hashes hold; {signature}{verdict}"))
