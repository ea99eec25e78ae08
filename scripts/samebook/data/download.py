"""The download of an input file into the store: hashed while it comes, and there as a whole or not at all."""

import hashlib
import tempfile
import time
from pathlib import Path

from samebook.core.errors import SamebookError
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace, make_folder
from samebook.environment import sections
from samebook.environment.input_entries import FILE, Entry
from samebook.store import objects, sources
from samebook.store.transfer import INTERVAL, format_size


def download(workspace: Workspace, name: str, entry: Entry, section: sections.Store, say: Say) -> str:
    """Bring an input file into the store; returns its sha256.

    `section` has the keys of S3, and `say` hears of the progress. Raises SamebookError where the bytes have another
    sha256, or another size, than the entry, and stores nothing then.
    """
    store = objects.local_store(workspace)
    # Where gc looks for what killed writers have left.
    folder = make_folder(store.root / "00" / "00")
    digest, size, shown = hashlib.sha256(), 0, time.monotonic()
    with tempfile.NamedTemporaryFile(prefix=".download.", dir=folder) as stream:
        for chunk in sources.chunks(workspace, entry, section):
            size += len(chunk)
            if entry.size is not None and size > entry.size:
                break
            digest.update(chunk)
            stream.write(chunk)
            if time.monotonic() - shown > INTERVAL:
                shown = time.monotonic()
                say(f"{name}: {format_size(size)}" + (f" of {format_size(entry.size)}" if entry.size else ""))
        stream.flush()
        if entry.size is not None and size != entry.size:
            found = f"more than {entry.size}" if size > entry.size else str(size)
            raise SamebookError(
                f"{name} from {entry.shown}: found {found} bytes, expected {entry.size}", mend=f"edit {FILE}: size"
            )
        check(name, entry, digest.hexdigest(), f"from {entry.shown}")
        return store.put(Path(stream.name))


def check(name: str, entry: Entry, digest: str, place: str) -> None:
    """Raise SamebookError where the bytes of an input file have another sha256 than its entry."""
    if entry.sha256 and digest != entry.sha256:
        raise SamebookError(
            f"{name} {place}: found sha256 {digest}, expected {entry.sha256} of {FILE}",
            mend=f"make fetch NAME={word(name)} PIN=1, if the new bytes are the right ones",
        )
