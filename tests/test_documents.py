"""The documents say what the code does."""

import json
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import nbformat
import pytest
import yaml
from benchmarks import figures
from pages import PAGES, Page
from tiny import CHECKOUT

import samebook
from samebook.cli import make_call
from samebook.cli.main import cli
from samebook.core import errors
from samebook.core.workspace import Workspace
from samebook.environment import input_entries, yaml_file
from samebook.environment.settings import Settings
from samebook.pipelines.definition import Pipeline

MAKEFILES = [CHECKOUT / "Makefile", *sorted(CHECKOUT.glob("*/*.mk"))]
TARGETS = {
    name for file in MAKEFILES for name in re.findall(r"^([a-z-]+):[^#\n]*## .+", file.read_text(), re.MULTILINE)
}
REFERENCE = CHECKOUT / "docs" / "reference"
PACKAGE = CHECKOUT / "scripts" / "samebook"
README = Page("README.md")


def commands(group: click.Group, above: str = "samebook") -> Iterator[tuple[str, click.Command]]:
    """Every command, by what one types for it."""
    for name, command in group.commands.items():
        typed = f"{above} {name}"
        yield from commands(command, typed) if isinstance(command, click.Group) else [(typed, command)]


COMMANDS = dict(commands(cli))
# What make takes for any target, and what each of its own takes beside that.
EVERYWHERE, OWN = "EVERYWHERE", "TAKES_"
MAKE = {
    name: set(words.split())
    for path in MAKEFILES
    for name, words in re.findall(rf"^({EVERYWHERE}|{OWN}[a-z-]+) *= *(.*)$", path.read_text(), re.MULTILINE)
}


def options(command: click.Command) -> set[str]:
    """The options that a command takes, as they are typed."""
    return {"-h", "--help", *(name for parameter in command.params for name in parameter.opts if name[0] == "-")}


def variables(target: str) -> set[str]:
    """The variables that a target takes: what make calls the options of its command, or those of its own."""
    typed = make_call.COMMANDS.get(target, target.replace("-", " "))
    parameters = COMMANDS[f"samebook {typed}"].params if f"samebook {typed}" in COMMANDS else []
    names = {name for parameter in parameters for name in make_call.names(parameter)}
    return names | MAKE[EVERYWHERE] | MAKE.get(OWN + target, set())


def named(words: list[str]) -> tuple[str, list[str]] | None:
    """The command that these words call, and the words after it."""
    for count in (2, 1):
        if (typed := " ".join(("samebook", *words[:count]))) in COMMANDS:
            return typed, words[count:]
    return None


@pytest.mark.parametrize("typed", COMMANDS)
def test_command_has_help(typed: str) -> None:
    """Each command says what it does, and so does each of its options."""
    command = COMMANDS[typed]
    assert command.help
    given = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in given if not option.help] == []


def test_targets_are_makes_own_or_commands() -> None:
    """Each target that make shows is known to it: as its own, no file of that name hides it, and no variable that it
    does not take is passed over.
    """
    text = "\n".join(path.read_text() for path in MAKEFILES).replace("\\\n", " ")
    lists = re.findall(r"^(?:OWN|BESIDE|INSIDE) *\+?= *(.*)$", text, re.MULTILINE)
    assert TARGETS - {name for words in lists for name in re.findall("[a-z-]+", words)} == set()


def test_reference_names_commands() -> None:
    """The reference has a heading for each command and a row for each target, and for nothing else."""
    assert set(re.findall(r"^## (.*)$", (REFERENCE / "commands.md").read_text(), re.MULTILINE)) == set(COMMANDS)
    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", (REFERENCE / "make.md").read_text(), re.MULTILINE)) == TARGETS


def test_reference_is_fresh(tmp_path: Path) -> None:
    """The generated pages are what the code, the Makefile and the settings say today."""
    subprocess.run([sys.executable, CHECKOUT / "docs" / "generate.py", tmp_path], check=True)
    stale = [page.name for page in tmp_path.iterdir() if page.read_text() != (REFERENCE / page.name).read_text()]
    assert stale == [], "python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Page) -> None:
    """Each `samebook X --option` that a page shows is a command with that option."""
    for words in page.typed("samebook"):
        found = named(words)
        assert found, f"samebook {' '.join(words)}"
        given = {word.partition("=")[0] for word in found[1] if word.startswith("-")}
        assert given <= options(COMMANDS[found[0]]), f"samebook {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_exist(page: Page) -> None:
    """Each `make X KEY=value` that a page shows is a target that takes this variable."""
    for words in page.typed("make"):
        assert words[0] in TARGETS, f"make {' '.join(words)}"
        given = {word.partition("=")[0] for word in words[1:] if "=" in word}
        assert given <= variables(words[0]), f"make {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Page) -> None:
    """Each link leads to a file that is there, and to a heading that it has; each picture is one."""
    for link in page.links:
        name, _, anchor = link.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        assert path.is_file(), link
        assert not anchor or anchor in Page(path.relative_to(CHECKOUT).as_posix()).anchors, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_exist(page: Page) -> None:
    """Each module that a page names is there, in the checkout or in a wing."""
    names = [span for span in page.spans if re.fullmatch(r"[a-z_/]+/[a-z_]+\.py", span)]
    assert [name for name in names if not ((CHECKOUT / name).is_file() or (PACKAGE / name).is_file())] == []


def test_pages_are_found() -> None:
    """Each page of docs/ is linked from its first one."""
    first = CHECKOUT / "docs" / "README.md"
    linked = {(first.parent / link).resolve() for link in Page("docs/README.md").links}
    assert {page.path for page in PAGES if page.path.is_relative_to(first.parent)} - linked == {first}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_are_valid(page: Page, tmp_path: Path) -> None:
    """Each YAML block, and each setting in a line, is one that samebook takes."""
    keys = tuple(f"{name}: " for name in Settings.model_fields)
    for text in (*page.blocks("yaml"), *(span for span in page.spans if span.startswith(keys))):
        (tmp_path / "dev.yml").write_text(text)
        values = yaml_file.read(tmp_path / "dev.yml")
        if any("from" in value for value in values.values() if isinstance(value, dict)):
            (tmp_path / "environments").mkdir(exist_ok=True)
            (tmp_path / "environments" / "inputs.yml").write_text(text)
            assert input_entries.read(Workspace(tmp_path))
        else:
            assert Pipeline(**values) if "steps" in values else Settings(**values)


def test_api_is_whole() -> None:
    """The page of the API has a row for each thing that `import samebook` gives, and for nothing else."""
    calls = re.findall(r"^\| `(\w+)", (REFERENCE / "api.md").read_text(), re.MULTILINE)
    assert sorted(calls) == sorted(samebook.__all__)


def test_exit_codes_are_whole() -> None:
    """The page of exit codes has each error, in the row of its code."""
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", (REFERENCE / "exit-codes.md").read_text(), re.MULTILINE)
    shown = {(int(code), name) for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    stops = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    signals = {(errors.Interrupted(signum).exit_code, "Interrupted") for signum in stops}
    kinds = (kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.Interrupted)
    leaves = {(kind.exit_code, kind.__name__) for kind in kinds if issubclass(kind, errors.SamebookError)}
    assert shown == leaves | signals


def test_readme_is_a_page() -> None:
    """The README has at most 1,000 words, and the first command within 20 lines."""
    assert len(README.text.split()) <= 1000
    assert "$ make run" in "\n".join(README.text.splitlines()[:20])


@pytest.mark.parametrize("check", [("check",), ("format", "--check")], ids=" ".join)
def test_readmes_notebook_passes_check(check: tuple[str, ...]) -> None:
    """The notebook that the README has people write passes `make check` as it is printed there, on one's own branch."""
    printed = README.text.partition("## Your own notebook")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", printed, re.DOTALL)
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(block).strip()) for block in blocks]
    command = ["ruff", *check, "--stdin-filename", "notebooks/hello.ipynb", "-"]
    notebook = nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}))
    done = subprocess.run(command, cwd=CHECKOUT, input=notebook, capture_output=True, text=True, check=False)
    assert (len(cells), done.returncode) == (2, 0), done.stdout + done.stderr


def test_readme_promises_what_is_noticed() -> None:
    """The README says of "as before" what freshness holds, and leads to the table of what is noticed."""
    promise = 'A run that has read anything [unknown](docs/explanation/reads.md) never counts as "as before", unless'
    assert promise in README.text
    page = (CHECKOUT / "docs" / "explanation" / "reads.md").read_text()
    assert "only where every file that it has read is as it was, and nothing was unseen" in page
    assert "ignore_unseen" in Settings.model_fields


def test_readmes_figures_are_those_of_scale() -> None:
    """Each figure of README's table of growth stands in the page of scale that it links to."""
    readme = (CHECKOUT / "README.md").read_text().partition("| processor seconds, MiB |")[2].partition("\n\n")[0]
    figures = re.findall(r"(\d[\d.,]*) s, ([\d,]+)", readme)
    assert len(figures) == 10
    scale = (CHECKOUT / "docs" / "explanation" / "scale.md").read_text()
    memory = scale.replace(" MiB", "")
    missing = [pair for pair in figures if f"{pair[0]} s, {pair[1]}" not in memory]
    of_container = [("96", "799"), ("992", "1,214")]  # a table with seconds and memory in rows of their own
    assert missing == of_container
    assert all(f"| {number}" in memory for pair in of_container for number in pair)


def test_readmes_sweep_is_that_of_the_bench() -> None:
    """What README says of a sweep is what the bench has measured."""
    sweep = json.loads((CHECKOUT / "docs" / "bench" / "quiet.json").read_text())["cases"]["sweep"]
    ours, loop = (figures.number(sweep[name]["median"]) for name in ("samebook-sweep", "papermill-loop"))
    readme = (CHECKOUT / "README.md").read_text()
    assert f"A sweep of 100 trainings takes {ours} s, papermill in a loop {loop} s" in readme


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
    assert promised <= TARGETS


def test_ruleset_asks_for_jobs_that_exist() -> None:
    """The rules of the forge wait for jobs of CI, let nobody around, and keep the commits that models name."""
    ruleset = json.loads((CHECKOUT / ".github" / "ruleset.json").read_text())
    rules = {rule["type"]: rule.get("parameters", {}) for rule in ruleset["rules"]}
    jobs = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert {check["context"] for check in rules["required_status_checks"]["required_status_checks"]} <= jobs.keys()
    assert rules["pull_request"]["allowed_merge_methods"] == ["merge"]
    assert ruleset["bypass_actors"] == []
