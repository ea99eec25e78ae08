"""Input files of a notebook by their names, each recorded by hash and kept in the store."""

import os
from pathlib import Path

from samebook.api import context
from samebook.core.workspace import make_folder
from samebook.data import files
from samebook.reads import undeclared
from samebook.records import inputs, run_folder


def read_file(name: str) -> bytes:
    """The bytes of the input file `name`; where it is looked for, and what is recorded, is as with `input_path`."""
    return input_path(name).read_bytes()


@undeclared.declared_reads()
def input_path(name: str) -> Path:
    """A path to read the input file `name` by, recorded by hash: for libraries that want a path.

    The file stands beside the notebook, in the workspace or in data/, or environments/inputs.yml says where it is
    from: then it is fetched once. The path has its name, and leads to its bytes in the store, which never change: a
    reproduction reads the same. Raises UsageError where there is no such file, SamebookError for other bytes than
    those of inputs.yml.
    """
    label = inputs.input_file(name)
    path = context.pinned_file(label)
    if path is None:
        workspace = context.current_workspace()
        found = files.find(workspace, Path.cwd(), name)
        if place := found.path or (found.entry.file(workspace) if found.entry else None):
            context.check_place(place)
        path = files.stored(workspace, found, context.current_settings().store, context.note)
        event = {"kind": "origin", "name": label, "value": found.origin(workspace)}
        run_folder.append_event(context.run(), event)
    return _link(context.recorded_file(label, path), Path(name).name)


def _link(stored: Path, name: str) -> Path:
    """A link of the file's own name, by whose ending libraries know its format."""
    folder = make_folder(context.run() / run_folder.INPUTS / stored.name[:12])
    link = folder / name
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(stored.resolve(), folder.resolve()))
    undeclared.declare(link)
    return link
