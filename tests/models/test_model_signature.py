"""The signature of a promoted model's folder, which the tool `model_signing` verifies from outside."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import promoting
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from forging import commit
from promoting import promoted_bundle, run_of
from test_signing import key
from tiny import CHECKOUT, Tiny

from samebook.core.errors import PolicyRefused, UsageError
from samebook.core.workspace import Workspace
from samebook.environment.model_sections import Promotion
from samebook.models import admission, lookup, model_signature
from samebook.models.bundle import Artifact
from samebook.records import signing
from samebook.store import objects

pytestmark = pytest.mark.host
UV = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
# The tool of OpenSSF Model Signing, and what it imports without asking for it.
TOOL = ("--with", "model-signing==1.1.1", "--with", "pyopenssl==26.4.0")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with a run of level 3, and its gate's run."""
    tiny = promoting.create(tmp_path_factory.mktemp("signature") / "workspace", 3)
    assert tiny.samebook("run", "gate", "-p", f"candidate={run_of(tiny, 3)}").code == 0
    return tiny


@pytest.fixture
def tiny(site: Tiny, tmp_path: Path) -> Tiny:
    return promoting.copy(site, tmp_path / "workspace")


def p256(path: Path) -> Path:
    """Write a new private key for ECDSA on P-256; the path of its public half."""
    private, public = generate_private_key(SECP256R1()), path.with_suffix(".pub")
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public


def verified(folder: Path, public: Path) -> subprocess.CompletedProcess[str]:
    """What the tool says of a folder and the signature in it."""
    options = ("--signature", folder / "model.sig", "--public_key", public)
    run = (UV, "run", "--quiet", "--no-project", "--python", sys.executable, *TOOL, "python", "-m", "model_signing")
    command = [*run, "verify", "key", folder, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_tool_verifies_the_folder(tiny: Tiny, tmp_path: Path) -> None:
    """The public key of whoever has promoted a model verifies its folder; another key, and another file, do not.

    Statements that were signed stand in claims.jsonl, each a sigstore bundle of an in-toto statement.
    """
    public, other = p256(tmp_path / "me.pem"), p256(tmp_path / "other.pem")
    signed = {"SIGNING_KEY": str(tmp_path / "me.pem")}
    assert tiny.samebook("promote", run_of(tiny, 3), "delay", **signed).code == 0
    assert promoted_bundle(tiny)["promoted"]["signature"]
    assert tiny.samebook("models", "delay").code == 0
    folder = (tiny.root / "models" / ".files" / "delay").resolve()
    assert (done := verified(folder, public)).returncode == 0, done.stderr
    assert verified(folder, other).returncode != 0
    claims = [json.loads(line) for line in (folder / "claims.jsonl").read_text().splitlines()]
    statements = [json.loads(base64.b64decode(claim["dsseEnvelope"]["payload"])) for claim in claims]
    assert [item["predicateType"] for item in statements] == ["https://model_signing/signature/v1.0"]
    assert json.loads((folder / "model.sig").read_text()) == claims[0]
    model = folder / "model.txt"
    model.chmod(0o644)
    model.write_text("another model")
    assert verified(folder, public).returncode != 0
    assert tiny.samebook("models", "delay").code == 0  # which mends the file
    assert verified((tiny.root / "models" / ".files" / "delay").resolve(), public).returncode == 0


def test_claims_of_signed_statements(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipts, attestations and the gate's receipt are claims where they are signed, also by ed25519."""
    key(tmp_path / "me.pem")
    signed = {"SIGNING_KEY": str(tmp_path / "me.pem")}
    for notebook, *parameters in (("train", "level=5"), ("gate", "candidate=train")):
        options = [option for parameter in parameters for option in ("-p", parameter)]
        assert tiny.samebook("run", notebook, *options, **signed).code == 0
    attestation = promoting.attest(tiny, 5)
    with monkeypatch.context() as patch:
        patch.setenv("SIGNING_KEY", signed["SIGNING_KEY"])
        signing.sign(attestation, attestation.read_bytes())
    assert tiny.samebook("promote", run_of(tiny, 5), "delay", **signed).code == 0
    assert "signature" not in promoted_bundle(tiny)["promoted"]  # by ed25519 no tool verifies a model
    assert tiny.samebook("models", "delay").code == 0
    folder = tiny.root / "models" / ".files" / "delay"
    lines = (folder / "claims.jsonl").read_text().splitlines()
    payloads = [json.loads(base64.b64decode(json.loads(line)["dsseEnvelope"]["payload"])) for line in lines]
    train, reproduction, gate = payloads
    assert reproduction == json.loads(attestation.read_bytes())
    notebooks = [item["predicate"]["buildDefinition"]["externalParameters"]["notebook"] for item in (train, gate)]
    assert notebooks == ["notebooks/train.ipynb", "notebooks/gate.ipynb"]
    assert not (folder / "model.sig").exists()


def test_unsigned_model(tiny: Tiny) -> None:
    """A model that nobody has signed has its own files alone in its folder."""
    assert tiny.samebook("promote", run_of(tiny, 3), "delay").code == 0
    assert tiny.samebook("models", "delay").code == 0
    files = sorted(path.name for path in (tiny.root / "models" / ".files" / "delay").iterdir())
    assert files == ["model.txt", "reference.json"]


def test_name_that_is_taken(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that has a file of the signature's name is not signed over it."""
    assert tiny.samebook("promote", run_of(tiny, 3), "delay").code == 0
    p256(tmp_path / "me.pem")
    monkeypatch.setenv("SIGNING_KEY", str(tmp_path / "me.pem"))
    workspace = Workspace(tiny.root)
    model = lookup.read(workspace, "delay")
    taken = {**model.artifacts, "outputs/model.sig": model.artifacts["outputs/model.txt"]}
    with pytest.raises(UsageError, match=r"an output model\.sig, where a model's signature stands"):
        model_signature.promoted(model.model_copy(update={"artifacts": taken}), objects.local_store(workspace))


@pytest.mark.forger
def test_signer_of_a_release_is_trusted(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the policy asks for signatures, that of a model is an owner's who may sign releases, and of this model."""
    public = p256(tmp_path / "ada.pem")
    trusted = tiny.root / "environments" / "trusted-keys"
    trusted.mkdir()
    (trusted / "ada.pem").write_bytes(public.read_bytes())
    (trusted / "owners.yml").write_text("ada: {keys: [ada], signs: [runs]}\n")
    commit(tiny)
    assert tiny.samebook("promote", run_of(tiny, 3), "delay").code == 0
    monkeypatch.setenv("SIGNING_KEY", str(tmp_path / "ada.pem"))
    workspace = Workspace(tiny.root)
    model, store = lookup.read(workspace, "delay"), objects.local_store(workspace)
    with pytest.raises(PolicyRefused, match="signed by ada of ada, who may not sign releases"):
        model_signature.promoted(model, store, signing.trusted_keys(workspace))
    (trusted / "owners.yml").write_text("ada: {keys: [ada], signs: [releases]}\n")
    commit(tiny)
    keys = signing.trusted_keys(workspace)
    signed = model_signature.promoted(model, store, keys)
    assert model_signature.problem(store, signed, keys) == ""
    other = signed.model_copy(
        update={"artifacts": {**signed.artifacts, "outputs/new": Artifact(sha256="0" * 64, size=1)}}
    )
    assert "not what was signed" in model_signature.problem(store, other, keys)
    p256(tmp_path / "stranger.pem")
    monkeypatch.setenv("SIGNING_KEY", str(tmp_path / "stranger.pem"))
    with pytest.raises(PolicyRefused, match="an unknown key"):
        model_signature.promoted(model, store, keys)


@pytest.mark.forger
@pytest.mark.parametrize("content", [b"no JSON", b"[]", b"{}", b'{"dsseEnvelope": 1, "signatures": [1]}', b"[" * 9999])
def test_bundle_of_a_stranger(tiny: Tiny, content: bytes) -> None:
    """Contents that a bundle names as signatures, and that are none, stand in no folder; a planted file goes."""
    assert tiny.samebook("promote", run_of(tiny, 3), "delay").code == 0
    workspace = Workspace(tiny.root)
    model, store = lookup.read(workspace, "delay"), objects.local_store(workspace)
    digest = store.put(content)
    named = {"promoted": model.promoted.model_copy(update={"signature": digest})}
    named["receipt"] = model.receipt.model_copy(update={"envelope": digest})
    stranger = model.model_copy(update=named)
    assert not any(model_signature.files(store, stranger).values())
    assert model_signature.problem(store, stranger, {}) != ""
    assert tiny.samebook("models", "delay").code == 0
    planted = (tiny.root / "models" / ".files" / "delay").resolve() / "model.sig"
    planted.write_bytes(content)
    assert tiny.samebook("models", "delay").code == 0
    assert not planted.exists()


@pytest.mark.forger
def test_signature_that_is_not_here(tiny: Tiny) -> None:
    """A signature that a bundle names, and that the store lacks, is no finding: the signature has to be brought."""
    assert tiny.samebook("promote", run_of(tiny, 3), "delay").code == 0
    workspace = Workspace(tiny.root)
    model = lookup.read(workspace, "delay")
    named = model.promoted.model_copy(update={"signature": "0" * 64})
    resealed = model.model_copy(update={"promoted": named}).sealed()
    (tiny.root / "models" / "delay.json").write_bytes(resealed.content())
    with pytest.raises(PolicyRefused, match="the signature of its folder is not here") as refusal:
        admission.check(workspace, Promotion(signed=True), resealed, "prod")
    assert refusal.value.mend == "make pull ENV=prod"
