"""Does again what a receipt says, aside: at its commit, in that commit's environment, on its inputs.

Inputs come from the store by their hash. What is gone is made again there, from the warehouse or by the run that
its receipt says it was built from, and checked: other bytes are an error, not another input.
"""

import glob
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git, make, signals, workspace
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import EnvironmentMismatch, NotReproduced, UsageError
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.records import receipt, run_folder
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json
from samebook.store import objects

PINNED = Path(".samebook") / "receipt.json"

type Say = Callable[[str], None]


@dataclass(frozen=True)
class Site:
    """Where to do it: from which workspace, on which engine; `folder` may hold the patch of a dirty run."""

    workspace: Workspace
    engine: str
    say: Say
    folder: Path | None = None


@contextmanager
def new_run(site: Site, statement: Json) -> Iterator[Path]:
    """The folder of a new run of the receipt; it is gone when the block ends, as is the checkout around it.

    Raises UsageError for a commit or patch that isn't workspace, EnvironmentMismatch where the commit's environment
    can't be made, NotReproduced where the run fails this time.
    """
    commit = receipt.dependency(statement, receipt.COMMIT)
    if commit is None:
        raise UsageError("the receipt names no commit: the run was made outside a git repository")
    name = commit["digest"]["gitCommit"]
    patch = _patch(site, commit)
    with signals.as_errors(), git.worktree(site.workspace.root, name, patch) as checkout:
        changed = " and its uncommitted changes applied" if patch else ""
        site.say(f"commit {name[:12]} checked out{changed}; making its environment ({site.engine})")
        env = _env(statement, name)
        _make_environment(site, checkout, env)
        _hand_over(site, checkout, statement)
        site.say(f"running {receipt.external_parameters(statement)['notebook']} again")
        yield _run(site, checkout, statement, env)


def _patch(site: Site, commit: Json) -> bytes:
    """The uncommitted changes of a dirty run: beside its receipt, or in the store."""
    told = commit.get("annotations", {})
    digest = told.get("patch")
    if digest is None and told.get("dirty"):
        raise UsageError("the run was made on changes that no patch holds: in a submodule, or an inner repository")
    if digest is None:
        return b""
    beside = (site.folder or site.workspace.runs) / run_folder.PATCH
    content = beside.read_bytes() if beside.is_file() else objects.local_store(site.workspace).get(digest)
    if content is None or sha256(content) != digest:
        raise UsageError(
            "the run was made on uncommitted changes, and their patch is not here",
            mend=f"bring {run_folder.PATCH} from the folder of that run",
        )
    return content


def _env(statement: Json, commit: str) -> dict[str, str]:
    """The caller's variables, less those of the make and the workspace around this call; the receipt's own base.

    Of what was said to the make around this call only the base is said to the inner one, which can't know it. Where
    the warehouse is stays the caller's word: it differs from place to place, and the rows don't.
    """
    ours = ("SAMEBOOK_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "SIGNING_KEY")
    there = settings.variable(("warehouse", ""))
    given = {*make.variables()} - {"BASE_IMAGE"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(there) or not (name in given or name.startswith(ours))
    }
    kept["SAMEBOOK_BUILDER"] = receipt.builder()
    # An image of its own name, so that the one of the checkout around stays what it is.
    kept["SAMEBOOK_TAG"] = f"-{commit[:12]}"
    base = receipt.dependency(statement, "base image")
    return {**kept, "BASE_IMAGE": base["uri"]} if base else kept


def _make_environment(site: Site, checkout: Path, env: Mapping[str, str]) -> None:
    if signals.call(("make", "--silent", "environment", f"ENGINE={site.engine}"), checkout, env, sys.stderr.buffer):
        raise EnvironmentMismatch(
            "the environment of that commit can't be made here; make's own words are above",
            mend="try the other engine: ENGINE=local or ENGINE=docker",
        )


def _hand_over(site: Site, checkout: Path, statement: Json) -> None:
    """Give the checkout the receipt, and its inputs as far as they are to be had."""
    workspace.write_whole(checkout / PINNED, json_bytes(statement))
    theirs = objects.local_store(Workspace(checkout))
    gone: list[str] = []
    items = receipt.input_items(statement)
    for item in items:
        content = _content(site, item)
        if content is None:
            gone.append(item["name"])
        else:
            theirs.put(content)
    if gone:
        site.say(f"{len(gone)} inputs are not in the store and are made again, {gone[0]} first")
    if gone or not items:  # a run that reads nothing by hash may ask the warehouse
        for source in site.workspace.data.glob("*.duckdb"):
            workspace.copy_whole(source, checkout / "data" / source.name)


def _content(site: Site, item: Json) -> bytes | None:
    digest, built = item["digest"]["sha256"], item["annotations"].get("builtFrom")
    content = read_object(objects.local_store(site.workspace), digest, site.say)
    label = Label.parse(item["name"])
    if content is None and label.kind is Kind.BUNDLE:
        return _from_history(site, label.name, digest)
    return _rebuilt(site, item["name"], digest, built) if content is None and built else content


def _from_history(site: Site, reference: str, digest: str) -> bytes | None:
    """A bundle as some branch has, or had, it."""
    path = f"models/{reference.partition('@')[0]}.json"
    every = git.contents(site.workspace.root, path, "--all")
    return next((content for content in every if sha256(content) == digest), None)


def read_object(kept: objects.Store, digest: str, say: Say) -> bytes | None:
    """An object's bytes; None where it is missing or damaged, which is said."""
    try:
        return kept.get(digest)
    except objects.DamagedObject as error:
        say(f"{error}; it is made again")
        return None


def _rebuilt(site: Site, name: str, digest: str, built: Json) -> bytes:
    """An input made again by the run that it was an output of."""
    site.say(f"input {name} is not in the store: making it again")
    with new_run(Site(site.workspace, site.engine, site.say), receipt.plan(built)) as run:
        for path in (run / "outputs").rglob("*"):
            if path.is_file() and sha256(path) == digest:
                objects.local_store(site.workspace).put(path)
                return path.read_bytes()
    raise NotReproduced(f"input {name} was made again and differs: expected sha256 {digest[:12]}…")


def _run(site: Site, checkout: Path, statement: Json, env: Mapping[str, str]) -> Path:
    """The folder of the new run. Raises NotReproduced where it fails."""
    signals.call(
        ("make", "--silent", "run", f"RECEIPT={PINNED}", f"ENGINE={site.engine}"), checkout, env, sys.stderr.buffer
    )
    stem = Path(receipt.external_parameters(statement)["notebook"]).stem
    runs = sorted((checkout / "runs").glob(f"*Z-{glob.escape(stem)}-??????"))
    if not runs:
        raise NotReproduced("the run did not start again; the words above say why")
    if not (runs[-1] / run_folder.RECEIPT).is_file():
        error = (runs[-1] / run_folder.ERROR).read_text().strip()
        raise NotReproduced(f"the run was complete once, and fails this time: {error}")
    return runs[-1]
