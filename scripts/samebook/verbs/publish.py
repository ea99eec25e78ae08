"""Publish the image of a commit: push it to a registry, and commit its digest to the settings of an environment."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from samebook.core import file_lock, subcommand
from samebook.core import workspace as workspaces
from samebook.core.errors import SamebookError
from samebook.core.text import Say, align
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.sections import Published
from samebook.models import commits
from samebook.projects import answers
from samebook.records import signing
from samebook.release import docker, provenance, publication, sbom
from samebook.release.archive import Archive

TARGETS = ("runtime", "lab")
# Where bills of materials and provenances stand, by the digests of their images.
DOCUMENTS = "dist"
# Held by a publication from its commit on to the commit that names the digests.
LOCK = ".samebook/publish.lock"


@dataclass(frozen=True)
class PublishRequest:
    """One call of `samebook publish`: the environment, the registry, by default the one that the project was made with,
    and the seconds that a push may take.
    """

    env: str
    registry: str
    seconds: int
    has_lab: bool = True


@dataclass(frozen=True)
class Publication:
    """The published images, and the commit that names them; it is the one before where the settings named them."""

    env: str
    images: Published
    commit: str
    is_new: bool


def publish(request: PublishRequest, say: Say) -> Publication:
    """Publish the images of HEAD. Nothing is committed where a registry does not take them, or not as they are.

    Raises UsageError where no commit can be made here, and SamebookError for what the registry has said.
    """
    workspace = workspaces.find()
    request = replace(request, registry=request.registry or own_registry(workspace))
    publication.check_registry(request.registry)
    signing.check_key()
    settings.load(workspace, request.env)
    path = settings.settings_path(workspace, request.env)
    with commits.hold_branch(workspace, path):
        publication.committed(workspace, path)  # before the minutes that a build may take
    if file_lock.is_held(workspace.root / LOCK):
        say("another publication of this checkout is under way: waiting for its end")
    with file_lock.hold(workspace.root / LOCK):
        commit = publication.source(workspace)
        publication.check_mirror(workspace, commit)
        say(f"building the images of {commit[:12]}")
        images = _pushed(workspace, request, commit, say)
        with commits.hold_branch(workspace, path) as tip:
            content = publication.written(publication.committed(workspace, path), images, path)
            made = commits.commit_file(workspace, tip, path, content, _message(request.env, images))
    return Publication(request.env, images, made, made != tip.head)


def own_registry(workspace: Workspace) -> str:
    """The registry that `samebook new` was given for this project; "" for none."""
    path = workspace.root / answers.FILE
    return answers.read(path.read_bytes())["registry"] if path.is_file() else ""


def _pushed(workspace: Workspace, request: PublishRequest, commit: str, say: Say) -> Published:
    """The images of a commit, in the registry."""
    name = f"{request.registry}/{workspace.project}"
    targets = TARGETS if request.has_lab else TARGETS[:1]
    references = dict[str, str]()
    (workspace.root / ".samebook").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="release-", dir=workspace.root / ".samebook") as folder:
        built = {"REVISION": commit, "RELEASE": name, "RELEASE_TAG": f"-{commit}", "TARGETS": " ".join(targets)}
        subcommand.make(workspace, "archives", DIST=folder, **built)
        for target in targets:
            archive = Archive(Path(folder) / f"samebook-{target}.oci.tar")
            references[target] = f"{name}@{archive.digest}"
            say(f"pushing {references[target]}")
            beside = workspace.root / DOCUMENTS / f"{target}-{archive.digest.removeprefix('sha256:')}"
            workspaces.write_whole(beside.with_suffix(".cdx.json"), sbom.bill(archive, name))
            statement = provenance.statement(workspace.root, archive, name, commit, target)
            path = beside.with_suffix(".provenance.json")
            workspaces.write_whole(path, statement)
            signing.sign(path, statement)
            docker.load(archive.path)
            docker.push(f"{name}:{target}-{commit}", request.seconds)
            _check(references[target])
    return Published(commit=commit, **references)


def _check(reference: str) -> None:
    """Raise SamebookError where the registry does not give, for the digest, the manifest that was pushed."""
    try:
        docker.check_manifest(reference)
    except SamebookError as error:
        raise SamebookError(
            f"the registry has taken {reference}, and does not give it back: nothing is committed; {error}",
            mend=f"docker manifest inspect {reference}",
        ) from None


def _message(env: str, images: Published) -> str:
    """The commit's message: what it is of, and the images."""
    lines = [f"{target}: {getattr(images, target)}" for target in TARGETS if getattr(images, target)]
    return "\n".join((f"Publish {images.commit[:12]} for {env}", "", *lines, ""))


def table(result: Publication) -> str:
    """The publication as text, and what is next."""
    rows = [("commit", result.images.commit), ("runtime", result.images.runtime), ("lab", result.images.lab)]
    lines = align([row for row in rows if row[1]])
    path = f"environments/{result.env}.yml"
    lines.append(
        f"what is in them, in CycloneDX: {DOCUMENTS}/*.cdx.json; what made them, in SLSA: {DOCUMENTS}/*.provenance.json"
    )
    last = f"committed {result.commit[:12]}: {path}; next: git push" if result.is_new else f"{path} names them already"
    return "\n".join((*lines, last))
