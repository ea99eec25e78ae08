"""The images that a branch has published for an environment: those in which a policy with `pinned_image` wants runs.

The settings at HEAD say whether there is one. Each that they have ever named counts: a later image, or the return to an
earlier one, leaves the models that were made before as they are.
"""

from collections.abc import Iterator

from samebook.core import head
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import settings, yaml_file


def names(workspace: Workspace, env: str) -> list[str]:
    """The image that the settings of an environment name at HEAD; none where they name none, or there are none.

    A copy without a repository, as the image is, has none either: its settings are older than its own digest.
    """
    if not env or not head.is_repository(workspace.root):
        return []
    path = _path(workspace, env)
    return list(_named(head.content(workspace.root, path), path))


def problem(workspace: Workspace, env: str, image: str | None) -> str:
    """The finding that a run's image is not one that was published for an environment; "" where it is, or none was."""
    if not (newest := names(workspace, env)):
        return ""
    path, digest = _path(workspace, env), _digest(image or "")
    for _, content in head.versions(workspace.root, path):
        if digest in map(_digest, _named(content, path)):
            return ""
    return f"its image {image} was never published for {env}, as {newest[0]} is"


def _path(workspace: Workspace, env: str) -> str:
    return workspace.relative(settings.settings_path(workspace, env))


def _named(content: bytes | None, path: str) -> Iterator[str]:
    """The image that the text of a settings file names; an earlier text may be unreadable."""
    try:
        section = yaml_file.parse(content or b"", path).get("published")
    except UsageError:
        return
    if isinstance(section, dict) and isinstance(section.get("runtime"), str):
        yield section["runtime"]


def _digest(image: str) -> str:
    """The digest in an image's name: the same image may be in several registries, or here by its id."""
    return image.rpartition("@")[2]
