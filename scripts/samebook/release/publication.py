"""The images that settings name as published: which commit they are of, and the text of a file that names others."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from samebook.core import git, head
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import settings, yaml_file
from samebook.environment.sections import IMAGE, Published

KEY = "published"
SETTINGS = re.compile(r"environments/([^/]+)\.yml")
# A registry, and a place in it: registry.example.com/team.
REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")


def check_registry(registry: str) -> None:
    """Raise UsageError for a text that is not a registry's name. It is not repeated: it may hold a password."""
    if not REGISTRY.fullmatch(registry):
        secret = " without a user or a password, which docker login asks for" if "@" in registry else ""
        raise UsageError(
            f"REGISTRY is not a registry and a place in it; expected one like registry.example.com/team{secret}",
            mend="make publish ENV=… REGISTRY=registry.example.com/team",
        )


def check_mirror(workspace: Workspace, commit: str) -> None:
    """Raise UsageError where DEBIAN_MIRROR has a password: it is an argument of a step whose words the image keeps."""
    has_packages = git.file_content(workspace.root, commit, "environments/apt.lock") is not None
    if has_packages and "@" in os.environ.get("DEBIAN_MIRROR", ""):
        raise UsageError(
            "DEBIAN_MIRROR has a user or a password, which everybody could read in the history of the image",
            mend="make publish ENV=… REGISTRY=… DEBIAN_MIRROR=<a mirror without one>",
        )


def committed(workspace: Workspace, path: Path) -> bytes:
    """The text of a settings file, here and at HEAD. Raises UsageError where they differ: git says nothing of a file
    that it ignores, or is told to take as unchanged, and what it holds may be for nobody else.
    """
    name, content = workspace.relative(path), path.read_bytes()
    if content != head.content(workspace.root, name):
        raise UsageError(f"{name} is not as it is committed", mend=f"git ls-files -v -- {name}")
    return content


def written(content: bytes, published: Published, path: Path) -> bytes:
    """The text of a settings file with other published images, and all else as it was.

    Raises UsageError where another setting would be another one then.
    """
    # In quotes: YAML would take a hash of digits alone for a number.
    lines = [f'  {name}: "{value}"\n' for name, value in published.model_dump().items() if value]
    section = f"{KEY}:\n{''.join(lines)}".encode()
    before = without(content)
    text = before + (b"" if before.endswith(b"\n") or not before else b"\n") + section
    expected = {**yaml_file.parse(content, path.name), KEY: published.model_dump(exclude_defaults=True)}
    if _parsed(text, path.name) != expected:
        raise UsageError(
            f"{path.name} can't be changed by its text alone; expected `{KEY}:` at its top level, in lines of its own",
            mend=f"edit {path.name}: remove `{KEY}`",
        )
    return text


def _parsed(text: bytes, name: str) -> dict[str, Any]:
    """The settings in a text; none where it is not YAML."""
    with suppress(UsageError):
        return yaml_file.parse(text, name)
    return {}


def without(content: bytes) -> bytes:
    """The text of a settings file without its published images."""
    kept, is_published = list[bytes](), False
    for line in content.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            is_published = re.match(rb"published[ \t]*:", line) is not None
        kept += [] if is_published else [line]
    return b"".join(kept)


def source(workspace: Workspace) -> str:
    """The commit that is to be published: HEAD, or the one whose images are published already, where since then nothing
    was committed but that.
    """
    newest = git.head(workspace.root)
    for env in settings.names(workspace):
        published = at_head(workspace, env)
        if published and published.commit != newest and is_only_named(workspace, published.commit):
            return published.commit
    return newest


def at_head(workspace: Workspace, env: str) -> Published | None:
    """The images that the settings of an environment name at HEAD; None where they name none."""
    path = workspace.relative(settings.settings_path(workspace, env))
    section = yaml_file.parse(head.content(workspace.root, path) or b"", path).get(KEY)
    try:
        return Published.model_validate(section) if section else None
    except ValidationError:
        raise UsageError(
            f"{path} at HEAD: `{KEY}` is not as make publish writes it", mend=f"make settings ENV={env}"
        ) from None


def chosen(workspace: Workspace, image: str, env: str, target: str) -> str:
    """The image that a command is given, or the published one of an environment. Raises UsageError for one without a
    digest.
    """
    published = None if image else settings.load(workspace, env).published
    if not image and not (published and getattr(published, target)):
        raise UsageError(
            f"environments/{env}.yml names no published image for {target}",
            mend=f"make publish ENV={env} REGISTRY=registry.example.com/team",
        )
    image = image or getattr(published, target)
    if not re.fullmatch(IMAGE, image):
        raise UsageError(
            f"IMAGE={image} has no digest; expected NAME@sha256:… with 64 digits, which can't be moved",
            mend="again, without IMAGE: the image of ENV",
        )
    return image


def changed(workspace: Workspace, commit: str, names: Sequence[str]) -> list[str]:
    """The files and folders that differ between a commit and HEAD, in more than names of published images."""
    root = workspace.root
    return [
        name
        for name in names
        if not head.has_same(root, commit, name)
        and not (SETTINGS.fullmatch(name) and _bare(root, commit, name) == _bare(root, "HEAD", name))
    ]


def is_only_named(workspace: Workspace, commit: str) -> bool:
    """Whether all that was committed since a commit in the past of HEAD are names of published images."""
    root = workspace.root
    if not git.is_ancestor(root, commit):
        return False
    options = ("diff", "--name-only", "-z", "--no-renames", "--no-ext-diff")
    names = [name for name in git.git(root, *options, commit, "HEAD").decode().split("\0") if name]
    return all(SETTINGS.fullmatch(name) and _bare(root, commit, name) == _bare(root, "HEAD", name) for name in names)


def _bare(root: Path, ref: str, name: str) -> bytes:
    with suppress(UsageError):  # there is no such file
        return without(git.show(root, ref, name))
    return b""
