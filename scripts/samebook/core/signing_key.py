"""The signing key of this process: read once, before a kernel starts, and then kept where no notebook can look.

SIGNING_KEY names a file, which may be a pipe, or is `-` for stdin. A notebook runs as the same user: it can read the
files of that user, and the variables of other programs, also those that they have removed. So the variable is wiped,
no other program may look into this process, nor into those that it forks (see signing_programs). What make starts gets
the key through a pipe, which a process of the same user can open until it is read.
"""

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SIGNING_KEY"
BEGIN = "-----BEGIN"
# Bytes of a key's file that are read: a pipe holds as many before somebody reads it. A longer file is no key.
LARGEST = 4096
# https://man7.org/linux/man-pages/man2/pr_set_dumpable.2const.html
PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class SigningKey:
    """A private key: its name in messages, and the content of its file."""

    name: str
    content: bytes


_key: SigningKey | None = None


def take() -> None:
    """Read the key into this process, and forget its name. A file that can't be read is left to the command's check."""
    global _key
    value = os.environ.get(VARIABLE)
    if not value:
        return
    _protect()
    with suppress(OSError):
        _key = _read(value)
        _wipe()
        del os.environ[VARIABLE]


def current() -> SigningKey | None:
    """The key that this process signs with; None where it has none. Raises OSError where its file can't be read."""
    value = os.environ.get(VARIABLE)
    return _read(value) if value else _key


def is_taken() -> bool:
    """Whether this process has taken a key."""
    return _key is not None


@contextmanager
def handed(env: Mapping[str, str], *, is_wanted: bool = True) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """The variables and the descriptors for a program that signs as well: it can read the key once, from a pipe."""
    if _key is None or not is_wanted:
        yield dict(env), ()
        return
    reader, writer = os.pipe()
    os.write(writer, _key.content)
    os.close(writer)
    try:
        yield {**env, VARIABLE: f"/dev/fd/{reader}"}, (reader,)
    finally:
        os.close(reader)


def _read(value: str) -> SigningKey:
    if value.startswith(BEGIN):  # a pod gets the key itself
        return SigningKey(VARIABLE, value.encode())
    if value == "-":
        return SigningKey(f"{VARIABLE}=-", sys.stdin.buffer.read(LARGEST))
    with Path(value).open("rb") as file:
        return SigningKey(f"{VARIABLE}={value}", file.read(LARGEST))


def _protect() -> None:
    """Let no other program of this user look into this process: its memory, its variables, its open files."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _wipe() -> None:
    """Overwrite the variable where the process got it, which /proc shows for as long as the process lives."""
    getenv = ctypes.CDLL(None).getenv
    getenv.argtypes, getenv.restype = [ctypes.c_char_p], ctypes.c_void_p
    if address := getenv(VARIABLE.encode()):
        ctypes.memset(address, 0, len(ctypes.string_at(address)))
