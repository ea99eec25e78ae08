"""What the commands share: their common options, and how they print."""

import functools
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, override

import click

from samebook.core.errors import UsageError


class PairType(click.ParamType[tuple[str, str]]):
    """`name=value`, as -p takes it."""

    name = "name=value"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not equals or not name:
            self.fail(f"found {value!r}; expected name=value, like as_of=2013-06-30", param, ctx)
        return name.strip(), text


class PairsType(click.ParamType[tuple[tuple[str, str], ...]]):
    """`a=1 b=two words`, as make's PARAMS says it, or a JSON object, in which a value may be any text."""

    name = "name=value …"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, str], ...]:
        text = str(value).strip()
        if not text.startswith("{"):
            # The next name, and not just any space, ends a value.
            parts = re.split(r"\s+(?=[^\W\d]\w*=)", text) if text else []
            return tuple(PairType().convert(part, param, ctx) for part in parts)
        try:
            found = json.loads(text)
        except ValueError as error:
            self.fail(f"found {text!r}; expected a JSON object: {error}", param, ctx)
        return tuple((name, told if isinstance(told, str) else json.dumps(told)) for name, told in found.items())


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


def parameters[Result](command: Callable[..., Result]) -> Callable[..., Result]:
    """Let a command take parameters, as its `given`: each once, with -p, or as make hands them on, all in one text."""

    @functools.wraps(command)
    def told(*, given: tuple[tuple[str, str], ...], together: tuple[tuple[str, str], ...], **others: Any) -> Result:
        pairs = (*given, *together)
        names = [name for name, _ in pairs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"parameter {twice} is given twice")
        return command(given=dict(pairs), **others)

    several = {"type": PairsType(), "default": "", "show_default": False}
    every = click.option("--params", "together", **several, help="Set several, like PARAMS of make.")
    one = click.option("-p", "--parameter", "given", type=PairType(), multiple=True, help="Set a parameter.")
    return one(every(told))


def show(text: object) -> None:
    """Print a result; a reader that left (`samebook runs | head`) is no error."""
    try:
        click.echo(text)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str) -> None:
    """What a person who waits wants to know."""
    click.echo(line, err=True)
