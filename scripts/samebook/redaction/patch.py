"""The contents of a patch of git: its text, and the binary files in it, which it holds packed.

https://git-scm.com/docs/diff-format; a binary file is whole ("literal") or a delta on the file before.
"""

import base64
import io
import re
import zlib
from collections.abc import Iterator

from samebook.redaction import packed

BINARY = re.compile(rb"^(literal|delta) \d+\n((?:[A-Za-z][^\n]+\n)+)", re.MULTILINE)
# The number of bytes in a line is its first letter.
LENGTHS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def contents(patch: bytes) -> Iterator[bytes]:
    """The patch, then the content of each binary file in it, of a delta that which it adds, unpacked where packed."""
    yield patch
    for kind, lines in BINARY.findall(patch):
        try:
            content = zlib.decompress(b"".join(map(_bytes, lines.splitlines())))
        except (ValueError, zlib.error):  # text that looks alike, which the patch itself shows
            continue
        yield from packed.pieces(io.BytesIO(content if kind == b"literal" else _added(content)))


def _bytes(line: bytes) -> bytes:
    return base64.b85decode(line[1:])[: LENGTHS.index(line[:1]) + 1]


def _added(delta: bytes) -> bytes:
    """The bytes that a delta adds, joined; a blank stands for what it copies (bit 7 of an instruction) between them."""
    added, position = bytearray(), _after_number(delta, _after_number(delta, 0))
    while position < len(delta):
        instruction = delta[position]
        position += 1
        if instruction & 0x80:
            added += b" "
            position += (instruction & 0x7F).bit_count()
        else:
            added += delta[position : position + instruction]
            position += instruction
    return bytes(added)


def _after_number(delta: bytes, position: int) -> int:
    """The position behind a number, whose last byte is the first one below 128."""
    while delta[position] & 0x80:
        position += 1
    return position + 1
