"""The rerun of a receipt in a worktree: at its commit, in that commit's environment, on its inputs.

Inputs come from the store, by hash. An input that the store lacks is made again, from the warehouse or by the run
that the receipt names for it, and checked: other bytes are an error, not another input.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from samebook.core import git, head, signals, uncommitted, workspace
from samebook.core.digest import sha256
from samebook.core.errors import NotReproduced, UsageError
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.reads import origin
from samebook.records import data_manifest, receipt, run_folder
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json
from samebook.reproduction import isolation
from samebook.reproduction.checkout import Checkout, check_new, lacked_text
from samebook.reproduction.front import Front
from samebook.store import objects, own_patches

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

    Raises what `prepared` raises; the function raises NotReproduced where a new run fails.
    """
    with prepared(site, statement) as (checkout, expanded):

        def rerun(variables: Mapping[str, str]) -> Path:
            site.say(f"running {receipt.external_parameters(statement)['notebook']} again")
            return checkout.run(expanded, variables)

        yield rerun


@contextmanager
def prepared(site: Site, statement: Json) -> Iterator[tuple[Checkout, Json]]:
    """The checkout of a receipt, with its environment and its inputs, and the receipt with each day of its datasets.

    Raises what `worktree` raises, EnvironmentMismatch where the commit's environment can't be made.
    """
    statement = data_manifest.expanded(objects.local_store(site.workspace), statement, site.say)
    with worktree(site, statement) as (folder, commit, patch):
        changed = " and its uncommitted changes applied" if patch else ""
        site.say(f"commit {commit[:12]} checked out{changed}; making its environment ({site.engine})")
        env = isolation.variables(statement, folder, commit, site.engine, site.say)
        checkout = Checkout(Front(site.workspace.root, folder, site.engine), env)
        try:
            checkout.front.environment(env)
            hand_over_inputs(replace(site, requested_commit=site.requested_commit or commit), folder, statement)
            yield checkout, statement
        finally:
            checkout.front.remove_image(env)


@contextmanager
def worktree(site: Site, statement: Json) -> Iterator[tuple[Path, str, bytes]]:
    """A new worktree of a receipt's commit with the uncommitted changes of its run; the commit, and their patch.

    Raises UsageError where the commit or the patch is missing, or the commit holds what only runs may write.
    """
    commit = receipt.dependency(statement, receipt.COMMIT)
    if commit is None:
        raise UsageError(
            "the receipt names no commit: the run was made outside a git repository",
            mend="git add --all && git commit && make run",
        )
    name = commit["digest"]["gitCommit"]
    patch = _patch(site, commit)
    with signals.as_errors(), git.worktree(site.workspace.root, name, patch) as folder:
        check_new(folder, name)
        yield folder, name, patch


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


def hand_over_inputs(site: Site, checkout: Path, statement: Json) -> None:
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
        site.say(lacked_text(lacked))
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
