"""The documents say what the code does."""

import re
from collections.abc import Iterator

import click
import pytest
from tiny import CHECKOUT

from samebook.cli.main import cli

MAKEFILE = (CHECKOUT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):.*## .+", MAKEFILE, re.MULTILINE)
README = CHECKOUT / "README.md"


def commands(group: click.Group, above: str = "samebook") -> Iterator[tuple[str, click.Command]]:
    """Every command, by what one types for it."""
    for name, command in group.commands.items():
        typed = f"{above} {name}"
        yield from commands(command, typed) if isinstance(command, click.Group) else [(typed, command)]


COMMANDS = dict(commands(cli))


@pytest.mark.parametrize("typed", COMMANDS)
def test_command_has_help(typed: str) -> None:
    """Each command says what it does, and so does each of its options."""
    command = COMMANDS[typed]
    assert command.help
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("typed", COMMANDS)
def test_command_in_readme(typed: str) -> None:
    """Each command appears in the README, as itself or as the make target of its name."""
    text = README.read_text()
    assert typed in text or typed.replace("samebook", "make") in text


def test_readme_lists_targets() -> None:
    """The README's table of targets names each target that `make` lists, and no other."""
    rows = README.read_text().partition("| make … |")[2].partition("\n\n")[0].splitlines()
    assert sorted(name for row in rows for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])) == sorted(TARGETS)


def test_readme_commands_exist() -> None:
    """Each command and each target that the README shows is there."""
    text = README.read_text()
    typed = set(re.findall(r"`(samebook [a-z]+(?: (?:verify|gc))?)", text))
    assert [name for name in typed if not any(known.startswith(name) for known in COMMANDS)] == []
    assert set(re.findall(r"(?:`|\$ )make ([a-z-]+)", text)) <= set(TARGETS)


def test_targets_are_listed() -> None:
    """The targets that people rely on have their line in `make`'s list."""
    promised = {
        "help",
        "lab",
        "run",
        "test",
        "check",
        "format",
        "build",
        "image",
        "base",
        "lock",
        "shell",
        "doctor",
        "clean",
    }
    assert promised <= set(TARGETS)
