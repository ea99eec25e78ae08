"""Review a branch: what it changes, as the Markdown of a pull request."""

from dataclasses import dataclass
from pathlib import Path

from samebook.core.workspace import Workspace, make_folder, write_whole
from samebook.review import model_section, report
from samebook.review.span import parse

FILE = "review.md"


@dataclass(frozen=True)
class Review:
    """The review as Markdown, and the files that were written, relative to the current folder."""

    text: str
    files: list[Path]


def review(workspace: Workspace, range_: str, into: Path | None = None) -> Review:
    """The review of a range like main..HEAD. With `into`, it is written there, and changed plots beside it.

    Raises UsageError for a range that git does not know, or whose ends have nothing in common.
    """
    span = parse(workspace.root, range_)
    models = model_section.changed(workspace, span)
    plots = [plot for model in models for plot in model_section.plots(workspace, model)] if into else []
    text = report.markdown(workspace, span, models, plots)
    if into is None:
        return Review(text, [])
    make_folder(into)
    for plot in plots:
        write_whole(into / plot.file, plot.content)
    write_whole(into / FILE, text.encode())
    return Review(text, [into / name for name in (FILE, *(plot.file for plot in plots))])
