"""Signatures, made and broken with real keys."""

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import SSlibKey
from tiny import Result, Tiny

from samebook.core import signing_key
from samebook.core.errors import PolicyRefused, UsageError
from samebook.records import signing
from samebook.records.signing import Purpose, SignedFile, TrustedKey


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A workspace that trusts one key, with a run signed by it."""
    folder = tmp_path_factory.mktemp("signing")
    tiny = Tiny.create(folder / "workspace")
    (tiny.root / "environments" / "trusted-keys").mkdir()
    public = key(folder / "me.pem")
    (tiny.root / "environments" / "trusted-keys" / "me.pem").write_bytes(public)
    tiny.notebook("work", work="import samebook\nsamebook.output_path('a.txt').write_text('a')")
    assert tiny.samebook("run", "work", SIGNING_KEY=str(folder / "me.pem")).code == 0
    return tiny


def key(path: Path) -> bytes:
    """Write a new private key; its public half."""
    private = Ed25519PrivateKey.generate()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def copy(signed: Tiny, tmp_path: Path) -> Path:
    """A copy of the signed run, to be broken."""
    return Path(shutil.copytree(signed.last, tmp_path / "run"))


def verify(tiny: Tiny, run: Path) -> Result:
    return tiny.samebook("verify", str(run / "receipt.json"))


def test_signed_run_verifies(signed: Tiny) -> None:
    """An untouched run verifies, and names who signed it."""
    ended = verify(signed, signed.last)
    assert ended.code == 0, ended.stderr
    assert "signed by me" in ended.stdout


def test_changed_byte_is_named(signed: Tiny, copy: Path) -> None:
    """One changed byte of an output is found, and the file named."""
    (copy / "outputs" / "a.txt").write_text("b")
    ended = verify(signed, copy)
    assert ended.code == 3
    assert "outputs/a.txt" in ended.stderr


def test_swapped_subject_is_found(signed: Tiny, copy: Path) -> None:
    """A receipt whose subject was swapped is not what was signed."""
    receipt = json.loads((copy / "receipt.json").read_text())
    receipt["subject"][0]["digest"]["sha256"] = "0" * 64
    (copy / "receipt.json").write_text(json.dumps(receipt))
    ended = verify(signed, copy)
    assert ended.code == 6
    assert "not what was signed" in ended.stderr


def test_stripped_signature_is_found(signed: Tiny, copy: Path) -> None:
    """Where keys are trusted, a receipt without a signature is refused."""
    (copy / "receipt.json.dsse").unlink()
    ended = verify(signed, copy)
    assert ended.code == 6
    assert "no signature" in ended.stderr


def test_unknown_key_is_found(signed: Tiny, tmp_path: Path) -> None:
    """A signature by a key that isn't trusted here is refused, and the trusted ones are named."""
    key(tmp_path / "stranger.pem")
    assert signed.samebook("run", "work", SIGNING_KEY=str(tmp_path / "stranger.pem")).code == 0
    stranger = signed.last
    ended = verify(signed, stranger)
    shutil.rmtree(stranger)
    assert ended.code == 6
    assert "trusted: me" in ended.stderr


def test_envelope_must_be_one(signed: Tiny, copy: Path) -> None:
    """A broken envelope is refused."""
    (copy / "receipt.json.dsse").write_text("{}")
    assert verify(signed, copy).code == 6


def test_bad_key_stops_early(signed: Tiny, tmp_path: Path) -> None:
    """A signing key that can't be read is an error before a run starts."""
    (tmp_path / "bad.pem").write_text("no key")
    before = len(signed.runs)
    ended = signed.samebook("run", "work", SIGNING_KEY=str(tmp_path / "bad.pem"))
    assert ended.code == 2
    assert len(signed.runs) == before


@pytest.mark.secrets
def test_key_among_the_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signing key in the checkout is refused where git would take it into the patch, and so into the store; a blank
    line, as `printenv` adds one, and the few characters of a last line are in any text.
    """
    text = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\nb3==\n-----END PRIVATE KEY-----\n\n"
    (tmp_path / "me.pem").write_text(text)
    monkeypatch.setenv("SIGNING_KEY", str(tmp_path / "me.pem"))
    signing.check_uncommitted(b"")
    signing.check_uncommitted(b"+b3==\n")
    signing.check_uncommitted(b"+-----BEGIN PRIVATE KEY-----\n+b3RoZXI=\n")
    with pytest.raises(PolicyRefused, match="holds the signing key"):
        signing.check_uncommitted(b"+-----BEGIN PRIVATE KEY-----\n+Y2FuYXJ5\n")


def test_signature_is_over_what_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process of the notebook writes over a receipt before it is signed is not signed."""
    public = load_pem_public_key(key(tmp_path / "me.pem"))
    trusted = {"me": TrustedKey("me", "me", frozenset(Purpose), SSlibKey.from_crypto(public))}
    monkeypatch.setenv("SIGNING_KEY", str(tmp_path / "me.pem"))
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(b"forged")
    signing.sign(receipt, b"made")
    with pytest.raises(PolicyRefused, match="not what was signed"):
        signing.verify(SignedFile.read(receipt), trusted, Purpose.RUNS)
    receipt.write_bytes(b"made")
    assert signing.verify(SignedFile.read(receipt), trusted, Purpose.RUNS) == [*trusted.values()]


def test_large_file_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file in place of a key is refused, and a program that it is handed to does not wait for a reader."""
    path = tmp_path / "large"
    path.write_bytes(b"-" * (1 << 20))
    monkeypatch.setattr(signing_key, "_key", signing_key._read(str(path)))
    with signing_key.handed({}) as (variables, (reader,)):
        assert variables == {"SIGNING_KEY": f"/dev/fd/{reader}"}
    with pytest.raises(UsageError, match="is not a private key"):
        signing.check_key()
