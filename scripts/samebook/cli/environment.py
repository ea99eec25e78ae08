"""The commands for the environment: its settings, its sample warehouse, and its differences from the pinned one."""

import json
import sys
from pathlib import Path

import click

from samebook.cli.options import ENV, FILE, show
from samebook.core import errors, workspace


@click.command()
@ENV
def data(env: str) -> None:
    """Load the sample warehouse, where the settings name one and it is missing."""
    from samebook.data import warehouse
    from samebook.environment import settings

    checkout = workspace.find()
    show(warehouse.ensure(checkout, settings.load(checkout, env).warehouse))


@click.command()
@ENV
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a settings file instead.")
def settings(env: str, as_json: bool, schema: bool) -> None:
    """Show the settings in force: each value, and its origin, which is a variable, the file or the default."""
    from dataclasses import asdict

    from samebook.verbs import settings as verb

    if schema:
        click.echo(verb.schema(), nl=False)
        return
    env_settings = verb.settings(workspace.find(), env)
    show(json.dumps([asdict(setting) for setting in env_settings], indent=2) if as_json else verb.table(env_settings))


@click.command()
@click.option("--name", default="", help="Name that the list of kernels shall show; by default the folder's.")
@click.option("--show", "is_shown", is_flag=True, help="Print its variables that decide results; install nothing.")
def kernel(name: str, is_shown: bool) -> None:
    """Install the kernel "samebook (NAME)" for VS Code, PyCharm and other Jupyters of this machine.

    Example: samebook kernel --name churn

    Its cells have the variables, numerics and packages of runs. It goes into your own folder of Jupyter's kernels.
    """
    from samebook.environment import interactive
    from samebook.verbs import kernel as verb

    if is_shown:
        show("\n".join(f"{name}={value}" for name, value in interactive.decisive(workspace.find()).items()))
        return
    installed = verb.kernel(workspace.find(), name)
    show(f"{installed}\nnext: in VS Code, Select Kernel > Jupyter Kernel… > {verb.title(installed)}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--against", type=FILE, help="Compare with the environment of this receipt.")
@click.option("--port", type=click.IntRange(1, 65535), default=8888, help="Port that Lab shall have.")
def doctor(as_json: bool, against: Path | None, port: int) -> None:
    """Compare the environment with the pinned one, and name each difference; exit code 5 where results could differ."""
    from dataclasses import asdict

    from samebook.records import receipt
    from samebook.verbs import doctor as verb

    if against:
        lines = verb.against(workspace.find(), receipt.read(against))
        show("\n".join(lines) or "the same environment, as far as results go")
        sys.exit(errors.EnvironmentMismatch.exit_code if lines else 0)
    findings = verb.doctor(workspace.find(), port)
    show(json.dumps([asdict(finding) for finding in findings], indent=2) if as_json else verb.table(findings))
    if any(finding.changes_results and not finding.ok for finding in findings):
        sys.exit(errors.EnvironmentMismatch.exit_code)
