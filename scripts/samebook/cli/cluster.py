"""The commands for a cluster: its certificates. make starts it."""

import click

from samebook.cli.options import show
from samebook.core import workspace


@click.group()
def cluster() -> None:
    """Prepare a cluster of Dask, to which commands with --on dask send their runs."""


@cluster.command()
@click.argument("scheduler", metavar="SCHEDULER", default="tls://scheduler:8786")
def certificates(scheduler: str) -> None:
    """Make the certificates of a new cluster whose scheduler will be at SCHEDULER, tls://host:port.

    Example: samebook cluster certificates tls://127.0.0.1:8786

    They are in .samebook/cluster/: Dask's scheduler and workers take them from there, as do commands with --on dask.
    Those of an earlier cluster are replaced. make cluster calls this, and starts scheduler and workers in containers.
    """
    from samebook.verbs import cluster as verb

    found = workspace.find()
    show(found.relative(verb.cluster(found, scheduler)))
