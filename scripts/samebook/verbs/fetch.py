"""Bring the input files of environments/inputs.yml into the store."""

from collections.abc import Iterator
from dataclasses import dataclass

from samebook.core import signals
from samebook.core.digest import sha256
from samebook.core.errors import UsageError, nearest
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace
from samebook.data import download, files
from samebook.environment import input_entries, settings
from samebook.environment.input_entries import FILE, Entry
from samebook.store import objects
from samebook.store.transfer import format_size


@dataclass(frozen=True)
class FetchOptions:
    """The options of a fetch. `dry_run` brings nothing; `pin` writes the sha256 of what comes into inputs.yml: for an
    entry that has none, and for a named one.
    """

    name: str = ""
    dry_run: bool = False
    pin: bool = False


def fetch(workspace: Workspace, env: str, options: FetchOptions, say: Say) -> Iterator[str]:
    """Bring each entry that the store lacks, or the named one; a line for each. What is there stays as it is.

    Raises UsageError for an unknown name and, at the end, for entries without a sha256; SamebookError for a source
    that has other bytes than the entry says, or none.
    """
    entries, unpinned = input_entries.read(workspace), list[str]()
    if options.name and options.name not in entries:
        raise UsageError(f"{FILE} has no {options.name!r}{nearest(options.name, entries)}", mend=f"edit {FILE}")
    section = settings.load(workspace, env).store
    with signals.as_errors():
        for name in [options.name] if options.name else sorted(entries):
            line, digest = _fetch(_Task(workspace, name, entries[name], section, options, say))
            if digest and options.pin:
                input_entries.pin(workspace, name, digest)
                line = f"{line}; {FILE} pins sha256 {digest}"
            elif digest:
                unpinned.append(name)
                line = f"{line}; it has sha256: {digest}"
            yield line
    if unpinned:
        raise UsageError(
            f"{FILE} has no sha256 for {', '.join(unpinned)}: no run reads what nobody has said to be right",
            mend=f"make fetch NAME={word(unpinned[0])} PIN=1",
        )


@dataclass(frozen=True)
class _Task:
    workspace: Workspace
    name: str
    entry: Entry
    section: settings.Store
    options: FetchOptions
    say: Say

    @property
    def expected(self) -> Entry:
        """The entry, without the sha256 and size that a named one shall get anew."""
        is_new = self.options.pin and self.options.name
        return self.entry.model_copy(update={"sha256": "", "size": None}) if is_new else self.entry


def _fetch(task: _Task) -> tuple[str, str]:
    """A line about an entry, and the sha256 of its bytes where no pin says it."""
    store, entry, name = objects.local_store(task.workspace), task.expected, task.name
    found = files.find(task.workspace, task.workspace.notebooks, name)
    if found.path:
        place = task.workspace.relative(found.path)
        digest = sha256(found.path)
        download.check(name, entry, digest, f"at {place}")
        return f"{name}: is here, {place}", "" if entry.sha256 or task.options.dry_run else digest
    if entry.sha256 and store.is_whole(entry.sha256):
        return f"{name}: is in the store", ""
    if not entry.origin:
        raise UsageError(
            f"{name} is not in data/, and {FILE} does not say where it is from", mend=f"cp …/{word(name)} data/"
        )
    if task.options.dry_run:
        size = f", {format_size(entry.size)}" if entry.size is not None else ""
        return f"{name}: would fetch it from {entry.shown}{size}", ""
    task.say(f"{name}: from {entry.shown}")
    digest = download.download(task.workspace, name, entry, task.section, task.say)
    size = format_size(store.path(digest).stat().st_size)
    return f"{name}: {size} from {entry.shown}", "" if entry.sha256 else digest
