"""Results in the shared store, by the digest of what was asked for: results/<digest> lists the receipts of its runs.

Whoever may write there may plant a run, as by `make push`: what is taken is checked against its own receipt and against
the code of this checkout, and its signature is that of nobody.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from samebook.core import uncommitted
from samebook.core.digest import json_bytes, parse_json, sha256
from samebook.core.errors import EnvironmentMismatch, SamebookError
from samebook.core.text import Say
from samebook.core.workspace import Workspace, make_folder, write_whole
from samebook.execution.workers import Failure
from samebook.models import store_use
from samebook.records import evidence, receipt, run_folder
from samebook.records import source as run_source
from samebook.store import objects
from samebook.store.bucket import RemoteError
from samebook.store.remote import Remote

# Below runs/: where a run is put together.
FOLDER = ".cluster"
AGAIN = "make sweep … IMAGE=…, with an image of this commit"
# The name of a file in a patch, where git puts one that is not ASCII in quotes.
CHANGED = re.compile(rb'^diff --git "?a/.+ "?b/(.+?)"?$', re.MULTILINE)


@dataclass(frozen=True)
class Results:
    """The results of calls in the shared store."""

    workspace: Workspace
    remote: Remote

    def receipts(self, digest: str) -> list[str] | None:
        """The sha256 of the receipts of a call's runs, its own first; None where the call is not done."""
        chunks = self.remote.bucket.read(_key(digest))
        if chunks is None:
            return None
        receipts = parse_json(b"".join(chunks))
        if not (isinstance(receipts, list) and receipts and all(isinstance(text, str) for text in receipts)):
            raise SamebookError(
                f"{self.remote.bucket.url} has a damaged list of results, {_key(digest)}", mend=f"remove {_key(digest)}"
            )
        return receipts

    def digests(self) -> list[str]:
        """The digest of each call whose result is there."""
        return [key.rpartition("/")[2] for key in self.remote.bucket.keys_below(_key(""))]

    def send(self, digest: str, runs: Sequence[Path], say: Say) -> None:
        """Send all that these runs need, and last of all the list of their receipts."""
        store = objects.local_store(self.workspace)
        for run in runs:
            statement = receipt.read(run / run_folder.RECEIPT)
            for name in receipt.file_digests(statement):
                store.put(run / name)
        others = {path.name for path in self.workspace.runs.glob("*Z-*")} - {run.name for run in runs}
        names = store_use.referenced_objects(self.workspace, others)
        beside = {sha256(path): path.name for run in runs for path in run.rglob("*") if path.is_file()}
        sent = self.remote.push({**names, **beside}, store, say)
        if sent.missing or sent.damaged:
            raise SamebookError(
                f"{len(sent.missing)} objects are missing, and {len(sent.damaged)} damaged, in store/",
                mend="make store-verify",
            )
        self.remote.bucket.write(_key(digest), json_bytes([sha256(run / run_folder.RECEIPT) for run in runs]))

    def taken(self, receipts: Sequence[str] | None) -> list[Path] | Failure:
        """The folders of these runs, brought here; a failure where there are none, or one can't be taken."""
        if not receipts:
            return Failure(SamebookError.exit_code, "its program is done; the shared store lacks its result")
        try:
            return self.take(receipts, lambda _: None)
        except RemoteError:
            raise
        except SamebookError as error:
            return Failure(error.exit_code, str(error))

    def take(self, receipts: Sequence[str], say: Say) -> list[Path]:
        """The folders of these runs, each brought here where it is not here. Raises SamebookError for a run that is not
        whole, or not of this checkout's code.
        """
        return [self._take(digest, say) for digest in receipts]

    def _take(self, digest: str, say: Say) -> Path:
        store = objects.local_store(self.workspace)
        self._fetch([digest], say)
        content = store.get(digest) or b""
        statement = receipt.parse(content, f"receipt {digest[:12]}…")
        self._check(statement)
        run = statement["predicate"]["runDetails"]["metadata"]["invocationId"]
        final = self.workspace.runs / _checked(run)
        if final.exists():
            if (final / run_folder.RECEIPT).is_file() and sha256(final / run_folder.RECEIPT) == digest:
                return final
            raise SamebookError(f"runs/{run} is here already, with another receipt", mend=f"make verify RUN={run}")
        digests = receipt.file_digests(statement)
        self._fetch([*digests.values()], say)
        with tempfile.TemporaryDirectory(dir=make_folder(self.workspace.runs / FOLDER)) as folder:
            whole = Path(folder) / run
            (whole / "outputs").mkdir(parents=True)
            for name, file in digests.items():
                write_whole(whole / name, store.get(file) or b"")
            write_whole(whole / run_folder.RECEIPT, content)
            if problems := evidence.problems(
                evidence.file_states(self.workspace, whole / run_folder.RECEIPT, statement)
            ):
                raise SamebookError("\n  ".join((f"run {run} has come damaged:", *problems)), mend=AGAIN)
            try:
                whole.rename(final)
            except OSError:
                if not final.is_dir():  # another process has taken it meanwhile
                    raise
        return final

    def _fetch(self, digests: Sequence[str], say: Say) -> None:
        if missing := self.remote.fetch(digests, objects.local_store(self.workspace), say):
            raise SamebookError(
                f"{self.remote.bucket.url} lacks {len(missing)} objects of a run: {missing[0][:12]}…",
                mend="make push, where the run was made",
            )

    def _check(self, statement: receipt.Json) -> None:
        """Raise EnvironmentMismatch where a run is one of other code than this checkout's."""
        notebook = receipt.external_parameters(statement)["notebook"]
        path = self.workspace.root / notebook
        expected = {**facts(self.workspace), notebook: sha256(path) if path.is_file() else ""}
        for name, digest in expected.items():
            found = (receipt.dependency(statement, name) or {}).get("digest", {}).get("sha256", "")
            if found != digest:
                raise EnvironmentMismatch(
                    f"a run in the shared store has another {name} than this checkout", mend=AGAIN
                )


@dataclass(frozen=True)
class Origin:
    """The files of a workspace: their commit, "" where it is unknown, the sha256 of code and lock by their names in a
    receipt, and the names of those that are not as committed.
    """

    commit: str
    source: Mapping[str, str]
    uncommitted: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """The origin of the files as they are now."""
        commit, changes = run_source.commit_and_changes(workspace)
        in_patch = (name.decode(errors="replace") for name in CHANGED.findall(changes.patch or b""))
        return cls(commit, facts(workspace), (*in_patch, *changes.unpatched))

    def difference(self, sender: Self) -> str:
        """What differs from the sender's origin, as words; "" where nothing does."""
        if self.commit and sender.commit and self.commit != sender.commit:
            return f"is of commit {self.commit[:12]}; the runs are for {sender.commit[:12]}"
        names = [name for name, digest in sender.source.items() if self.source.get(name) != digest]
        return f"has another {names[0]} than the checkout that has sent this run" if names else ""


def facts(workspace: Workspace) -> dict[str, str]:
    """The sha256 of the code and the lock of a workspace, by their names in a receipt."""
    lock = sha256(workspace.environments / "runtime.txt")
    return {receipt.CODE: run_source.code_digest(workspace), receipt.LOCK: lock}


def files(workspace: Workspace) -> dict[str, str]:
    """The sha256 of each file of a workspace that decides what a run does, by its path: code, notebooks, settings."""
    others = (*workspace.notebooks.rglob("*.ipynb"), *workspace.environments.rglob("*.yml"))
    names = {workspace.relative(path): path for path in (*run_source.code_files(workspace), *others)}
    return {name: sha256(path) for name, path in names.items() if not uncommitted.is_cache(name)}


def digest_of(workspace: Workspace, image: str, variables: Sequence[tuple[str, str]], call: Sequence[str]) -> str:
    """The digest by which the result of a call is found: of the image's digest, the code, the variables, the call."""
    asked = [image.partition("@")[2], facts(workspace), [list(pair) for pair in variables], list(call)]
    return sha256(json_bytes(asked))


def _key(digest: str) -> str:
    return f"results/{digest}"


def _checked(run: str) -> str:
    """A run's id. Raises SamebookError for a text that is none, as one that leads out of runs/."""
    try:
        run_folder.start_time(run)
        is_id = "/" not in run and run.count("-") >= 2
    except ValueError:
        is_id = False
    if not is_id:
        raise SamebookError(
            f"a receipt in the shared store is of run {run!r}, which is no id of a run", mend="make store-verify"
        )
    return run
