"""What a killed run has left: nobody has searched it for secrets yet."""

import shutil
from collections.abc import Collection
from pathlib import Path

from samebook.core import secret
from samebook.redaction import redactor
from samebook.redaction.redactor import Redaction


def screen(run: Path, note: str, root: Path, own: Collection[str]) -> str:
    """Remove what a killed run has written that holds a secret of its `note`, but for files of the names `own`.

    All of it goes, and a line says so, where a secret that was asked for is not set here, or has another text by now.
    """
    notes = redactor.noted(note)
    texts = secret.texts(notes) | secret.own_texts(root)
    asked = [(name, mark) for name, (mark, kind) in notes.items() if kind == redactor.ASKED]
    if missing := [name for name, mark in asked if name not in texts or redactor.mark(texts[name]) != mark]:
        for entry in [entry for entry in run.iterdir() if entry.name not in own]:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        return (
            f"its outputs are removed: {', '.join(missing)} is not set here as it was, "
            "so they can't be searched for it\n"
        )
    Redaction(texts, {name: kind for name, (_, kind) in notes.items()}).remove_files(run, own)
    return ""
