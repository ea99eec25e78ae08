"""Signatures of statements: DSSE envelopes with ed25519, through securesystemslib.

A signed `receipt.json` has `receipt.json.dsse` beside it: an envelope whose payload is that file, byte for byte.
The trusted keys are the PEM files in environments/trusted-keys/. openssl makes a pair:

    openssl genpkey -algorithm ed25519 -out me.pem
    openssl pkey -in me.pem -pubout -out environments/trusted-keys/me.pem
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from samebook.core.digest import json_bytes
from samebook.core.errors import PolicyRefused, UsageError
from samebook.core.workspace import Workspace, write_whole

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner, Key

PAYLOAD_TYPE = "application/vnd.in-toto+json"
SUFFIX = ".dsse"


def envelope_path(statement: Path) -> Path:
    """The path of the envelope of a statement's file."""
    return statement.with_name(statement.name + SUFFIX)


def sign(statement: Path) -> Path | None:
    """Sign a statement's file with the PEM file in SIGNING_KEY; returns the envelope's path, None without a key."""
    key = os.environ.get("SIGNING_KEY")
    if not key:
        return None
    from securesystemslib.dsse import Envelope

    envelope = Envelope(statement.read_bytes(), PAYLOAD_TYPE, {})
    envelope.sign(_signer(Path(key)))
    write_whole(envelope_path(statement), json_bytes(envelope.to_dict()))
    return envelope_path(statement)


def check_key() -> None:
    """Raise UsageError where SIGNING_KEY is not a usable key, so that a run fails before it starts."""
    if key := os.environ.get("SIGNING_KEY"):
        _signer(Path(key))


def _signer(path: Path) -> "CryptoSigner":
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        signer = CryptoSigner(load_pem_private_key(path.read_bytes(), password=None))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"SIGNING_KEY={path} is not a private key that can be read: {error}",
            mend="openssl genpkey -algorithm ed25519 -out key.pem",
        ) from error
    if signer.public_key.scheme != "ed25519":
        raise UsageError(f"SIGNING_KEY={path}: found a key for {signer.public_key.scheme}; expected ed25519")
    return signer


def trusted_keys(workspace: Workspace) -> dict[str, "Key"]:
    """The trusted keys, by the name of their file."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    keys: dict[str, Key] = {}
    for path in sorted((workspace.environments / "trusted-keys").glob("*.pem")):
        try:
            keys[path.stem] = SSlibKey.from_crypto(load_pem_public_key(path.read_bytes()))
        except ValueError as error:
            raise UsageError(f"{workspace.relative(path)} is not a public key: {error}") from error
    return keys


def signers(workspace: Workspace, statement: Path) -> list[str]:
    """The names of the trusted keys that signed a statement's file; empty where no key is trusted and none signed.

    Raises PolicyRefused for a signature that is missing, by an unknown key, or of other bytes.
    """
    from securesystemslib.dsse import Envelope

    keys, path = trusted_keys(workspace), envelope_path(statement)
    if not path.is_file():
        if keys:
            raise PolicyRefused(
                f"{statement.name} carries no signature, and only signed ones are trusted here",
                mend="SIGNING_KEY=… make run, or ask the author for the .dsse file beside it",
            )
        return []
    try:
        envelope = Envelope.from_dict(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyRefused(f"{path.name} is not a DSSE envelope: {error}") from error
    if envelope.payload_type != PAYLOAD_TYPE or envelope.payload != statement.read_bytes():
        raise PolicyRefused(f"{statement.name} is not what was signed: the envelope holds other bytes, or another type")
    return _verify(envelope, keys, path.name)


def _verify(envelope: "Envelope", keys: dict[str, "Key"], file: str) -> list[str]:
    """The names of the trusted keys whose signatures the envelope has. Raises PolicyRefused where it has none."""
    from securesystemslib.exceptions import VerificationError

    names = {key.keyid: name for name, key in keys.items()}
    accepted: dict[str, Key] = {}
    if keys:
        with suppress(VerificationError):
            accepted = envelope.verify(list(keys.values()), threshold=1)
    if not accepted:
        signatures = ", ".join(keyid[:12] for keyid in envelope.signatures) or "none"
        raise PolicyRefused(
            f"{file}: an unknown key, or a wrong signature: found {signatures}; trusted: {', '.join(keys) or 'none'}",
            mend="put the signer's public key into environments/trusted-keys/, if you trust it",
        )
    return sorted(names[keyid] for keyid in accepted)
