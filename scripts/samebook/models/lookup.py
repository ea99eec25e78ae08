"""Lookup of bundles: models/<name>.json in the work tree, on any branch, and in all earlier commits."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from samebook.core import git, head
from samebook.core.digest import sha256
from samebook.core.errors import SamebookError, UsageError, nearest
from samebook.core.workspace import Workspace, write_whole
from samebook.models import bundle as bundles
from samebook.models.bundle import NAME, Bundle, parse
from samebook.records import data_manifest, receipt, run_folder
from samebook.store.objects import local_store


def path(workspace: Workspace, name: str) -> Path:
    """The path of a model's bundle. Raises UsageError where `name` can't be the name of a model."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"model {name!r}: expected lower-case letters, digits, - and _, like churn",
            mend=f"MODEL={re.sub('[^a-z0-9_-]+', '-', name.lower()).strip('-_') or 'churn'}",
        )
    return workspace.models / f"{name}.json"


def is_reference(workspace: Workspace, text: str) -> bool:
    """Whether a text such as `churn` or `churn@branch` is the reference of a promoted model."""
    name, at, _ = text.partition("@")
    return NAME.fullmatch(name) is not None and (bool(at) or path(workspace, name).is_file())


def ref(reference: str) -> str:
    """The branch, tag or commit in the reference of a model; empty for the work tree's."""
    return reference.partition("@")[2]


def read(workspace: Workspace, reference: str) -> Bundle:
    """The bundle that a reference names: `churn`, or `churn@REF` at a branch, tag or commit.

    Raises UsageError where there is no bundle, or it is not whole.
    """
    name, at, ref = reference.partition("@")
    file = path(workspace, name)
    if at:
        return _parse(git.show(workspace.root, ref, workspace.relative(file)), name, reference)
    if not file.is_file():
        names = (file.stem for file in workspace.models.glob("*.json"))
        raise UsageError(
            f"no model {name!r} is promoted here{nearest(name, names)}",
            mend=f"make promote RUN=train MODEL={name}",
        )
    return _parse(file.read_bytes(), name, workspace.relative(file))


def receipt_path(workspace: Workspace, name: str) -> Path:
    """The path of the receipt that `name` stands for: a run, a notebook, a file, or a promoted model (`churn`,
    `churn@prod`).

    Where a model's receipt is not in runs/, or another one is there, it is copied from the store into runs/.received/,
    and attestations are written beside it.
    """
    bundle = promoted(workspace, name)
    if bundle is None:
        return run_folder.locate(workspace, name)
    return stored_receipt(workspace, bundle.receipt.run, bundle.receipt.sha256, f"model {name}")


def promoted(workspace: Workspace, name: str) -> Bundle | None:
    """The bundle that `name` stands for; None where it is that of a file, a run or a notebook."""
    is_path = Path(name).is_file() and not NAME.fullmatch(name)
    return None if is_path or not is_reference(workspace, name) else read(workspace, name)


def stored_receipt(workspace: Workspace, run: str, digest: str, subject: str) -> Path:
    """The path of the receipt of this run and this sha256: in runs/, or copied from the store into runs/.received/.

    Raises UsageError, which names the `subject`, where it is in neither.
    """
    path = workspace.runs / run / run_folder.RECEIPT
    if path.is_file() and sha256(path) == digest:
        return path
    content = local_store(workspace).get(digest)
    if content is None:
        raise UsageError(f"the receipt of {subject} is not in the store", mend="make pull")
    received = workspace.runs / ".received" / run / run_folder.RECEIPT
    write_whole(received, content)
    return received


WITHDRAWN = "Withdrawn:"


def champion(workspace: Workspace, name: str, files: Mapping[str, str] | None = None) -> tuple[str, Bundle | None]:
    """The reference and the bundle of the model that a new one has to beat: the promoted one.

    Where its file was removed, the newest one that this branch has had is the champion still, unless a rollback has
    withdrawn it and its commit says so. No model is its own champion: where the promoted one has the `files` of the new
    one, by their sha256, it is the one before. ("", None) where there never was one.
    """
    file = path(workspace, name)
    if file.is_file() and digests(bundle := read(workspace, name)) != files:
        return name, bundle
    commit, bundle = champions(workspace, versions(workspace, name), "HEAD", files)[0]
    return (f"{name}@{commit}" if bundle else ""), bundle


def versions(workspace: Workspace, name: str, ref: str = "HEAD") -> Iterator[tuple[str, Bundle | None]]:
    """The whole bundles of a model on the line of first parents of a branch, newest first, each with the commit that
    brought it; None where a commit removed the model.
    """
    for commit, content in head.versions(workspace.root, workspace.relative(path(workspace, name)), ref):
        bundle = _from_history(content) if content else None
        if content is None or (bundle and bundle.name == name):
            yield commit, bundle


def champions(
    workspace: Workspace, line: Iterable[tuple[str, Bundle | None]], tip: str, files: Mapping[str, str] | None
) -> list[tuple[str, Bundle | None]]:
    """The champion of the versions of a model, newest first, for one of these `files`, with the commit that brought it.

    It is ("", None) where there is none: there never was one, or a commit up to `tip` says that it was withdrawn. One
    that was withdrawn, on a branch that was merged, and whose file is there still, is listed before none.
    """
    rest = iter(line)
    newest = next(rest, ("", None))
    commit, bundle = newest if newest[1] else next((version for version in rest if version[1]), ("", None))
    if bundle is None:
        return [("", None)]
    is_withdrawn = head.is_said(workspace.root, withdrawal(bundle), commit, tip)
    if is_withdrawn and newest[1] is None:
        return [("", None)]
    if digests(bundle) == files:
        older = list(rest)
        last = max(
            (number for number, (_, other) in enumerate(older, 1) if other and digests(other) == files), default=0
        )
        return champions(workspace, older[last:], tip, files)
    return [(commit, bundle), *([("", None)] if is_withdrawn else [])]


def digests(bundle: Bundle) -> dict[str, str]:
    """The sha256 of each file of a model, by its name as a subject of its run."""
    return {name: artifact.sha256 for name, artifact in bundle.artifacts.items()}


def withdrawal(bundle: Bundle) -> str:
    """The line of a commit's message that says which bundle it withdraws."""
    return f"{WITHDRAWN} {bundle.receipt.run}, bundle {bundle.digest}"


def _parse(content: bytes, name: str, file: str) -> Bundle:
    """The bundle in a file's content. Raises UsageError where it is not whole, or that of another model."""
    bundle = parse(content, file)
    if bundle.name != name:
        raise UsageError(f"{file} is the bundle of {bundle.name}", mend=f"git mv {file} models/{bundle.name}.json")
    return bundle


def referenced_objects(workspace: Workspace) -> dict[str, str]:
    """A description of each object that the models promoted on this branch need, by sha256.

    Raises UsageError for a bundle that isn't whole.
    """
    promoted = promoted_bundles(workspace)
    return {digest: label for bundle in promoted for digest, label in objects_of(workspace, bundle).items()}


def all_versions(workspace: Workspace) -> list[Bundle]:
    """The bundles of this branch, then those of every commit of any branch. Raises UsageError where git fails."""
    promoted = promoted_bundles(workspace)
    if not head.is_repository(workspace.root):
        return promoted
    contents = git.contents(workspace.root, "models/*.json", "--all")
    return promoted + [bundle for bundle in map(_from_history, contents) if bundle]


def objects_of_all_versions(workspace: Workspace) -> set[str]:
    """The sha256 of each object that a bundle of any commit of any branch needs. Raises UsageError where git fails."""
    return {digest for bundle in all_versions(workspace) for digest in objects_of(workspace, bundle)}


def objects_of(workspace: Workspace, bundle: Bundle) -> dict[str, str]:
    """A description of each object that a bundle needs, and of the lists of its receipts, where these are here."""
    objects, gate = bundles.referenced_objects(bundle), bundle.promoted.gate
    for receipt_digest in (bundle.receipt.sha256, *([gate.receipt] if gate else [])):
        with suppress(SamebookError):
            if content := local_store(workspace).get(receipt_digest):
                listed = data_manifest.lists(receipt.parse(content, "a receipt")).items()
                objects |= {digest: f"{name} of model {bundle.name}" for digest, name in listed}
    return objects


def promoted_bundles(workspace: Workspace) -> list[Bundle]:
    """The bundles of the models that are promoted on this branch."""
    return [read(workspace, path.stem) for path in sorted(workspace.models.glob("*.json"))]


def _from_history(content: bytes) -> Bundle | None:
    """A bundle from a commit; None where it was not whole, so that no run can have used it."""
    with suppress(UsageError):
        return parse(content, "a bundle")
    return None
