"""The command that makes a project of one's own."""

import sys
from pathlib import Path

import click

from samebook.cli.options import say, show
from samebook.core.text import word


@click.command()
@click.argument("path", metavar="PROJECT", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Name of the project and of its package of helpers; by default the folder's.")
@click.option("--example", default="", help="What it begins with: tiny, a model with its gate and tests, or none.")
@click.option("--registry", default="", help="Registry that its CI pushes the image to; by default none.")
def new(path: Path, name: str, example: str, registry: str) -> None:
    """Make a project of your own: the entries of this scaffold in a new folder, with one commit.

    Example: samebook new churn --example none

    What no option says is asked in a terminal. The environment is locked from the package index, with samebook itself
    as a wheel in scripts/. Then `make run NOTEBOOK=train` and `make test` work there.
    """
    from samebook.verbs import new as verb

    if sys.stdin.isatty() and not (name and example):
        name = name or click.prompt("name", default=verb.default_name(path), err=True)
        example = example or click.prompt("example", verb.EXAMPLES[0], type=click.Choice(verb.EXAMPLES), err=True)
        registry = registry or click.prompt("registry of its images", "", show_default=False, err=True)
    commit = verb.new(verb.NewRequest(path, name, example, registry), say)
    show(f"{path}: a project with one commit, {commit[:12]}\nnext: cd {word(path)} && make run NOTEBOOK=train")
