"""Where bundles are: models/<name>.json in the work tree, on any branch, and in its past."""

from contextlib import suppress
from pathlib import Path

from samebook.core import git
from samebook.core.errors import UsageError, nearest
from samebook.core.workspace import Workspace
from samebook.models import bundle
from samebook.models.bundle import NAME, Bundle, parse


def path(workspace: Workspace, name: str) -> Path:
    """Where the bundle of a model is. Raises UsageError for a text that can't be the name of a model."""
    if not NAME.fullmatch(name):
        raise UsageError(f"model {name!r}: expected lower-case letters, digits, - and _, like churn")
    return workspace.models / f"{name}.json"


def is_reference(workspace: Workspace, text: str) -> bool:
    """Whether `churn` or `churn@branch` means a promoted model here."""
    name, at, _ = text.partition("@")
    return NAME.fullmatch(name) is not None and (bool(at) or path(workspace, name).is_file())


def read(workspace: Workspace, reference: str) -> Bundle:
    """The bundle `churn`, or `churn@REF` at a branch, tag or commit.

    Raises UsageError where there is none, or none that is whole.
    """
    name, at, ref = reference.partition("@")
    file = path(workspace, name)
    if at:
        return _named(name, parse(git.show(workspace.root, ref, workspace.relative(file)), reference), reference)
    if not file.is_file():
        known = (found.stem for found in workspace.models.glob("*.json"))
        raise UsageError(
            f"no model {name!r} is promoted here{nearest(name, known)}",
            mend=f"make promote RUN=train MODEL={name}, or name a branch that has it: {name}@prod",
        )
    return _named(name, parse(file.read_bytes(), workspace.relative(file)), workspace.relative(file))


def _named(name: str, found: Bundle, where: str) -> Bundle:
    if found.name != name:
        raise UsageError(f"{where} is the bundle of {found.name}", mend=f"git mv it back to models/{found.name}.json")
    return found


def referenced_objects(workspace: Workspace) -> dict[str, str]:
    """What the models promoted on this branch need, by sha256. Raises UsageError for a bundle that isn't whole."""
    bundles = [read(workspace, path.stem) for path in sorted(workspace.models.glob("*.json"))]
    return {digest: label for each in bundles for digest, label in bundle.referenced_objects(each).items()}


def all_versions(workspace: Workspace) -> list[Bundle]:
    """The models of any branch, in every version there was. Raises UsageError where git isn't to be asked."""
    now = [read(workspace, file.stem) for file in sorted(workspace.models.glob("*.json"))]
    if not (workspace.root / ".git").exists():
        return now
    contents = git.contents(workspace.root, "models/*.json", "--all")
    return now + [each for each in map(_whole, contents) if each]


def objects_of_all_versions(workspace: Workspace) -> set[str]:
    """What the models of any branch need, or needed in any version. Raises UsageError where git isn't to be asked."""
    return {digest for each in all_versions(workspace) for digest in bundle.referenced_objects(each)}


def _whole(content: bytes) -> Bundle | None:
    """A bundle from the past; None for what was none, and so was never used."""
    with suppress(UsageError):
        return parse(content, "a bundle")
    return None
