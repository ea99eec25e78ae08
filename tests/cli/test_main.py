"""The command itself: its help, its version, and its end."""

import re
import subprocess

import pytest
from click.testing import CliRunner
from tiny import PATIENCE, Tiny

from samebook.cli.main import cli
from samebook.cli.options import PairsType


def test_help_needs_no_workspace(tiny: Tiny) -> None:
    """`samebook --help` lists the commands anywhere."""
    ended = tiny.samebook("--help", SAMEBOOK_WORKSPACE="/")
    assert ended.code == 0
    for command in ("run", "runs", "data", "doctor"):
        assert f"  {command} " in ended.stdout


def test_version_is_told(tiny: Tiny) -> None:
    """`samebook --version` prints the package's version and the commit of the checkout."""
    assert re.fullmatch(r"samebook \d+\.\d+\.\d+\+g[0-9a-f]{12}\n", tiny.samebook("--version").stdout)


def test_no_runs_listed(tiny: Tiny) -> None:
    """Without a run the list is empty, and no folder is made for it."""
    assert tiny.samebook("runs", "--json").stdout == "[]\n"
    assert not (tiny.root / "runs").exists()


def test_closed_pipe_is_fine(tiny: Tiny) -> None:
    """A reader that leaves early, as in `samebook runs | head -1`, gets no complaint."""
    for number in range(3000):
        (tiny.root / "runs" / f"20130101T00{number:04}Z-train-abcdef").mkdir(parents=True)
    process = subprocess.Popen(
        tiny.command("runs"), env=tiny.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(PATIENCE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=1 b=two words  c=x==y", (("a", "1"), ("b", "two words"), ("c", "x==y"))),
        ('{"a": 1, "b": "two=words c=3", "c": null}', (("a", "1"), ("b", "two=words c=3"), ("c", "null"))),
        ("  ", ()),
    ],
)
def test_parameters_in_one_text(text: str, message: tuple[tuple[str, str], ...]) -> None:
    """A space belongs to a value, unless a name and = come after it; a JSON object may have any text."""
    assert PairsType().convert(text, None, None) == message


@pytest.mark.parametrize(
    "arguments",
    [
        ("warm", "train", "--idle", "9" * 400 + "s"),
        ("run", "train", "--timeout", "1" + "0" * 400),
        ("sweep", "train", "--timeout", "1" + "0" * 400),
        ("drift", "--day", "0001-01-01"),
    ],
)
def test_endless_numbers_refused(arguments: tuple[str, ...]) -> None:
    """A number or day that no machine can count with is refused as usage, by the option's name."""
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}'" in ended.stderr
