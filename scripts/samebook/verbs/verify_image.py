"""Verify that an image is what its commit says: build it again from there, and compare the digests."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git, head, subcommand
from samebook.core import workspace as workspaces
from samebook.core.errors import UsageError
from samebook.core.text import Say, align, visible
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.release import archive, docker, publication
from samebook.release.archive import Archive, Difference
from samebook.wheelhouse import pinned_base

# By these an image says what it is of.
COMMIT, BASE = "SAMEBOOK_COMMIT", "SAMEBOOK_BASE_IMAGE"


@dataclass(frozen=True)
class VerifyImageRequest:
    """One call of `samebook verify-image`: the image, or the environment whose published one it is.

    With `is_cached`, layers of this machine's earlier builds are taken, which is quick and proves less.
    """

    image: str
    env: str
    target: str
    seconds: int
    is_cached: bool = False


@dataclass(frozen=True)
class ImageVerdict:
    """The verdict on an image: the digest of what its commit gives here, and where the two differ."""

    image: str
    commit: str
    digest: str
    differences: tuple[Difference, ...]
    note: str = ""

    @property
    def is_identical(self) -> bool:
        return not self.differences and self.image.endswith(f"@{self.digest}")


def verify_image(request: VerifyImageRequest, say: Say) -> ImageVerdict:
    """The verdict on a published image. The builder of this machine takes nothing that the image brings but its commit.

    Raises UsageError for an image without a digest, or whose commit is not here.
    """
    workspace = workspaces.find()
    image = publication.chosen(workspace, request.image, request.env, request.target)
    docker.pull(image, request.seconds)
    claims = docker.variables(image)
    commit = claims.get(COMMIT, "")
    _check_commit(workspace, image, commit)
    if not request.image:
        _check_named(workspace, request.env, commit)
    base, note = _base(workspace, commit, claims.get(BASE, ""))
    say(f"building the image of {commit[:12]} again")
    (workspace.root / ".samebook").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=workspace.root / ".samebook") as folder:
        theirs = Archive(Path(folder) / "theirs.tar")
        docker.save(image, theirs.path)
        theirs.check_named(image)
        subcommand.make(workspace, "archives", **_build(request, commit, base, folder))
        ours = Archive(Path(folder) / f"samebook-{request.target}.oci.tar")
        differences = tuple(archive.differences(theirs, ours))
        return ImageVerdict(image, commit, ours.digest, differences, note)


def _check_commit(workspace: Workspace, image: str, commit: str) -> None:
    """Raise UsageError where an image does not say its commit, or it is not here."""
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise UsageError(f"{image} does not say which commit it is of, as make image does", mend="make image")
    if not head.is_in_past(workspace.root, git.commit(workspace.root, commit)):
        raise UsageError(
            f"{image} is of commit {commit[:12]}, which is not in this branch: to build it is to run it",
            mend=f"git switch --detach {commit[:12]}",
        )


def _check_named(workspace: Workspace, env: str, commit: str) -> None:
    """Raise UsageError where an environment's settings name another commit beside the image."""
    published = settings.load(workspace, env).published
    if published and published.commit != commit:
        raise UsageError(
            f"environments/{env}.yml names commit {published.commit[:12]} beside an image of {commit[:12]}",
            mend=f"make publish ENV={env} REGISTRY=registry.example.com/team",
        )


def _base(workspace: Workspace, commit: str, claimed: str) -> tuple[str, str]:
    """The base to build on, and a note where it is not the one that the commit pins: "" for make's own."""
    pinned = pinned_base.read(git.show(workspace.root, commit, "Dockerfile"))
    if claimed in pinned:
        return claimed, ""
    said = visible(claimed, kept="") or "has no name"  # a line of its own could say another verdict
    return "", f"its base {said} is not the one that its Dockerfile pins: this machine's was taken"


def _build(request: VerifyImageRequest, commit: str, base: str, folder: str) -> dict[str, str]:
    """The variables of make for the build."""
    given = {"DIST": folder, "REVISION": commit, "TARGETS": request.target}
    return {**given, "NO_CACHE": "0" if request.is_cached else "1", **({"BASE_IMAGE": base} if base else {})}


def table(verdict: ImageVerdict) -> str:
    """The verdict as text: each difference, then one line."""
    rows = [(each.place, each.name, each.one, each.other) for each in verdict.differences]
    lines = align([("where", "what", "the image", f"of {verdict.commit[:12]}"), *rows]) if rows else []
    name, _, digest = verdict.image.partition("@")
    if verdict.is_identical:
        lines.append(f"IDENTICAL: {name} is what commit {verdict.commit} says, {digest}")
    else:
        lines.append(f"DIFFERENT: {name} is {digest}, and commit {verdict.commit} gives {verdict.digest}")
    return "\n".join((*lines, *([verdict.note] if verdict.note else [])))
