"""SHA-256 digests, and the one way to write and to read JSON that is hashed."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from samebook.core.text import repeated_name

# Characters that are hashed at a time.
PART = 1 << 20


def sha256(content: bytes | Path) -> str:
    """The SHA-256 of bytes, or of a file's content: 64 lower-case hex digits."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stamp(path: Path) -> tuple[int, ...]:
    """The numbers of a file that change with its content: inode, size and times; () without a file.

    The last is the time of its change, which nobody sets back.
    """
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def text_sha256(text: str) -> tuple[int, str]:
    """The number of a long text's bytes as UTF-8, and their SHA-256; no copy of the whole is made."""
    digest, size = hashlib.sha256(), 0
    for start in range(0, len(text), PART):
        content = text[start : start + PART].encode(errors="replace")
        digest.update(content)
        size += len(content)
    return size, digest.hexdigest()


def json_bytes(value: Any) -> bytes:
    """Readable JSON with a fixed order of keys: equal values give equal bytes.

    Raises ValueError for NaN and infinities, which JSON does not have.
    """
    return _json_text(value).encode() + b"\n"


def json_chunks(items: Iterable[Any]) -> Iterator[bytes]:
    """The bytes of `json_bytes` for a list, an item at a time: they need not be in memory together."""
    start = end = b"["
    for item in items:
        yield start + b"\n  " + _json_text(item).replace("\n", "\n  ").encode()
        start, end = b",", b"\n"
    yield (end if start == b"," else b"[") + b"]\n"


def _json_text(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text that can mean one thing only.

    Raises ValueError for anything else: a name twice in one object, NaN, an infinity, or too many levels.
    """
    try:
        return json.loads(content, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{repeated_name(names)!r} is there twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"found {text}, which is more than a number can hold")
    return number


def _constant(name: str) -> Any:
    raise ValueError(f"found {name}, which JSON does not have")
