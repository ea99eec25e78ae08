"""The variables of make's command line as a command's arguments: `make gc DRY=1` is `samebook gc --dry-run`.

make calls `samebook make gc -- DRY ENGINE`, with its target and the names of the variables; their values are in the
environment. A variable has the name of the option, or the name of the argument in the help, in capitals.
"""

from collections.abc import Mapping, Sequence

import click

from samebook.core.errors import UsageError, closest, nearest

# Targets whose name is not the command's.
COMMANDS = {"push": "store push", "pull": "store pull", "verify-image": "verify-image"}
# make sets this variable for every target; only some commands have the option.
CHOSEN = "ENGINE"
ON = ("1", "true", "yes")
OFF = ("0", "no", "false", "")


def arguments(group: click.Group, typed: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The arguments of the command that make calls; arguments that a person typed are returned as they are.

    Raises UsageError for a variable that the command doesn't have, and for a missing one that it needs.
    """
    if typed[:1] != ["make"] or typed[2:3] != ["--"]:
        return list(typed)
    target = typed[1]
    words = COMMANDS.get(target, target.replace("-", " ")).split()
    command: click.Command = group
    for word in words:
        command = command.commands[word] if isinstance(command, click.Group) else command
    values = {name: environ.get(name, "") for name in typed[3:]}
    _check(target, command, values)
    positional = _positional(command, values)
    return [*words, *_options(command, values), *(["--"] if positional else []), *positional]


def names(parameter: click.Parameter) -> list[str]:
    """The names of a parameter as make's variables: --dry-run is DRY_RUN, the argument [MODEL]... is MODEL."""
    if isinstance(parameter, click.Option):
        return [option.lstrip("-").replace("-", "_").upper() for option in parameter.opts]
    return [(parameter.metavar or parameter.name or "").strip("[].").upper()]


def _check(target: str, command: click.Command, values: Mapping[str, str]) -> None:
    options = [name for parameter in command.params for name in names(parameter)]
    if stray := next((name for name in values if name not in (*options, CHOSEN)), None):
        known = (*options, CHOSEN)
        mend = f"make {target} {closest(stray, known)}=…"
        raise UsageError(f"make {target} takes no {stray}{nearest(stray, known)}", mend=mend)
    needed = [names(parameter)[0] for parameter in command.params if parameter.required]
    if missing := next((name for name in needed if not values.get(name)), None):
        raise UsageError(
            f"make {target} needs {missing}", mend=" ".join((f"make {target}", *(f"{name}=…" for name in needed)))
        )


def _options(command: click.Command, values: Mapping[str, str]) -> list[str]:
    """The options as a person types them; an empty variable sets none."""
    typed: list[str] = []
    for parameter in command.params:
        for name in names(parameter):
            if isinstance(parameter, click.Option) and values.get(name):
                option = max(parameter.opts, key=len)
                typed += [option] * _is_on(name, values[name]) if parameter.is_flag else [option, values[name]]
    return typed


def _is_on(name: str, value: str) -> bool:
    if value.lower() not in (*ON, *OFF):
        raise UsageError(f"{name}={value}; expected 1 or 0", mend=f"again, with {name}=1")
    return value.lower() in ON


def _positional(command: click.Command, values: Mapping[str, str]) -> list[str]:
    """The positional arguments in their order; for a repeatable one, every word of its variable."""
    typed: list[str] = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and (value := values.get(names(parameter)[0])):
            typed += value.split() if parameter.nargs == -1 else [value]
    return typed
