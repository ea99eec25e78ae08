"""The arguments of a reader: the paths among them, as texts, in lists, as URLs and as patterns."""

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from stat import S_ISDIR
from typing import Any
from urllib.parse import unquote

from samebook.reads.places import FILE_URL
from samebook.reads.recorder import Recorder

MAGIC = re.compile(r"[*?[]")
# A URL by its scheme and host, without who logs in there.
ADDRESS = re.compile(r"(\w+)://(?:[^/@]*@)?([^/?#]*)")
# The endings that the libraries of dbm give to a database's files.
DBM = ("", ".db", ".dir", ".pag")
LONGEST = 4096  # bytes of a path


def read_path(recorder: Recorder, text: str) -> bool:
    """Record the file, the folder with all below it, or the files of the pattern; whether there is one."""
    if len(text) > LONGEST:  # rows of a table
        return False
    paths = [text]
    if url := FILE_URL.match(text):  # libraries differ in whether %20 is a blank there
        paths += {rest := text[url.end() :], unquote(rest)}
    elif address := ADDRESS.match(text):
        recorder.unseen(f"network {address[1]}://{address[2]}")
        return True
    is_read = [_read(recorder, os.path.expanduser(path)) for path in paths]
    return any(is_read)


def own(recorder: Recorder, values: Sequence[Any]) -> None:
    """Declare the files that these arguments name as the run's own: they are written."""
    for text in texts(values):
        recorder.open(text, os.O_CREAT | os.O_TRUNC)


def own_matrix(recorder: Recorder, values: Sequence[Any]) -> None:
    """Declare the file of a matrix that SciPy writes as the run's own: it may add the ending to the name."""
    for path in texts(values[:1]):
        own(recorder, [path, f"{path}.mtx"])


def read_dbm(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the files of a database of dbm, which is opened with a flag as the second argument."""
    flag = str([*values, "r"][1])
    flags = os.O_RDWR | (os.O_CREAT if flag[0] in "cn" else 0) | (os.O_TRUNC if flag[0] == "n" else 0)
    for path in texts(values[:1]):
        for ending in DBM:
            recorder.open(path + ending, flags)


def texts(values: Any) -> Iterator[str]:
    """The texts and paths among some arguments, in lists and mappings too."""
    if isinstance(values, (str, bytes, os.PathLike)):
        yield os.fsdecode(values)
    elif isinstance(values, Mapping):
        yield from texts(list(values.values()))
    elif isinstance(values, (list, tuple)) and values and not isinstance(values[0], (int, float)):
        for value in values:
            yield from texts(value)


def _read(recorder: Recorder, path: str) -> bool:
    files = list[str]()
    with suppress(OSError, ValueError):  # no such path, or none at all
        if S_ISDIR(os.stat(path).st_mode):
            _read_folder(recorder, path)
            return True
        files = [path]
    if MAGIC.search(path):
        with suppress(OSError, ValueError, RecursionError, re.error):
            found = glob.glob(path, recursive=True, include_hidden=True)
            files += [file for file in found if not os.path.isdir(file)]
    for file in files:
        recorder.record("open", (file, None, os.O_RDONLY))
    return bool(files)


def _read_folder(recorder: Recorder, path: str) -> None:
    for folder, _, names in os.walk(path):
        recorder.folder(folder)
        for name in names:
            recorder.record("open", (f"{folder}/{name}", None, os.O_RDONLY))
