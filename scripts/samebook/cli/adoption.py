"""The command that brings a foreign notebook in."""

import sys

import click

from samebook.cli.options import ENGINE, say, show
from samebook.core.errors import UsageError
from samebook.core.text import word


@click.command()
@click.argument("notebook", metavar="NOTEBOOK")
@click.argument("data", metavar="[DATA]...", nargs=-1)
@ENGINE
@click.option("--name", default="", show_default=False, help="Name of the notebook here; by default its file's.")
@click.option("--mend", is_flag=True, help="Change old code to what today's libraries take, by rules with a source.")
@click.option("--dry-run", "--dry", is_flag=True, help="Show the plan alone.")
@click.option("--yes", is_flag=True, help="Do as planned without a question.")
def adopt(notebook: str, data: tuple[str, ...], engine: str, name: str, mend: bool, dry_run: bool, yes: bool) -> None:
    """Bring an existing NOTEBOOK in, with its packages, modules and DATA: a plan, a question, then two runs.

    Example: samebook adopt ~/old/churn.ipynb ~/old/customers.csv --mend

    NOTEBOOK is a file, or its address in a git repository. DATA are files, or folders with files, that it reads. The
    original stays as it is.
    """
    from samebook.verbs import adopt as verb

    def agree(plan: str) -> bool:
        show(plan)
        if dry_run or yes:
            return yes and not dry_run
        if not sys.stdin.isatty():
            raise UsageError(
                "nothing is written: without a terminal nobody can agree to this plan",
                mend=f"make adopt NOTEBOOK={word(notebook)} YES=1, with the rest as before",
            )
        return click.confirm("\nadopt it so?", err=True)

    verdict = verb.adopt(verb.AdoptRequest(notebook, data, name, engine, mend), agree, say)
    show(verdict or "dry run: nothing is written" if verdict or dry_run else "nothing is written")
