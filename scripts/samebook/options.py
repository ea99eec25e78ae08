"""What the commands share: their common options, and how they print."""

import os
import sys
from pathlib import Path
from typing import override

import click

from samebook.errors import UsageError


class PairType(click.ParamType[tuple[str, str]]):
    """`name=value`, as -p takes it."""

    name = "name=value"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not equals or not name:
            self.fail(f"found {value!r}; expected name=value, like as_of=2013-06-30", param, ctx)
        return name.strip(), text


class DaysType(click.ParamType[int]):
    """`90d`, as --older-than takes it."""

    name = "days"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        days = str(value).removesuffix("d")
        if not (days.isdecimal() and days.isascii() and len(days) <= 5 and str(value).endswith("d")):
            self.fail(f"found {value!r}; expected days, like 90d", param, ctx)
        return int(days)


ENV = click.option(
    "--env", default="dev", envvar="SAMEBOOK_ENV", help="Settings: environments/<env>.yml ($SAMEBOOK_ENV)."
)
ENGINE = click.option(
    "--engine", type=click.Choice(["docker", "local"]), default="local", help="Where to run it again ($ENGINE)."
)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
JOBS = click.option("--jobs", type=click.IntRange(1, 64), default=8, help="Objects that move at a time.")


def once_each(given: tuple[tuple[str, str], ...]) -> None:
    """Raise UsageError for a -p name that is given twice."""
    names = [name for name, _ in given]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"parameter {twice} is given twice")


def show(text: object) -> None:
    """Print a result; a reader that left (`samebook runs | head`) is no error."""
    try:
        click.echo(text)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str) -> None:
    """What a person who waits wants to know."""
    click.echo(line, err=True)
