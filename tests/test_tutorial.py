"""The tutorial as it is printed: its cells and settings are written into a clone, its commands run there."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from tiny import CHECKOUT

TUTORIAL = CHECKOUT / "docs" / "tutorial.md"
STEP = re.compile(
    r"^(?:Cell `(?P<tag>\w+)` of `(?P<notebook>\w+)`:\n\n)?```(?P<kind>python|yaml|console)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
PROMPT, LEFT_OUT, FAILURE = "$ ", "…", "error: "
# What differs from run to run in what is printed: ids, commits, seconds, and blanks before them.
VARIES = re.compile(r"\d{8}T\d{6}Z-(?=\w+-)|(?<=-)[0-9a-f]{6}\b|\b[0-9a-f]{12}\b|\d+(\.\d)? s\b|\s+")
OUTSIDE = ("MAKE", "MFLAGS", "SAMEBOOK_", "GIVEN_TO_MAKE")


def add_cell(clone: Path, notebook: str, tag: str, source: str) -> None:
    """Append a cell to a notebook, which begins with its first."""
    path = clone / "notebooks" / f"{notebook}.ipynb"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    node = nbformat.read(path, 4) if path.is_file() else nbformat.v4.new_notebook(metadata=metadata)
    node.cells.append(nbformat.v4.new_code_cell(source.rstrip(), metadata={"tags": [tag]}))
    nbformat.write(node, path)


def change_settings(clone: Path, text: str) -> None:
    """Put a section of two lines in place of the one of its name."""
    path = clone / "environments" / "dev.yml"
    changed, count = re.subn(rf"^{text.splitlines()[0]}\n  .*\n", text, path.read_text(), flags=re.MULTILINE)
    assert count == 1
    path.write_text(changed)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block, with the lines that are printed below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line != LEFT_OUT]


def check(clone: Path, command: str, shown: list[str]) -> None:
    """Run a command: it ends as the tutorial says, and prints each line that is shown."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=clone,
        env={**inherited, "ENGINE": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert (done.returncode != 0) == any(line.startswith(FAILURE) for line in shown), f"{command}\n{said}"
    printed = {VARIES.sub("", line) for line in said.splitlines()}
    assert [line for line in shown if VARIES.sub("", line) not in printed] == [], f"{command}\n{said}"


# Two minutes, most of them for two environments; on a machine that is busy, more.
@pytest.mark.timeout(1800)
@pytest.mark.host
def test_tutorial(tmp_path: Path) -> None:
    """From an empty notebook to a promoted model: each command ends, and prints, as the tutorial shows."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "-B", "main"], cwd=clone, check=True)
    for name, value in {"user.name": "a", "user.email": "a@b.c"}.items():
        subprocess.run(["git", "config", name, value], cwd=clone, check=True)
    for step in STEP.finditer(TUTORIAL.read_text()):
        if step["tag"]:
            add_cell(clone, step["notebook"], step["tag"], step["text"])
        elif step["kind"] == "yaml":
            change_settings(clone, step["text"])
        else:
            for command, shown in commands(step["text"]):
                check(clone, command, shown)
