"""The commands that look after the store."""

import click

from samebook.cli.options import ENV, JOBS, show
from samebook.core import workspace


@click.group()
def store() -> None:
    """Look after the content-addressed store of inputs and results."""


@store.command("verify")
def store_verify() -> None:
    """Read every object: name what is damaged, missing or unreferenced."""
    from samebook.models import store_use

    found = store_use.report(workspace.find())
    store_use.check(found)
    show(f"{found.objects} objects, all whole; {len(found.unreferenced)} that no receipt names")


@store.command("gc")
@click.option("--dry-run", "--dry", is_flag=True, help="Say what would go, and remove nothing.")
def store_gc(dry_run: bool) -> None:
    """Remove damaged objects, and those that no receipt in runs/ names."""
    from samebook.models import store_use

    found = store_use.gc(workspace.find(), dry_run=dry_run)
    would = "would remove" if dry_run else "removed"
    damaged = f", {len(found.damaged)} damaged" if found.damaged else ""
    show(f"{would} {len(found.unreferenced)} unreferenced objects{damaged}: {found.reclaimable / 2**20:.1f} MiB")


@store.command("push")
@ENV
@click.option("--again", is_flag=True, help="Send also what is there, in place of what may be damaged there.")
@click.option("--dry-run", "--dry", is_flag=True, help="Say how many objects and bytes would go, and send nothing.")
@JOBS
def store_push(env: str, again: bool, dry_run: bool, jobs: int) -> None:
    """Send what models and runs need to the bucket that store.url names, as far as it lacks it.

    Exit code 1 when the bucket can't be reached or denies, or when an object is damaged or missing here.
    """
    from samebook.cli.console import status_line
    from samebook.verbs import push as verb

    how = verb.TransferOptions(jobs, dry_run, again)
    with status_line() as say:
        summary = verb.push(workspace.find(), env, how, say)
    show(summary)


@store.command("pull")
@ENV
@click.option("--dry-run", "--dry", is_flag=True, help="Say how many objects and bytes would come, and bring nothing.")
@JOBS
def store_pull(env: str, dry_run: bool, jobs: int) -> None:
    """Bring what models and runs need from the bucket that store.url names, as far as it is missing or damaged here.

    Exit code 1 when the bucket can't be reached or denies, or when it lacks an object or has it damaged.
    """
    from samebook.cli.console import status_line
    from samebook.verbs import pull as verb

    how = verb.TransferOptions(jobs, dry_run)
    with status_line() as say:
        summary = verb.pull(workspace.find(), env, how, say)
    show(summary)
