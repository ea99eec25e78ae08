"""The rerun of a receipt in a worktree: at its commit, in that commit's environment, on its inputs.

Inputs come from the store, by hash. An input that the store lacks is made again, from the warehouse or by the run
that the receipt names for it, and checked: other bytes are an error, not another input.
"""

import glob
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from samebook.core import git, head, signals, uncommitted, workspace
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import NotReproduced, UsageError
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace
from samebook.reads import origin
from samebook.records import data_manifest, evidence, receipt, run_folder
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json
from samebook.reproduction import isolation
from samebook.reproduction.front import PINNED, Front, check_inside
from samebook.store import objects, own_patches

# The folders of a checkout that no commit may hold.
WRITTEN = ("runs", "store", ".samebook", ".venv")

# Makes a new run, with some variables of its own; returns its folder.
type Rerun = Callable[[Mapping[str, str]], Path]


@dataclass(frozen=True)
class Site:
    """The place of a rerun: `workspace` is the checkout that it starts from, `engine` is docker or local, `say` hears
    of each step.

    `folder` is the folder of the receipt, where the patch of a dirty run may be. Unless `trusts_patch`, only the patch
    of a run on this machine is applied. `requested_commit` is that of the receipt that the user has asked for.
    """

    workspace: Workspace
    engine: str
    say: Say
    folder: Path | None = None
    trusts_patch: bool = False
    requested_commit: str = ""


@contextmanager
def new_run(site: Site, statement: Json) -> Iterator[Path]:
    """The folder of a new run, made from the receipt in a new worktree; both are removed after the block.

    Raises what `reruns` and its function raise.
    """
    with reruns(site, statement) as rerun:
        yield rerun({})


@contextmanager
def reruns(site: Site, statement: Json) -> Iterator[Rerun]:
    """A function that makes new runs of the receipt, in one new worktree, which is removed after the block.

    Raises UsageError where the commit or the patch is missing, EnvironmentMismatch where the commit's environment
    can't be made; the function raises NotReproduced where a new run fails.
    """
    statement = data_manifest.expanded(objects.local_store(site.workspace), statement, site.say)
    commit = receipt.dependency(statement, receipt.COMMIT)
    if commit is None:
        raise UsageError(
            "the receipt names no commit: the run was made outside a git repository",
            mend="git add --all && git commit && make run",
        )
    name = commit["digest"]["gitCommit"]
    patch = _patch(site, commit)
    with signals.as_errors(), git.worktree(site.workspace.root, name, patch) as checkout:
        _check_new(checkout, name)
        changed = " and its uncommitted changes applied" if patch else ""
        site.say(f"commit {name[:12]} checked out{changed}; making its environment ({site.engine})")
        env = isolation.variables(statement, checkout, name, site.say)
        front = Front(site.workspace.root, checkout, site.engine)
        front.environment(env)
        _hand_over_inputs(replace(site, requested_commit=site.requested_commit or name), checkout, statement)

        def rerun(variables: Mapping[str, str]) -> Path:
            site.say(f"running {receipt.external_parameters(statement)['notebook']} again")
            with isolation.fresh(site.engine, env) as fresh:
                return _run(front, statement, {**fresh, **variables})

        yield rerun


def _check_new(checkout: Path, commit: str) -> None:
    """Raise UsageError where a new checkout holds a folder that only make or runs may write, or its data are a link."""
    planted = [name for name in WRITTEN if (checkout / name).exists() or (checkout / name).is_symlink()]
    planted += ["data"] if (checkout / "data").is_symlink() else []
    if planted:
        raise UsageError(
            f"commit {commit[:12]} holds {planted[0]}/, where only make and runs may write: its results may be planted",
            mend=f"git rm -r --cached {planted[0]}, commit, and run it again",
        )


def _patch(site: Site, commit: Json) -> bytes:
    """The patch with the uncommitted changes of a dirty run.

    It comes from the store, or from beside the receipt. One that no run on this machine has made is applied only where
    the user trusts it.
    """
    annotations = commit.get("annotations", {})
    digest = annotations.get("patch")
    if digest is None and annotations.get("dirty"):
        changes = "; ".join(map(ascii, annotations.get("unpatched", []))) or "its receipt does not name them"
        raise UsageError(
            f"the run was made on changes that no patch holds: {changes}",
            mend="commit them where the run was made, and run it again: make run",
        )
    if digest is None:
        return b""
    if not annotations.get("dirty"):
        raise UsageError("the receipt contradicts itself: a clean commit, and a patch on it", mend="make pull")
    store = objects.local_store(site.workspace)
    content, path = read_object(store, digest, site.say), store.path(digest)
    beside = (site.folder or site.workspace.runs) / run_folder.PATCH
    if content is None and beside.is_file() and sha256(beside) == digest:
        content, path = beside.read_bytes(), beside
    if content is None:
        raise UsageError(
            "the run was made on uncommitted changes, and their patch is not here",
            mend=f"cp …/{run_folder.PATCH} {beside.parent}, from the folder of that run",
        )
    if not own_patches.has(site.workspace, digest):
        _check_trust(site, content, path)
    return content


def _check_trust(site: Site, patch: bytes, path: Path) -> None:
    """Raise UsageError for a patch that is not this machine's, unless the user trusts it; it is code that would run."""
    names = ", ".join(ascii(name)[1:-1] for name in uncommitted.names(site.workspace.root, patch))
    if not site.trusts_patch:
        raise UsageError(
            f"the receipt came with changes to {names}, and they would run here; expected your word for them",
            mend=f"make reproduce TRUST_PATCH=1 RUN=…, the receipt of the run with these changes, once you read {path}",
        )
    site.say(f"applying changes to {names}")


def _hand_over_inputs(site: Site, checkout: Path, statement: Json) -> None:
    """Put the inputs that the receipt names into the checkout's store; those that are nowhere are left to the run."""
    store = objects.local_store(Workspace(checkout))
    missing: list[str] = []
    items = receipt.input_items(statement)
    for item in items:
        content = _content(site, item, receipt.conditions(statement))
        if content is None:
            missing.append(item["name"])
        else:
            store.put(content)
    if missing:
        site.say(f"{len(missing)} inputs are not in the store and are made again, {missing[0]} first")
    if lacked := origin.lacked(Workspace(checkout), statement):
        site.say(_lacked(lacked))
    if missing or not items:
        # A run without declared inputs may query the warehouse.
        for source in site.workspace.data.glob("*.duckdb"):
            workspace.copy_whole(source, checkout / "data" / source.name)


def _content(site: Site, item: Json, conditions: Json) -> bytes | None:
    """The bytes of an input, from the store, git or a rerun, by default in these conditions; None where none has it."""
    digest, built = item["digest"]["sha256"], item["annotations"].get("builtFrom")
    content = read_object(objects.local_store(site.workspace), digest, site.say)
    label = Label.parse(item["name"])
    if content is None and label.kind is Kind.BUNDLE:
        return _from_history(site, label.name, digest)
    return _rebuild(site, item["name"], digest, conditions | built) if content is None and built else content


def _from_history(site: Site, reference: str, digest: str) -> bytes | None:
    """A bundle from any commit of any branch."""
    path = f"models/{reference.partition('@')[0]}.json"
    contents = git.contents(site.workspace.root, path, "--all")
    return next((content for content in contents if sha256(content) == digest), None)


def read_object(store: objects.Store, digest: str, say: Say) -> bytes | None:
    """The bytes of an object; None where it is missing or damaged. `say` hears of a damaged one."""
    try:
        return store.get(digest)
    except objects.DamagedObject as error:
        say(f"{error}; it is made again")
        return None


def _rebuild(site: Site, name: str, digest: str, built_from: Json) -> bytes:
    """Make an input again, by running again the notebook that made it. Raises NotReproduced where the bytes differ."""
    commit = (built_from["commit"] or {"digest": {"gitCommit": ""}})["digest"]["gitCommit"]
    if not head.is_in_past(site.workspace.root, commit, site.requested_commit):
        raise UsageError(
            f"input {name} is made by commit {commit[:12]}, which is neither in this branch nor in the run's past",
            mend=f"git merge {commit[:12]}, if you trust that commit",
        )
    site.say(f"input {name} is not in the store: making it again")
    with new_run(replace(site, folder=None, trusts_patch=False), receipt.plan(built_from)) as run:
        for path in (run / "outputs").rglob("*"):
            if path.is_file() and sha256(path) == digest:
                objects.local_store(site.workspace).put(path)
                return path.read_bytes()
    raise NotReproduced(f"input {name} was made again and differs: expected sha256 {digest[:12]}…", mend="make pull")


def _run(front: Front, statement: Json, env: Mapping[str, str]) -> Path:
    """The folder of the new run. Raises NotReproduced where it fails, and where its files are not its receipt's.

    The checkout gets a plan, not the receipt: nothing in it may know the results that are expected.
    """
    notebook = receipt.notebook_name(statement)
    new, checkout = run_folder.new_id(notebook), front.checkout
    front.check()
    workspace.write_whole(checkout / PINNED, json_bytes(receipt.handover(statement, new, isolation.handed(statement))))
    code = front.run(env)
    folder = _folder(checkout, Path(notebook).name, new)
    check_inside(checkout, (folder, *folder.rglob("*")))
    if code or not (folder / run_folder.RECEIPT).is_file():
        error = folder / run_folder.ERROR
        reason = error.read_text().strip() if error.is_file() else f"make run ended with exit code {code}"
        lacked = origin.lacked(Workspace(checkout), statement)
        undeclared = f"; {_lacked(lacked)}" if lacked else ""
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


def _lacked(files: Mapping[str, str]) -> str:
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
