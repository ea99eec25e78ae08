"""The checkout of a rerun: runs in it are made from a plan, and are what their receipts say."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samebook.core import workspace
from samebook.core.digest import json_bytes
from samebook.core.errors import NotReproduced, UsageError
from samebook.core.text import word
from samebook.core.workspace import Workspace
from samebook.reads import origin
from samebook.records import evidence, receipt, run_folder
from samebook.records.receipt import Json
from samebook.reproduction import isolation
from samebook.reproduction.front import PINNED, Front, check_inside

# The folders of a checkout that no commit may hold.
WRITTEN = ("runs", "store", ".samebook", ".venv")


@dataclass(frozen=True)
class Checkout:
    """A checkout of a commit: the make that works in it, and the variables of its runs."""

    front: Front
    env: Mapping[str, str]

    def run(self, statement: Json, variables: Mapping[str, str]) -> Path:
        """The folder of the new run. Raises NotReproduced where it fails, and where its files are not its receipt's.

        The checkout gets a plan, not the receipt: nothing in it may know the results that are expected.
        """
        notebook = receipt.notebook_name(statement)
        new, checkout = run_folder.new_id(notebook), self.front.checkout
        self.front.check()
        workspace.write_whole(
            checkout / PINNED, json_bytes(receipt.handover(statement, new, isolation.handed(statement)))
        )
        with isolation.fresh(self.front.engine, self.env) as fresh:
            code = self.front.run({**fresh, **variables})
        folder = _folder(checkout, Path(notebook).name, new)
        check_inside(checkout, (folder, *folder.rglob("*")))
        if code or not (folder / run_folder.RECEIPT).is_file():
            error = folder / run_folder.ERROR
            reason = error.read_text().strip() if error.is_file() else f"make run ended with exit code {code}"
            lacked = origin.lacked(Workspace(checkout), statement)
            undeclared = f"; {lacked_text(lacked)}" if lacked else ""
            mend = f"samebook.find_artifact({min(lacked)!r}, {Path(min(lacked)).name!r})" if lacked else ""
            raise NotReproduced(
                f"the run was complete once, and fails this time: {reason}{undeclared}",
                mend=mend or f"make run NOTEBOOK={word(notebook)}",
            )
        path = folder / run_folder.RECEIPT
        states = evidence.file_states(Workspace(checkout), path, receipt.read(path))
        if wrong := [f"{name}: {state}" for name, state in states.items() if state != evidence.BESIDE]:
            raise NotReproduced("the new run is not what its receipt says: " + "; ".join(wrong), mend="make doctor")
        return folder


def check_new(checkout: Path, commit: str) -> None:
    """Raise UsageError where a new checkout holds a folder that only make or runs may write, or its data are a link."""
    planted = [name for name in WRITTEN if (checkout / name).exists() or (checkout / name).is_symlink()]
    planted += ["data"] if (checkout / "data").is_symlink() else []
    if planted:
        raise UsageError(
            f"commit {commit[:12]} holds {planted[0]}/, where only make and runs may write: its results may be planted",
            mend=f"git rm -r --cached {planted[0]}, commit, and run it again",
        )


def lacked_text(files: Mapping[str, str]) -> str:
    """A sentence on the files that a run has read without declaring them, and that a new checkout lacks."""
    names = ", ".join(f"{name!a} (sha256 {files[name][:12]}…)" for name in sorted(files))
    return f"the run has read without declaring it, and the new checkout lacks: {names}"


def _folder(checkout: Path, notebook: str, new: str) -> Path:
    """The folder of the run of this id, whether it finished or failed.

    A commit whose samebook doesn't take an id may have one run of the notebook, and no other.
    """
    folder = checkout / "runs" / new
    if folder.is_dir():
        return folder
    folders = list((checkout / "runs").glob(f"*Z-{glob.escape(notebook)}-??????"))
    if not folders:
        raise NotReproduced("the run did not start again; the words above say why", mend="make doctor")
    if len(folders) > 1:
        names = ", ".join(sorted(folder.name for folder in folders))
        raise NotReproduced(f"found the runs {names}; expected one, {new}", mend="make doctor")
    return folders[0]
