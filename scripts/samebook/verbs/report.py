"""Make the report: a static site over runs, models, drift and sweeps, which a browser opens from disk."""

from pathlib import Path

from samebook.core.workspace import Workspace
from samebook.report import site
from samebook.report.site import Build


def report(workspace: Workspace, into: Path | None = None) -> Build:
    """Build the site in a folder, by default runs/.report, or bring it up to date.

    Raises UsageError for a folder that holds something else.
    """
    return site.build(workspace, into or workspace.runs / site.FOLDER)


def table(build: Build) -> str:
    """The counts of a build as text, in one line."""
    words = {"new or changed": build.made, "as before": build.kept, "gone": build.gone, "damaged": build.damaged}
    counts = ", ".join(f"{count:,} {word}" for word, count in words.items() if count)
    return f"runs: {counts or 'none'}"
