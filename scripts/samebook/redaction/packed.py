"""The contents of a file: its bytes, and what is packed in it (gzip, bzip2, xz, zlib, zstd, lz4, zip, Parquet, …)."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, override

# A file of bytes that can be read again from its start: IO[bytes], or a BufferedIOBase.
type File = Any

CHUNK = 1 << 22
# Archives in archives are opened so deep.
DEEPEST = 4
OPENERS: dict[bytes, Callable[[Any], File]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x5d\0\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda file: _Unpacked(file, "zstd"),
    b"\x04\x22\x4d\x18": lambda file: _Unpacked(file, "lz4"),
}
# The beginnings that only packed files have; numbers or a text may begin with the first bytes of one.
SURELY = re.compile(
    rb"\x1f\x8b\x08|BZh[1-9](?:1AY&SY|\x17rE8P\x90)|\xfd7zXZ\0|\x5d\0\0..\xff{8}|PK\x03\x04"
    rb"|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|PAR1\x15|ARROW1\0\0|ORC[\0-\x1f]",
    re.DOTALL,
)
# The first two bytes of zlib: deflate, a window of at most 32 KB, and a check (RFC 1950).
ZLIB = tuple(
    bytes((method, flags))
    for method in range(0x08, 0x80, 0x10)
    for flags in range(256)
    if not (method * 256 + flags) % 31
)
# The usual beginnings of zlib's streams and of gzip's; what is read of such a stream, packed and unpacked; and zlib's
# word for both kinds.
EMBEDDED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
LONGEST, AUTOMATIC = 1 << 20, 47
DAMAGED = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def pieces(file: File, depth: int = DEEPEST) -> Iterator[bytes]:
    """The bytes of a file piece by piece, then those of what is packed in it; what can't be unpacked is left out."""
    # read1 gives what there is: of a packed file that was cut, all up to the cut.
    first = file.read1(CHUNK)
    content = first
    while content:
        yield content
        yield from _embedded(content)
        content = file.read1(CHUNK)
    if depth:
        with suppress(*DAMAGED):
            file.seek(0)
            yield from _unpacked(file, first, depth - 1)


def _embedded(content: bytes) -> Iterator[bytes]:
    """What is packed by zlib or gzip amid some bytes, as in PDF, in the texts of a PNG and in archives of tar."""
    view = memoryview(content)
    for match in EMBEDDED.finditer(content, 1):
        with suppress(zlib.error):
            yield zlib.decompressobj(AUTOMATIC).decompress(view[match.start() :][:LONGEST], LONGEST)


def is_cut(file: File) -> bool:
    """Whether a packed file can't be read to its end, so that nobody knows what it holds."""
    first = file.read1(CHUNK)
    if not SURELY.match(first):
        return False
    file.seek(0)
    try:
        for _ in _unpacked(file, first, 0):
            pass
    except DAMAGED:
        return True
    return False


def _unpacked(file: File, first: bytes, depth: int) -> Iterator[bytes]:
    if opener := next((opener for magic, opener in OPENERS.items() if first.startswith(magic)), None):
        yield from pieces(opener(file), depth)
    elif first.startswith(ZLIB):
        yield from _inflated(file)
    elif reader := next((reader for magic, reader in TABLES.items() if first.startswith(magic)), None):
        yield from _unpacked_batches(reader(file))
    elif first.startswith(b"PK\x03\x04") or (isinstance(file, io.BufferedReader) and zipfile.is_zipfile(file)):
        # One may begin with a program that unpacks it.
        yield from _members(file, depth)


def _inflated(file: File) -> Iterator[bytes]:
    stream, packed = zlib.decompressobj(), file.read(CHUNK)
    while packed and not stream.eof:
        yield stream.decompress(packed, CHUNK)
        packed = stream.unconsumed_tail or file.read(CHUNK)


class _Unpacked(io.BufferedReader):
    """A file that is packed by a codec of pyarrow, to be read again from its start."""

    def __init__(self, file: File, codec: str) -> None:
        import pyarrow

        self._packed, self._codec = file, codec
        super().__init__(pyarrow.CompressedInputStream(pyarrow.PythonFile(file, "r"), codec))

    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        self._packed.seek(0)
        self.__init__(self._packed, self._codec)
        return 0


def _members(file: File, depth: int) -> Iterator[bytes]:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            with suppress(*DAMAGED), archive.open(entry) as member:
                yield from pieces(member, depth)


def _unpacked_batches(batches: Iterator[Any]) -> Iterator[bytes]:
    """The rows of a file of columns as Arrow writes them, which packs nothing."""
    import pyarrow
    from pyarrow import ipc

    for batch in batches:
        sink = pyarrow.BufferOutputStream()
        with ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        yield sink.getvalue().to_pybytes()


def _of_parquet(file: File) -> Iterator[Any]:
    from pyarrow import parquet

    yield from parquet.ParquetFile(file).iter_batches()


def _of_arrow(file: File) -> Iterator[Any]:
    from pyarrow import ipc

    reader = ipc.open_file(file)
    yield from map(reader.get_batch, range(reader.num_record_batches))


def _of_orc(file: File) -> Iterator[Any]:
    from pyarrow import orc

    reader = orc.ORCFile(file)
    yield from map(reader.read_stripe, range(reader.nstripes))


TABLES: dict[bytes, Callable[[File], Iterator[Any]]] = {b"PAR1": _of_parquet, b"ARROW1": _of_arrow, b"ORC": _of_orc}
