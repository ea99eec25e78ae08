"""The arguments of a reader: the paths among them, as texts, in lists, as URLs and as patterns."""

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from samebook.reads.recorder import Recorder

MAGIC = re.compile(r"[*?[]")


def read_path(recorder: Recorder, text: str) -> bool:
    """Record the file, the folder with all below it, or the files of the pattern; whether there is one."""
    scheme, is_url, rest = text.partition("://")
    if is_url and scheme != "file":
        if is_address := bool(re.fullmatch(r"\w+", scheme)):
            recorder.unseen(f"network {scheme}://{rest.partition('/')[0]}")
        return is_address
    path = os.path.expanduser(unquote(rest) if is_url else text)
    if os.path.isdir(path):
        for folder, _, names in os.walk(path):
            recorder.folder(folder)
            for name in names:
                recorder.open(f"{folder}/{name}", os.O_RDONLY)
        return True
    paths = glob.glob(path, recursive=True) if MAGIC.search(path) else [path]
    files = [file for file in paths if os.path.isfile(file)]
    for file in files:
        recorder.open(file, os.O_RDONLY)
    return bool(files)


def own(recorder: Recorder, values: Sequence[Any]) -> None:
    """Declare the files that these arguments name as the run's own: they are written."""
    for text in texts(values):
        recorder.open(text, os.O_CREAT | os.O_TRUNC)


def texts(values: Any) -> Iterator[str]:
    """The texts and paths among some arguments, in lists and mappings too."""
    if isinstance(values, (str, bytes, os.PathLike)):
        yield os.fsdecode(values)
    elif isinstance(values, Mapping):
        yield from texts(list(values.values()))
    elif isinstance(values, (list, tuple)) and values and not isinstance(values[0], (int, float)):
        for value in values:
            yield from texts(value)
