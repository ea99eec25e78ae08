"""The commands for promoted models and for reviews: promote, roll back, put into a folder; compare, review, lint."""

import sys
from pathlib import Path

import click

from samebook.cli.options import ENGINE, ENV, VARIABLES, say, show
from samebook.core import workspace


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("model", metavar="MODEL")
@ENV
@VARIABLES
@click.option("--why", default="", help="Reason, for the commit's message and the bundle.")
@click.option("--dry-run", "--dry", is_flag=True, help="Check every condition, without a commit.")
def promote(run: str, model: str, env: str, why: str, dry_run: bool) -> None:
    """Promote RUN as MODEL: check it against the policy of the environment, and commit models/MODEL.json.

    Example: samebook promote train churn --why "a year more of data"

    RUN is a run's id, or a notebook's name for its newest run. A run that doesn't meet every condition is refused with
    exit code 6; the error names each unmet condition, with the command that meets it.
    """
    from samebook.verbs import promote as verb

    promotion = verb.promote(verb.PromoteRequest(run, model, env, why, dry_run), say)
    show(verb.message(promotion.bundle, promotion.champion).rstrip())
    show(
        f"\ncommitted {promotion.commit[:12]}"
        if promotion.commit
        else "\ndry run: every condition is met; nothing changed"
    )
    if promotion.commit:
        _renew_folder(model)


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--to", default="", help="Branch, tag or commit with the version to restore; by default the version before."
)
@click.option(
    "--reopen", default="", metavar="BRANCH", help="Branch that was merged here, and shall be merged again later."
)
@click.option("--why", default="", help="Reason, for the commit's message.")
@click.option("--withdraw", is_flag=True, help="Restore none: the model's file goes, and the next has no champion.")
@click.option("--dry-run", "--dry", is_flag=True, help="Show the version that would be restored, without a commit.")
def rollback(model: str, to: str, reopen: str, why: str, withdraw: bool, dry_run: bool) -> None:
    """Roll MODEL back: restore an earlier version of models/MODEL.json, whole, by a new commit.

    Example: samebook rollback churn --to prod

    Git never merges the same commit twice. --reopen BRANCH adds a commit to that branch, so that the next merge brings
    its version again.
    """
    from samebook.verbs import rollback as verb

    restoration = verb.rollback(verb.RollbackRequest(model, to, reopen, why, withdraw, dry_run))
    before = restoration.before.receipt.run if restoration.before else "a bundle that is not whole"
    after = restoration.restored.receipt.run if restoration.restored else "none: it is withdrawn"
    show(f"{model}: from {before} back to {after}")
    show(f"committed {restoration.commit[:12]}" if restoration.commit else "dry run: nothing changed")
    if restoration.commit and restoration.restored:
        _renew_folder(model)
    if restoration.commit and not reopen and restoration.came_by_merge:
        click.echo("it came by a merge: for git to merge that branch again later, say REOPEN=<branch>, too", err=True)


@click.command()
@click.argument("references", metavar="[MODEL]...", nargs=-1)
@ENV
@ENGINE
def models(references: tuple[str, ...], env: str, engine: str) -> None:
    """Put the files of promoted models under models/.files/MODEL/, read-only, to read or to mount.

    MODEL is a name like churn, or churn@prod for what a branch, tag or commit has; by default all of this branch.
    Files that the store lacks come from the remote store, or else from running the model's source again, checked by
    hash.
    """
    from samebook.reproduction.rerun import Site
    from samebook.verbs import models as verb

    checkout = workspace.find()
    for model in verb.models(Site(checkout, engine, say), references, env):
        show(f"{checkout.relative(model.folder)}  {model.bundle.receipt.run}  {len(model.bundle.outputs)} files")


def _renew_folder(model: str) -> None:
    """Update the folder with the model's files, where there is one and its own environment admits the new version."""
    from samebook.reproduction.rerun import Site
    from samebook.verbs import models as verb

    checkout = workspace.find()
    if env := verb.folder_env(checkout, model):
        verb.models(Site(checkout, "local", say), [model], env)


@click.group()
def bundle() -> None:
    """Show what a bundle, the file of a promoted model, may hold."""


@bundle.command("schema")
def bundle_schema() -> None:
    """Print the JSON Schema of a bundle."""
    from samebook.models import bundle as bundles

    click.echo(bundles.json_schema(), nl=False)


@click.command()
@click.argument("before", metavar="[A]", default="HEAD")
@click.argument("after", metavar="[B]", default="")
@click.option("--notebook", help="Notebook whose cells are compared, in place of the models.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
def diff(before: str, after: str, notebook: str | None, markdown: bool) -> None:
    """Compare the models, or the cells of a notebook, of two branches, tags or commits.

    \b
    Examples:
      samebook diff prod                     metrics, parameters, days of data, environment
      samebook diff --notebook train         the cells that differ from HEAD, without outputs

    B is the work tree where it isn't given.
    """
    from samebook.verbs import diff as verb

    show(verb.diff(workspace.find(), verb.DiffRequest(before, after, notebook or "", markdown)))


@click.command()
@click.argument("range_", metavar="[RANGE]", default="main..HEAD")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), help="Folder for review.md and changed plots."
)
def review(range_: str, into: Path | None) -> None:
    """Review a branch: print what it changes, as the Markdown of a pull request.

    Example: samebook review main..retrain

    RANGE is the branch that a merge would go into, two dots, and the branch to review. What the policy would say is
    asked of the base, so that a branch can't loosen what judges it. No output and no secret is shown that git does not
    hold already.
    """
    from samebook.verbs import review as verb

    done = verb.review(workspace.find(), range_, into)
    if into is None:
        show(done.text.rstrip())
    for path in done.files:
        show(str(path))


@click.command()
@click.argument("paths", metavar="[NOTEBOOK]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--fix", is_flag=True, help="Take out what only a run puts in: outputs, numbers, injected parameters.")
def lint(paths: tuple[Path, ...], fix: bool) -> None:
    """Check the house rules of notebooks: each cell of code has a tag of its own, `parameters` come first, at most 20
    cells of code, no outputs.

    Example: samebook lint notebooks/ --fix

    NOTEBOOK is a file, or a folder for all in it; by default notebooks/. Exit code 1 where a rule is broken, or a file
    was changed. Works in any folder, as a hook of pre-commit does: see .pre-commit-hooks.yaml. Names that are used
    before they are made are found by `ruff check --select F821`, which reads notebooks.
    """
    from samebook.verbs import lint as verb

    linted = verb.lint(paths or [Path("notebooks")], is_fixing=fix)
    for line in verb.table(linted):
        show(line)
    if any(item.findings or item.is_changed for item in linted):
        sys.exit(1)
