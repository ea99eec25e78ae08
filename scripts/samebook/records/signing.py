"""Signatures of statements: DSSE envelopes with ed25519 or ECDSA on P-256, through securesystemslib.

A signed `receipt.json` has `receipt.json.dsse` beside it: an envelope whose payload is that file, byte for byte.
The trusted keys are the PEM files in environments/trusted-keys/ at HEAD. In owners.yml beside them each has an owner,
so that two keys of one person are one person; without that file each key is an owner of its own, who may sign all.
openssl makes a pair:

    openssl genpkey -algorithm ed25519 -out me.pem
    openssl pkey -in me.pem -pubout -out environments/trusted-keys/me.pem
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from samebook.core import head, signing_key
from samebook.core.digest import json_bytes, parse_json
from samebook.core.errors import PolicyRefused, UsageError
from samebook.core.secret import SHORTEST
from samebook.core.workspace import Workspace, write_whole
from samebook.environment import yaml_file
from samebook.records.receipt import Json

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner, Key

PAYLOAD_TYPE = "application/vnd.in-toto+json"
SUFFIX = ".dsse"
SCHEMES = ("ed25519", "ecdsa-sha2-nistp256")  # tools that verify models know the second alone
KEYS, OWNERS = "environments/trusted-keys", "owners.yml"


class Purpose(StrEnum):
    """The kinds of statements that an owner of keys may be trusted to sign."""

    RUNS = "runs"
    REPRODUCTIONS = "reproductions"
    RELEASES = "releases"


@dataclass(frozen=True)
class TrustedKey:
    """A trusted public key: the name of its file, its owner, and what the owner may sign."""

    name: str
    owner: str
    purposes: frozenset[Purpose]
    key: "Key"


@dataclass(frozen=True)
class SignedFile:
    """The bytes of a statement, and of its envelope where there is one."""

    name: str
    content: bytes
    envelope: bytes | None

    @classmethod
    def read(cls, statement: Path) -> Self:
        """The statement in a file, with the envelope beside it."""
        envelope = envelope_path(statement)
        return cls(statement.name, statement.read_bytes(), envelope.read_bytes() if envelope.is_file() else None)


def envelope_path(statement: Path) -> Path:
    """The path of the envelope of a statement's file."""
    return statement.with_name(statement.name + SUFFIX)


def sign(statement: Path, content: bytes) -> Path | None:
    """Sign a statement with the key of this process; returns the envelope's path, None without a key.

    `content` is what this process has made: a process that a notebook has left behind can change the file meanwhile.
    """
    if signed := envelope(content):
        write_whole(envelope_path(statement), json_bytes(signed))
    return envelope_path(statement) if signed else None


def envelope(content: bytes) -> Json | None:
    """The envelope of a statement, signed with the key of this process; None without a key."""
    if (signer := _signer()) is None:
        return None
    from securesystemslib.dsse import Envelope

    signed = Envelope(content, PAYLOAD_TYPE, {})
    signed.sign(signer)
    return signed.to_dict()


def p256_key() -> bytes:
    """The public key of this process in PEM, where it is one for ECDSA on P-256; empty without one."""
    key = signer.public_key if (signer := _signer()) else None
    return key.keyval["public"].encode() if key and key.scheme == SCHEMES[1] else b""


def check_key() -> None:
    """Raise UsageError where SIGNING_KEY is not a usable key, so that a run fails before it starts."""
    _signer()


def check_uncommitted(patch: bytes) -> None:
    """Raise PolicyRefused where the uncommitted work holds the key: it would go into the receipt's patch."""
    key = _key()
    lines = map(bytes.strip, key.content.splitlines() if key else [])
    if any(line in patch for line in lines if len(line) >= SHORTEST and not line.startswith(b"-----")):
        raise PolicyRefused(
            "the uncommitted work of this checkout holds the signing key; expected it outside of the checkout",
            mend="mv key.pem ~/ && export SIGNING_KEY=~/key.pem",
        )


def _key() -> signing_key.SigningKey | None:
    try:
        return signing_key.current()
    except OSError as error:
        raise _refused(f"SIGNING_KEY={error.filename} is not a private key that can be read: {error}") from error


def _signer() -> "CryptoSigner | None":
    """The signer with the key of this process; None without one. Raises UsageError for one that is not usable."""
    key = _key()
    if key is None:
        return None
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        signer = CryptoSigner(load_pem_private_key(key.content, password=None))
    except (ValueError, TypeError) as error:
        raise _refused(f"{key.name} is not a private key that can be read: {error}") from error
    if signer.public_key.scheme not in SCHEMES:
        raise _refused(f"{key.name}: found a key for {signer.public_key.scheme}; expected ed25519, or P-256")
    return signer


def _refused(message: str) -> UsageError:
    return UsageError(message, mend="openssl genpkey -algorithm ed25519 -out key.pem")


def trusted_keys(workspace: Workspace) -> dict[str, TrustedKey]:
    """The keys that are trusted at HEAD, by the name of their file.

    Raises UsageError for a file that is not a public key, a key that has two names, and a key without an owner where
    owners.yml names owners.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    names = [name for name in head.file_names(workspace.root, KEYS) if name.endswith(".pem")]
    owners, keys = _owners(workspace), dict[str, TrustedKey]()
    for name in (name.removesuffix(".pem") for name in names):
        try:
            key = SSlibKey.from_crypto(load_pem_public_key(head.content(workspace.root, f"{KEYS}/{name}.pem") or b""))
        except ValueError as error:
            raise UsageError(
                f"{KEYS}/{name}.pem is not a public key: {error}", mend=f"git rm {KEYS}/{name}.pem"
            ) from error
        if twin := next((other.name for other in keys.values() if other.key.keyid == key.keyid), ""):
            raise UsageError(f"{KEYS}: {twin}.pem and {name}.pem are the same key", mend=f"git rm {KEYS}/{name}.pem")
        if owners is not None and name not in owners:
            raise UsageError(
                f"{KEYS}/{name}.pem has no owner; expected one in {KEYS}/{OWNERS}", mend=f"edit {KEYS}/{OWNERS}"
            )
        owner, purposes = (owners or {}).get(name, (name, frozenset(Purpose)))
        keys[name] = TrustedKey(name, owner, purposes, key)
    return keys


def _owners(workspace: Workspace) -> dict[str, tuple[str, frozenset[Purpose]]] | None:
    """The owner of each key and what the owner may sign, by the key's name; None without owners.yml."""
    path = f"{KEYS}/{OWNERS}"
    content = head.content(workspace.root, path)
    if content is None:
        if head.content(workspace.root, misnamed := f"{KEYS}/owners.yaml") is not None:
            raise UsageError(f"{misnamed} is not read; expected {OWNERS}", mend=f"git mv {misnamed} {path}")
        return None
    owners: dict[str, tuple[str, frozenset[Purpose]]] = {}
    for owner, entry in yaml_file.parse(content, path).items():
        try:
            purposes, keys = frozenset(map(Purpose, entry["signs"])), [str(key) for key in entry["keys"]]
        except (KeyError, TypeError, ValueError):
            expected = f"{owner}: {{keys: [{owner}], signs: [{', '.join(Purpose)}]}}"
            raise UsageError(f"{path}: {owner}: found {entry!r}; expected {expected}", mend=f"edit {path}") from None
        if shared := next((key for key in keys if key in owners), ""):
            raise UsageError(
                f"{path}: the key {shared} belongs to {owners[shared][0]} and to {owner}; expected one",
                mend=f"edit {path}",
            )
        owners |= dict.fromkeys(keys, (owner, purposes))
    return owners


def signers(workspace: Workspace, statement: Path, purpose: Purpose) -> list[TrustedKey]:
    """The trusted keys that signed a statement's file; empty where no key is trusted and none signed.

    Raises PolicyRefused as `verify` does.
    """
    keys, file = trusted_keys(workspace), SignedFile.read(statement)
    return verify(file, keys, purpose) if keys or file.envelope is not None else []


def verify(file: SignedFile, keys: Mapping[str, TrustedKey], purpose: Purpose) -> list[TrustedKey]:
    """The trusted keys that signed a statement, all of owners who may sign for this purpose.

    Raises PolicyRefused for a signature that is missing, of other bytes, or by no key that may sign this.
    """
    from securesystemslib.dsse import Envelope

    if file.envelope is None:
        raise PolicyRefused(
            f"{file.name} carries no signature, and only signed ones are trusted here",
            mend="SIGNING_KEY=key.pem make run",
        )
    try:
        envelope = Envelope.from_dict(parse_json(file.envelope))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PolicyRefused(
            f"{file.name}{SUFFIX} is not a DSSE envelope: {error}", mend=f"rm {file.name}{SUFFIX}"
        ) from error
    if envelope.payload_type != PAYLOAD_TYPE or envelope.payload != file.content:
        raise PolicyRefused(
            f"{file.name} is not what was signed: the envelope holds other bytes, or another type",
            mend=f"rm {file.name}{SUFFIX}",
        )
    accepted = _accepted(envelope, keys, file.name)
    if permitted := [key for key in accepted if purpose in key.purposes]:
        return permitted
    owners = ", ".join(f"{key.name} of {key.owner}" for key in accepted)
    raise PolicyRefused(
        f"{file.name} is signed by {owners}, who may not sign {purpose}",
        mend=f"edit {KEYS}/{OWNERS}, and git commit it: {purpose} for the owner, if you trust it with them",
    )


def _accepted(envelope: "Envelope", keys: Mapping[str, TrustedKey], file: str) -> list[TrustedKey]:
    """The trusted keys whose signatures the envelope has. Raises PolicyRefused where it has none."""
    accepted = [key for key in keys.values() if _has_signed(envelope, key)]
    if not accepted:
        signatures = ", ".join(keyid[:12] for keyid in envelope.signatures) or "none"
        trusted = ", ".join(keys) or "none"
        raise PolicyRefused(
            f"{file}{SUFFIX}: an unknown key, or a wrong signature: found {signatures}; trusted: {trusted}",
            mend=f"git add {KEYS}/NAME.pem && git commit, with the signer's public key, if you trust it",
        )
    return accepted


def _has_signed(envelope: "Envelope", key: TrustedKey) -> bool:
    """Whether a key has signed, by itself: of several keys the library names no more than it is asked for."""
    from securesystemslib.exceptions import VerificationError

    with suppress(VerificationError):
        return bool(envelope.verify([key.key], threshold=1))
    return False
