"""The commands around promoted models."""

import click

from samebook.cli.options import ENGINE, ENV, say, show
from samebook.core import workspace


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("model", metavar="MODEL")
@ENV
@click.option("--why", default="", help="Why: for the commit's message and the bundle.")
@click.option("--dry-run", "--dry", is_flag=True, help="Check every condition, and change nothing.")
def promote(run: str, model: str, env: str, why: str, dry_run: bool) -> None:
    """Promote RUN as MODEL: check it against the policy of the environment, and commit models/MODEL.json.

    RUN is a run's id, or a notebook's name for its newest run. Exit code 6 names every condition that isn't met,
    with the command that meets it.
    """
    from samebook.verbs import promote as verb

    done = verb.promote(verb.PromoteRequest(run, model, env, why, dry_run), say)
    show(verb.message(done.bundle, done.champion).rstrip())
    show(f"\ncommitted {done.commit[:12]}" if done.commit else "\ndry run: every condition is met; nothing changed")
    if done.commit:
        _renew_folder(model, env)


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--to", default="", help="A branch, tag or commit that has the version; by default the one before.")
@click.option("--reopen", default="", metavar="BRANCH", help="A branch to be merged again some day.")
@click.option("--why", default="", help="Why: for the commit's message.")
@click.option("--dry-run", "--dry", is_flag=True, help="Say what it would be rolled back to, and change nothing.")
def rollback(model: str, to: str, reopen: str, why: str, dry_run: bool) -> None:
    """Roll MODEL back: commit an earlier version of models/MODEL.json, whole, and forward.

    Git never merges twice what it has merged once. --reopen BRANCH moves that branch one commit on, so that merging
    it brings its version again.
    """
    from samebook.verbs import rollback as verb

    done = verb.rollback(verb.RollbackRequest(model, to, reopen, why, dry_run))
    before = done.before.receipt.run if done.before else "a bundle that is not whole"
    show(f"{model}: from {before} back to {done.restored.receipt.run}")
    show(f"committed {done.commit[:12]}" if done.commit else "dry run: nothing changed")
    if done.commit:
        _renew_folder(model, "dev")
    if done.commit and not reopen:
        click.echo("a branch that was merged and shall be merged again some day: --reopen BRANCH", err=True)


@click.command()
@click.argument("references", metavar="[MODEL]...", nargs=-1)
@ENV
@ENGINE
def models(references: tuple[str, ...], env: str, engine: str) -> None:
    """Put the files of promoted models under models/.files/MODEL/, read-only, to read or to mount.

    MODEL is a name like churn, or churn@prod for what a branch, tag or commit has; by default all of this branch.
    What the store lacks comes from the remote store, else from running its source again, checked by hash.
    """
    from samebook.records.rerun import Site
    from samebook.verbs import models as verb

    here = workspace.find()
    for made in verb.models(Site(here, engine, say), references, env):
        show(f"{here.relative(made.folder)}  {made.bundle.receipt.run}  {len(made.bundle.outputs)} files")


def _renew_folder(model: str, env: str) -> None:
    """Where the model's files are a folder, let it be the files of what is promoted now."""
    from samebook.records.rerun import Site
    from samebook.verbs import models as verb

    here = workspace.find()
    if verb.is_folder(here, model):
        verb.models(Site(here, "local", say), [model], env)


@click.group()
def bundle() -> None:
    """Look at bundles: what is promoted on this branch and on others."""


@bundle.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="[B]", default="")
@click.option("--markdown", is_flag=True, help="As tables for a pull request.")
def bundle_diff(before: str, after: str, markdown: bool) -> None:
    """Compare the models of two branches, tags or commits: metrics, parameters, days of data, environment.

    B is the work tree where it isn't given.
    """
    from samebook.verbs import bundle_diff as verb

    found = verb.bundle_diff(workspace.find(), before, after)
    show((verb.markdown if markdown else verb.text)(found, before, after))


@bundle.command("schema")
def bundle_schema() -> None:
    """Print the JSON Schema of a bundle."""
    from samebook.models import bundle as made

    click.echo(made.json_schema(), nl=False)
