"""SHA-256 digests, and the one way to write JSON that is hashed."""

import hashlib
import json
from pathlib import Path
from typing import Any


def sha256(content: bytes | Path) -> str:
    """The SHA-256 of bytes, or of a file's content: 64 lower-case hex digits."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_bytes(value: Any) -> bytes:
    """Readable JSON with a fixed order of keys: equal values give equal bytes.

    Raises ValueError for NaN and infinities, which JSON does not have.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"
