"""To import this does what every run does once, whatever it runs: for processes that runs are forked from."""

import ipykernel.kernelspec
from jupyter_client.provisioning import KernelProvisionerFactory

from samebook import console, environment, execution, page, ran, run, runs, supply, warming, workspace

__all__ = ["console", "execution", "ipykernel", "ran", "run", "runs", "supply", "warming"]

KernelProvisionerFactory.instance()
page.warm_up()
environment.identity(workspace.find())
