"""The commands for the store, verify, clean up, push and pull, for what others get: exports, MLflow; and those that
only read results: lineage, compare.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from samebook.cli.options import ENGINE, ENV, JOBS, say, show
from samebook.core import workspace


@click.group()
def store() -> None:
    """Verify, clean up or share the store, which has inputs and results by their hash."""


@store.command("verify")
def store_verify() -> None:
    """Read every object of the store, and name the damaged and missing ones; count the unreferenced ones."""
    from samebook.models import store_use

    report = store_use.report(workspace.find())
    store_use.check(report)
    show(f"{report.objects} objects, all whole; {len(report.unreferenced)} that no receipt names")


@store.command("gc")
@click.option("--dry-run", "--dry", is_flag=True, help="Count the objects that would be removed, and remove none.")
def store_gc(dry_run: bool) -> None:
    """Remove damaged objects, and those that no receipt in runs/ names."""
    from samebook.models import store_use

    report = store_use.gc(workspace.find(), dry_run=dry_run)
    removed = "would remove" if dry_run else "removed"
    damaged = f", {len(report.damaged)} damaged" if report.damaged else ""
    show(f"{removed} {len(report.unreferenced)} unreferenced objects{damaged}: {report.reclaimable / 2**20:.1f} MiB")


@click.command()
@click.argument("name", metavar="[NAME]", required=False, default="")
@ENV
@click.option("--pin", is_flag=True, help="Write the sha256 of what comes into environments/inputs.yml.")
@click.option("--dry-run", "--dry", is_flag=True, help="Print what would be fetched, and fetch nothing.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of environments/inputs.yml instead.")
def fetch(name: str, env: str, pin: bool, dry_run: bool, schema: bool) -> None:
    """Bring the input files of environments/inputs.yml into the store: those that it lacks, or NAME.

    Each has its sha256 checked while it comes, and is there as a whole or not at all. Exit code 1 where a source can't
    be reached or has other bytes, 2 where an entry has no sha256, which is printed.
    """
    from samebook.cli.console import status_line
    from samebook.environment import input_entries
    from samebook.verbs import fetch as verb

    if schema:
        click.echo(input_entries.schema(), nl=False)
        return
    with status_line() as say:
        for line in verb.fetch(workspace.find(), env, verb.FetchOptions(name, dry_run, pin), say):
            show(line)


@store.command("push")
@ENV
@click.option("--again", is_flag=True, help="Send also the objects that the bucket has, as they may be damaged there.")
@click.option("--dry-run", "--dry", is_flag=True, help="Count the objects and bytes that would be sent, and send none.")
@JOBS
def store_push(env: str, again: bool, dry_run: bool, jobs: int) -> None:
    """Send the objects that models and runs need, and the bucket lacks, to the bucket of the setting store.url.

    Exit code 1 where the bucket can't be reached or denies access, or an object is damaged or missing here.
    """
    from samebook.cli.console import status_line
    from samebook.verbs import push as verb

    options = verb.TransferOptions(jobs, dry_run, again)
    with status_line() as say:
        summary = verb.push(workspace.find(), env, options, say)
    show(summary)


@store.command("pull")
@ENV
@click.option(
    "--dry-run", "--dry", is_flag=True, help="Count the objects and bytes that would be brought, and bring none."
)
@JOBS
def store_pull(env: str, dry_run: bool, jobs: int) -> None:
    """Bring the objects that models and runs need, and are missing or damaged here, from the bucket of store.url.

    Exit code 1 where the bucket can't be reached or denies access, or an object is missing or damaged there.
    """
    from samebook.cli.console import status_line
    from samebook.verbs import pull as verb

    options = verb.TransferOptions(jobs, dry_run)
    with status_line() as say:
        summary = verb.pull(workspace.find(), env, options, say)
    show(summary)


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


@click.group()
def mlflow() -> None:
    """Mirror runs and models into the MLflow of the setting mlflow.url."""


@mlflow.command("sync")
@ENV
def mlflow_sync(env: str) -> None:
    """Send the runs, and the promoted models, that MLflow lacks. A second call changes nothing.

    Exit code 1 where the server can't be reached or refuses something; the next call goes on there.
    """
    from samebook.verbs import mlflow as verb

    show(verb.table(verb.mlflow(workspace.find(), env, say)))


@click.command()
@click.option(
    "--commit", default="", help="Keep the environment of this branch, tag or commit; by default the checkout's."
)
@ENGINE
def keep(commit: str, engine: str) -> None:
    """Keep the files of the locks in the store, by hash, and with Docker the base image: environments outlive an index.

    Example: samebook keep --commit prod

    Where no index answers, make takes them from there. Exit code 1 where an index does not have a file of the lock.
    """
    from samebook.verbs import keep as verb
    from samebook.wheelhouse.environments import Platform

    platform = Platform(engine, os.environ.get("BASE_IMAGE", "") if engine == "docker" else "")
    show(verb.table(verb.keep(workspace.find(), commit, platform, say)))


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--mermaid",
    type=click.Path(dir_okay=False, allow_dash=True),
    is_flag=False,
    flag_value="-",
    help="Write it into this file as a Mermaid flowchart, or on stdout without a file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def lineage(run: str, mermaid: str | None, as_json: bool) -> None:
    """Show where a result comes from: its run, that run's inputs, the runs that made those, and so on.

    Example: samebook lineage predict --mermaid lineage.mmd

    RUN is a run's id, the file of a receipt, or a notebook's name for its newest run.
    """
    from samebook.verbs import lineage as verb

    tree = verb.lineage(workspace.find(), run)
    if mermaid and mermaid != "-":
        workspace.write_whole(Path(mermaid), verb.mermaid(tree).encode())
        show(f"drawn in {mermaid}")
    elif mermaid:
        show(verb.mermaid(tree), nl=False)
    else:
        show(json.dumps(tree.as_json(), indent=2) if as_json else verb.text(tree))


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def compare(old: str, new: str, as_json: bool) -> None:
    """Compare two runs, or two files of results: by hash, then by values, cells, columns or pixels. Nothing runs.

    Example: samebook compare <run> <other run>
    """
    from samebook.verbs import compare as verb

    result = verb.compare(old, new)
    show(json.dumps(result, default=asdict) if as_json else verb.table(result))
