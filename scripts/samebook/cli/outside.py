"""The commands that hand runs and models to other tools: export as a research object, mirror into MLflow."""

from pathlib import Path

import click

from samebook.cli.options import show
from samebook.core import workspace


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--as", "form", type=click.Choice(["ro-crate"]), default="ro-crate", help="Form of the export.")
@click.option(
    "--into",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; by default dist/RUN.crate.zip.",
)
@click.option("--without-data", is_flag=True, help="Name days of datasets by their hash, and leave their bytes out.")
def export(run: str, form: str, into: Path | None, without_data: bool) -> None:
    """Export RUN, or a promoted model with all runs behind it, as an RO-Crate: a zip for an archive such as Zenodo.

    \b
    Examples:
      samebook export train                      the newest run of a notebook
      samebook export churn --into churn.zip     a model, the gate's run, and the runs that made their data

    The zip is the same, byte for byte, for the same runs. It holds no uncommitted changes.
    """
    from samebook.verbs import export as verb

    del form
    show(verb.table(verb.export(workspace.find(), verb.ExportRequest(run, into, not without_data))))
