"""The options that commands share, and the functions by which they print."""

import datetime
import functools
import math
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, override

import click

from samebook.core.digest import parse_json
from samebook.core.errors import UsageError
from samebook.core.text import repeated_name, visible
from samebook.environment import variables
from samebook.execution.json_value import JsonValue

EARLIEST = 1000


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
    """`a=1 b=two words`, as --params takes it, or a JSON object, whose values keep their types."""

    name = "name=value …"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, str], ...]:
        text = str(value).strip()
        if not text.startswith("{"):
            # A value may have spaces: only the next `name=` ends it.
            parts = re.split(r"\s+(?=[^\W\d]\w*=)", text) if text else []
            return tuple(PairType().convert(part, param, ctx) for part in parts)
        try:
            values = parse_json(text)
        except ValueError as error:
            self.fail(f"found {text!r}; expected a JSON object: {error}", param, ctx)
        return tuple((name, JsonValue(value)) for name, value in values.items())


class NamesType(click.ParamType[tuple[str, ...]]):
    """`API_URL MODE`, as -e takes it: names of variables, not their values."""

    name = "name …"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        names = tuple(str(value).split())
        if wrong := next((name for name in names if not re.fullmatch(variables.NAME, name)), None):
            self.fail(f"found {wrong.partition('=')[0]!r}…; expected a name alone, like API_URL", param, ctx)
        return names


class DaysType(click.ParamType[int]):
    """`90d`, as --older-than takes it."""

    name = "days"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        days = str(value).removesuffix("d")
        if not (days.isdecimal() and days.isascii() and len(days) <= 5 and str(value).endswith("d")):
            self.fail(f"found {value!r}; expected days, like 90d", param, ctx)
        return int(days)


class DayType(click.DateTime):
    """`2013-07-01`; days before it, as monitoring counts them, are days as well."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime.datetime:
        day = super().convert(value, param, ctx)
        if day.year < EARLIEST:
            self.fail(f"found {value!r}; expected a day from the year {EARLIEST} on", param, ctx)
        return day


class ToleranceType(click.ParamType[float]):
    """`1e-9`, as --tolerance takes it: within an infinite one, or none that is a number, anything would be alike."""

    name = "number"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            tolerance = float(str(value))
        except ValueError:
            tolerance = math.nan
        if not 0 <= tolerance < math.inf:
            self.fail(f"found {value!r}; expected a number, 0 or more, like 1e-9", param, ctx)
        return tolerance


# An end of time that any clock can count to.
SECONDS = click.IntRange(0, 1_000_000_000)
DAY = DayType(["%Y-%m-%d"])
ENV = click.option(
    "--env", default="dev", envvar="SAMEBOOK_ENV", help="Take the settings of environments/<env>.yml ($SAMEBOOK_ENV)."
)
ENGINE = click.option(
    "--engine",
    type=click.Choice(["docker", "local"]),
    default="local",
    help="Run in the image or in an environment on this machine (ENGINE of make).",
)
ON = click.option(
    "--on",
    type=click.Choice(["local", "dask", "kubernetes"]),
    default="local",
    help="Run on this machine, by the workers of a cluster (make cluster), or in pods of your kubectl's cluster.",
)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
JOBS = click.option("--jobs", type=click.IntRange(1, 64), default=8, help="Transfer this many objects at a time.")


def _hand(_: click.Context, __: click.Parameter, names: tuple[tuple[str, ...], ...]) -> None:
    """Name the variables for this command and all that it starts."""
    if extra := [name for several in names for name in several]:
        os.environ[variables.EXTRA] = " ".join(dict.fromkeys(extra))


VARIABLES = click.option(
    "-e",
    "--variables",
    type=NamesType(),
    multiple=True,
    envvar=variables.EXTRA,
    expose_value=False,
    callback=_hand,
    help="Hand this variable of your shell to the kernel, by its name; may be repeated for others.",
)


def pods[Result](command: Callable[..., Result]) -> Callable[..., Result]:
    """Add --image, --memory and --cores to a command, which gets them as `pods`."""

    @functools.wraps(command)
    def call(*, image: str, memory: str, cores: str, **others: Any) -> Result:
        from samebook.cluster.pods import Pods

        return command(pods=Pods(image, memory, cores), **others)

    call = click.option("--cores", default="", help="Cores of a pod on Kubernetes, like 2.")(call)
    call = click.option("--memory", default="", help="Memory of a pod on Kubernetes, like 2Gi.")(call)
    return click.option("--image", default="", help="Image of pods on Kubernetes, by digest: NAME@sha256:…")(call)


def clone[Result](command: Callable[..., Result]) -> Callable[..., Result]:
    """Add --repository and --git-image to a command, which gets them as `clone`."""

    @functools.wraps(command)
    def call(*, repository: str, git_image: str, **others: Any) -> Result:
        from samebook.pipelines.git_use import Clone

        return command(clone=Clone(repository, git_image), **others)

    image = "Image of Kubernetes that has git and ssh for it, by digest; by default the one that runs."
    call = click.option("--git-image", default="", help=image)(call)
    return click.option(
        "--repository", default="", help="Address that pods of Kubernetes clone, where they need git: ssh://git@host/…"
    )(call)


def parameters[Result](command: Callable[..., Result]) -> Callable[..., Result]:
    """Add -p and --params to a command; it gets the parameters of both as `given`. A name may be given once."""

    @functools.wraps(command)
    def call(*, given: tuple[tuple[str, str], ...], params: tuple[tuple[str, str], ...], **others: Any) -> Result:
        pairs = (*given, *params)
        names = [name for name, _ in pairs]
        if name := repeated_name(names):
            raise UsageError(
                f"parameter {name} is given twice", mend=f'again, with PARAMS="{name}={dict(pairs)[name]}"'
            )
        return command(given=dict(pairs), **others)

    several = {"type": PairsType(), "default": "", "show_default": False}
    every = click.option("--params", **several, help='Set several parameters, like "as_of=2013-06-30 max_depth=4".')
    one = click.option(
        "-p",
        "--parameter",
        "given",
        type=PairType(),
        multiple=True,
        help="Set a parameter; may be repeated for others.",
    )
    return one(every(call))


def show(text: str, *, nl: bool = True) -> None:
    """Print a result on stdout; a closed pipe (`samebook runs | head`) is not an error."""
    try:
        click.echo(visible(text), nl=nl)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str) -> None:
    """Print progress on stderr."""
    click.echo(visible(line), err=True)


def mirror(run: Path, env: str) -> None:
    """Send a finished run to MLflow, where the settings name one; nothing of it is imported where they don't."""
    from samebook.core import workspace
    from samebook.environment import settings

    with suppress(UsageError):  # the run is complete, whoever has edited its settings meanwhile
        section = settings.load(workspace.find(), env).mlflow
        if section.url:
            from samebook.tracking import moment

            moment.mirror(workspace.find(), section, [run], say)
