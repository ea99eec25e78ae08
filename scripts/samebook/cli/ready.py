"""The imports that every run needs, whatever its notebook: a runner's zygote imports this once, and forks the runs."""

import sys
from collections.abc import Sequence

import ipykernel.kernelspec
from jupyter_client.provisioning import KernelProvisionerFactory

from samebook.cli import console
from samebook.cli import main as cli
from samebook.core import processes, workspace
from samebook.environment import identity
from samebook.execution import pool, preparation
from samebook.execution.warm.without import without
from samebook.models import supply
from samebook.records import summary
from samebook.verbs import run, runs

# As a run by itself imports them.
with without(absent=(*preparation.UNUSED, *run.UNUSED), empty=("requests", run.PARSER)):
    from samebook.execution import execute, page

__all__ = ["console", "execute", "ipykernel", "pool", "run", "runs", "summary", "supply"]

KernelProvisionerFactory.instance()
page.warm_up()
identity.of(workspace.find())


def main(arguments: Sequence[str], parent: int) -> None:
    """`samebook ARGUMENTS` in this process, which was forked, and ends with its parent."""
    sys.argv = ["samebook", *arguments]
    processes.end_with(parent)
    cli.main()
