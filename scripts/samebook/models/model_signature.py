"""The signature of a promoted model's folder by OpenSSF Model Signing: a sigstore bundle over the hashes of its files.

https://github.com/sigstore/model-transparency: its tool `model_signing` verifies the folder with the public key of
whoever has promoted the model. Beside it in the folder, claims.jsonl has all signed statements about the model, each
line a sigstore bundle too: the model's signature, its receipt, its reproductions, the gate's receipt.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress

from samebook.core.digest import json_bytes, parse_json, sha256
from samebook.core.errors import PolicyRefused, UsageError
from samebook.models import reproducers
from samebook.models.bundle import Bundle
from samebook.records import receipt, signing
from samebook.records.receipt import Json
from samebook.records.signing import KEYS, OWNERS, Purpose, SignedFile, TrustedKey
from samebook.store.objects import DamagedObject, Store

SIGNATURE, CLAIMS = "model.sig", "claims.jsonl"
TYPE = "https://model_signing/signature/v1.0"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def sign(bundle: Bundle) -> bytes | None:
    """The sigstore bundle over a model's files, by the key of this process; None without a key that the tool knows."""
    key = signing.p256_key()
    envelope = signing.envelope(json_bytes(_statement(bundle))) if key else None
    return json_bytes(_bundle(envelope, sha256(key))) if envelope else None


def promoted(bundle: Bundle, store: Store, keys: Mapping[str, TrustedKey] | None = None) -> Bundle:
    """The bundle with the signature of its model, which goes into the store; as it is without a key that can sign it.

    Raises UsageError where a file of the model has the name of the signature's, or of the claims', PolicyRefused where
    trusted `keys` are given and the owner of this one may not sign releases.
    """
    if (content := sign(bundle)) is None:
        return bundle
    if taken := sorted({SIGNATURE, CLAIMS} & bundle.outputs.keys()):
        raise UsageError(f"the run has an output {taken[0]}, where a model's signature stands", mend="make promote")
    signed = bundle.promoted.model_copy(update={"signature": store.put(content)})
    bundle = bundle.model_copy(update={"promoted": signed}).sealed()
    if keys is not None and (finding := problem(store, bundle, keys)):
        raise PolicyRefused(f"the model can't be signed with this key: {finding}", mend=f"edit {KEYS}/{OWNERS}")
    return bundle


def problem(store: Store, bundle: Bundle, keys: Mapping[str, TrustedKey]) -> str:
    """The finding that the signature of a model is none of a trusted key whose owner may sign releases; "" for an
    unsigned model.
    """
    if bundle.promoted.signature is None:
        return ""
    if (signature := _signature(store, bundle)) is None:
        return f"{SIGNATURE} is no sigstore bundle"
    file = SignedFile(SIGNATURE, json_bytes(_statement(bundle)), json_bytes(signature["dsseEnvelope"]))
    return reproducers.signature_problem(file, keys, Purpose.RELEASES)


def files(store: Store, bundle: Bundle) -> dict[str, bytes]:
    """The files that stand beside those of a model in its folder, by name, of the statements that the store has; empty
    where there is none.
    """
    signature = _signature(store, bundle)
    claims = [*([signature] if signature else []), *_claims(store, bundle)]
    lines = (json.dumps(claim, sort_keys=True, separators=(",", ":")) for claim in claims)
    beside = {
        SIGNATURE: json_bytes(signature) if signature else b"",
        CLAIMS: "".join(f"{line}\n" for line in lines).encode(),
    }
    return {name: content for name, content in beside.items() if name not in bundle.outputs}


def _signature(store: Store, bundle: Bundle) -> Json | None:
    """The sigstore bundle that a model's bundle, which may be anybody's, names as its signature; None for none."""
    signature = _content(store, bundle.promoted.signature)
    return signature if isinstance(signature.get("dsseEnvelope"), dict) else None


def _claims(store: Store, bundle: Bundle) -> Iterator[Json]:
    """A sigstore bundle of each signed statement: of the receipt, its reproductions, the gate's receipt and its own."""
    gate = bundle.promoted.gate
    statements = [bundle.receipt, *bundle.reproductions, *(gate.reproductions if gate else ())]
    for digest in (*(statement.envelope for statement in statements), gate.envelope if gate else None):
        envelope = _content(store, digest)
        with suppress(LookupError, TypeError):  # a bundle may name anything
            yield _bundle(envelope, str(envelope["signatures"][0]["keyid"]))


def _content(store: Store, digest: str | None) -> Json:
    """The JSON object of this sha256; empty where it is not here, or is none."""
    content = None
    with suppress(DamagedObject, ValueError):
        content = parse_json(store.get(digest) or b"") if digest else None
    return content if isinstance(content, dict) else {}


def _statement(bundle: Bundle) -> Json:
    """The in-toto statement on the files of a model; its subject is the sha256 of their hashes, one after the other."""
    outputs = sorted(bundle.outputs.items())
    root = sha256(b"".join(bytes.fromhex(file.sha256) for _, file in outputs))
    ignored = {"allow_symlinks": False, "ignore_paths": [CLAIMS, SIGNATURE]}
    resources = [{"name": name, "algorithm": "sha256", "digest": file.sha256} for name, file in outputs]
    return {
        "_type": receipt.STATEMENT,
        "subject": [{"name": bundle.name, "digest": {"sha256": root}}],
        "predicateType": TYPE,
        "predicate": {"serialization": {"method": "files", "hash_type": "sha256", **ignored}, "resources": resources},
    }


def _bundle(envelope: Json, hint: str) -> Json:
    """A DSSE envelope as a sigstore bundle; the hint tells which public key verifies it."""
    material: Json = {"publicKey": {"hint": hint}, "tlogEntries": []}
    return {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope}
