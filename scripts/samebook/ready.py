"""To import this does once what every run does, whatever it runs: for processes that runs are forked from."""

import sys
from collections.abc import Sequence

import ipykernel.kernelspec
from jupyter_client.provisioning import KernelProvisionerFactory

from samebook import cli, console, environment, execution, page, processes, ran, run, runs, supply, warming, workspace

__all__ = ["console", "execution", "ipykernel", "ran", "run", "runs", "supply", "warming"]

KernelProvisionerFactory.instance()
page.warm_up()
environment.identity(workspace.find())


def main(arguments: Sequence[str], parent: int) -> None:
    """`samebook ARGUMENTS` in this process, which was forked, and ends with its parent."""
    sys.argv = ["samebook", *arguments]
    processes.end_with(parent)
    cli.main()
