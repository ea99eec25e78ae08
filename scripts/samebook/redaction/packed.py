"""The contents of a file: its bytes, and what is packed in it by gzip, bzip2, xz, zlib or zip, or as Parquet."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

# A file of bytes that can be read again from its start: IO[bytes], or a BufferedIOBase.
type File = Any

CHUNK = 1 << 22
# Archives in archives are opened so deep.
DEEPEST = 4
OPENERS: dict[bytes, Callable[[Any], File]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
DAMAGED = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def pieces(file: File, depth: int = DEEPEST) -> Iterator[bytes]:
    """The bytes of a file piece by piece, then those of what is packed in it; what can't be unpacked is left out."""
    first = file.read(CHUNK)
    yield first
    yield from iter(lambda: file.read(CHUNK), b"")
    if depth:
        with suppress(*DAMAGED):
            file.seek(0)
            yield from _unpacked(file, first, depth - 1)


def _unpacked(file: File, first: bytes, depth: int) -> Iterator[bytes]:
    if opener := next((opener for magic, opener in OPENERS.items() if first.startswith(magic)), None):
        yield from pieces(opener(file), depth)
    elif first.startswith(ZLIB):
        yield from _inflated(file)
    elif first.startswith(b"PK\x03\x04"):
        yield from _members(file, depth)
    elif first.startswith(b"PAR1"):
        yield from _batches(file)


def _inflated(file: File) -> Iterator[bytes]:
    stream, packed = zlib.decompressobj(), file.read(CHUNK)
    while packed and not stream.eof:
        yield stream.decompress(packed, CHUNK)
        packed = stream.unconsumed_tail or file.read(CHUNK)


def _members(file: File, depth: int) -> Iterator[bytes]:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            with suppress(*DAMAGED), archive.open(entry) as member:
                yield from pieces(member, depth)


def _batches(file: File) -> Iterator[bytes]:
    """The rows of a Parquet file as Arrow writes them, which packs nothing."""
    import pyarrow
    from pyarrow import ipc, parquet

    for batch in parquet.ParquetFile(file).iter_batches():
        sink = pyarrow.BufferOutputStream()
        with ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        yield sink.getvalue().to_pybytes()
