"""The commands that make a project of one's own, and bring a foreign notebook or a later samebook into it."""

import sys
from pathlib import Path

import click

from samebook.cli.options import ENGINE, say, show
from samebook.core import workspace
from samebook.core.errors import NotReproduced, SamebookError, UsageError
from samebook.core.text import word


@click.command()
@click.argument("path", metavar="PROJECT", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Name of the project and of its package of helpers; by default the folder's.")
@click.option("--example", default="", help="tiny: a model with its gate and tests; none; or a whole example, by name.")
@click.option("--registry", default="", help="Registry that its CI pushes the image to; by default none.")
def new(path: Path, name: str, example: str, registry: str) -> None:
    """Make a project of your own: the entries of this scaffold in a new folder, with one commit.

    Example: samebook new churn --example none

    What no option says is asked in a terminal. No network is needed: the environment is locked to the packages that
    samebook is tested with, and samebook itself is a wheel in scripts/. Then `make run NOTEBOOK=train` and `make test`
    work there.
    """
    from samebook.projects import answers
    from samebook.verbs import new as verb

    if sys.stdin.isatty() and not (name and example):
        verb.check_place(path.absolute())
        name = name or click.prompt("name", default=verb.default_name(path), err=True)
        example = example or click.prompt("example", answers.EXAMPLES[0], type=click.Choice(answers.EXAMPLES), err=True)
        registry = registry or click.prompt("registry of its images", "", show_default=False, err=True)
    commit = verb.new(verb.NewRequest(path, name, example, registry), say)
    show(f"{path}: a project with one commit, {commit[:12]}\nnext: cd {word(path)} && make run NOTEBOOK=train")


@click.command()
@click.argument("project", metavar="[PROJECT]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--wheel", type=click.Path(path_type=Path), help="Wheel of the later samebook; by default what runs this command."
)
@click.option("--dry-run", "--dry", is_flag=True, help="Show the difference, and change nothing.")
@click.option("--reproduce", is_flag=True, help="Run the promoted models' notebooks again: whether their results hold.")
@ENGINE
def update(project: Path | None, wheel: Path | None, dry_run: bool, reproduce: bool, engine: str) -> None:
    """Bring a later samebook into a project, by default this one: a merge, which keeps what people have changed.

    Example: samebook update --wheel ../samebook-0.2.0-py3-none-any.whl

    Where both have changed the same lines, the conflict is listed and stands in the file as git writes it, and the exit
    code is 1. Nothing is committed. The lock moves as far as the new version needs, and no further.

    With --reproduce the exit code is 3 where the results of a promoted model are others in the new environment. On a
    project that is of the version already, only that is done.
    """
    from samebook.verbs import update as verb

    root = project or workspace.find().root
    result = verb.update(verb.UpdateRequest(root, wheel, dry_run, reproduce, engine), say)
    show(verb.table(result))
    if result.conflicts:
        count = f"{len(result.conflicts)} file" + "s" * (len(result.conflicts) > 1)
        if dry_run:
            raise SamebookError(f"{count} would be in conflict", mend="again, without DRY=1, and resolve them")
        mend = "resolve them as said above, then make check and git commit; or give the update up: git reset --hard"
        raise SamebookError(f"{count} in conflict", mend=mend)
    if others := [name for name, verdict in result.results.items() if not verdict.holds]:
        done = f"the results of {', '.join(others)} don't hold, as said above; git reset --hard gives the update up"
        raise NotReproduced(done if result.changes else done.partition(";")[0], mend=f"make reproduce RUN={others[0]}")
    if result.changes:
        done = "dry run: nothing is changed" if dry_run else "next: git diff --cached; make test; git commit"
        show(done)


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
