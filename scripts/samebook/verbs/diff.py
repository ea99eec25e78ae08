"""Compare two versions of the promoted models, or of a notebook's cells."""

from dataclasses import dataclass

from samebook.core import git
from samebook.core.workspace import Workspace
from samebook.review import bundles, cells, notebook_section


@dataclass(frozen=True)
class DiffRequest:
    """One call of `samebook diff`: two branches, tags or commits, and a notebook's name, or none for the models.

    An empty `after` is the work tree.
    """

    before: str
    after: str = ""
    notebook: str = ""
    is_markdown: bool = False


def diff(workspace: Workspace, request: DiffRequest) -> str:
    """The differences as text. Raises UsageError for an unknown branch, and where neither side has the notebook."""
    if not request.notebook:
        compared = bundles.compare(workspace, request.before, request.after)
        return (bundles.markdown if request.is_markdown else bundles.text)(compared, request.before, request.after)
    path = workspace.notebook(request.notebook)
    name = workspace.relative(path)
    before = git.show(workspace.root, request.before, name)
    after = (
        git.show(workspace.root, request.after, name) if request.after else path.read_bytes() if path.is_file() else b""
    )
    change = cells.compare(before, after)
    if request.is_markdown:
        return "\n\n".join(notebook_section.markdown(name, change))
    return "\n".join(notebook_section.text(change))
