"""The certificates of a cluster: one authority for each, whose key is forgotten once it has signed a single pair.

Scheduler, workers and clients share that pair: whoever has it may send programs to the cluster, and nobody else may.
"""

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import machine

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

FOLDER = ".samebook/cluster"
AUTHORITY, CERTIFICATE, KEY, SCHEDULER = "authority.pem", "certificate.pem", "key.pem", "scheduler"
# The scheduler that make starts, by its name among containers.
IN_CONTAINERS = "tls://scheduler:8786"
LIFETIME = datetime.timedelta(days=365)
# Clocks of machines are not the same.
BEFORE = datetime.timedelta(hours=1)
# The arguments of x509.KeyUsage, in their order.
USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


@dataclass(frozen=True)
class Access:
    """The access to a cluster: the address of its scheduler, and the folder of its certificates."""

    scheduler: str
    folder: Path

    @property
    def files(self) -> dict[str, str]:
        """The paths of the certificates, by Dask's names for them."""
        names = {"ca_file": AUTHORITY, "cert": CERTIFICATE, "key": KEY}
        return {name: str(self.folder / file) for name, file in names.items()}


def access(workspace: Workspace) -> Access:
    """The access to the cluster of this checkout. Raises UsageError where it has none."""
    folder = workspace.root / FOLDER
    names = (SCHEDULER, AUTHORITY, CERTIFICATE, KEY)
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise UsageError(f"this checkout has no cluster: no {FOLDER}/{missing[0]}", mend="make cluster WORKERS=4")
    scheduler = (folder / SCHEDULER).read_text().strip()
    if scheduler == IN_CONTAINERS and machine.engine() == "local":
        raise UsageError(
            f"the cluster of this checkout runs in containers: nothing else reaches its scheduler, {scheduler}",
            mend="make … ENGINE=docker",
        )
    return Access(scheduler, folder)


def make(workspace: Workspace, scheduler: str) -> Access:
    """Make the certificates of a new cluster whose scheduler will have this address; those of an earlier one go."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    folder = workspace.root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    _write(folder / KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(folder / AUTHORITY, _certificate(authority, authority).public_bytes(Encoding.PEM))
    _write(folder / CERTIFICATE, _certificate(key, authority).public_bytes(Encoding.PEM))
    _write(folder / SCHEDULER, f"{scheduler}\n".encode())
    return Access(scheduler, folder)


def _certificate(key: "EllipticCurvePrivateKey", authority: "EllipticCurvePrivateKey") -> "Certificate":
    """The certificate of a key, signed by the authority's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    is_authority, now = key is authority, datetime.datetime.now(datetime.UTC)
    issuer, subject = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"samebook {name}")])
        for name in ("authority", "authority" if is_authority else "cluster")
    )
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )
    if is_authority:
        usage = x509.KeyUsage(*(name == "key_cert_sign" for name in USAGES))
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(authority, hashes.SHA256())


def _write(path: Path, content: bytes) -> None:
    """Write a file that nobody but its owner may read, at no time."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
        stream.write(content)
