"""The house rules of notebooks: each broken one is found, and what can be put right is, with nothing else changed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import CHECKOUT

from samebook.adoption import foreign
from samebook.core.errors import UsageError
from samebook.review import house_rules
from samebook.verbs.lint import lint, table


def cell(*tags: str, source: str = "1", **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": [], **more}


def content(*cells: dict[str, Any], indent: int = 1, end: str = "\n") -> bytes:
    notebook = {"cells": cells, "metadata": {"title": "Größe"}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(notebook, ensure_ascii=False, indent=indent) + end).encode()


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ([cell("parameters"), cell("work", "raises-exception"), {"cell_type": "markdown", "metadata": {}}], []),
        ([cell("work", outputs=[{}])], ["outputs or a number"]),
        ([cell("work", execution_count=3)], ["outputs or a number"]),
        ([cell("parameters"), cell("injected-parameters")], ["parameters that a run has put in"]),
        ([cell("work"), cell("parameters")], ["not the first cell of code"]),
        ([cell("work"), cell(), cell("hide-input")], ["no tag", "no tag"]),
        ([cell("work"), cell("work")], ["the tag 'work' is cell 1's already"]),
        ([cell(f"cell{number}") for number in range(21)], ["21 cells of code; at most 20"]),
        ([{"cell_type": "code", "metadata": {"tags": None}}], ["no tag"]),
    ],
)
def test_finding(cells: list[dict[str, Any]], found: list[str]) -> None:
    """Each rule has its finding, and a notebook that keeps all of them has none."""
    texts = [finding.text for finding in house_rules.findings(house_rules.parse(content(*cells)))]
    assert len(texts) == len(found)
    assert all(part in text for part, text in zip(found, texts, strict=True))


@pytest.mark.parametrize("metadata", [None, [], {"samebook": None}, {"samebook": {}}])
def test_adopted_notebook_keeps_its_cells(metadata: Any) -> None:
    """An adopted notebook may have many cells, without tags, as its author wrote it; nothing else is let through."""
    own = foreign.Cell(foreign.CODE, "1", {}, {})
    notebook = json.loads(foreign.content([own] * 21, {}))
    assert list(house_rules.findings(notebook)) == []
    assert len(list(house_rules.findings(notebook | {"metadata": metadata}))) == 22
    notebook["cells"][-1] |= {"metadata": {"tags": ["parameters"]}, "execution_count": 1}
    assert [finding.cell for finding in house_rules.findings(notebook)] == [21, 21]


@pytest.mark.parametrize(("indent", "end"), [(1, "\n"), (2, ""), (1, "")])
def test_fix_changes_nothing_else(indent: int, end: str) -> None:
    """Outputs, numbers and injected cells go; every other byte stays, and a clean file is not touched at all."""
    worn = content(
        cell("parameters", execution_count=1), cell("injected-parameters", execution_count=2), indent=indent, end=end
    )
    clean = content(cell("parameters", execution_count=None), indent=indent, end=end)
    assert house_rules.fixed(worn) == clean
    assert house_rules.fixed(clean) == clean
    odd = b'{"nbformat":4,   "cells":[]}'
    assert house_rules.fixed(odd) == odd


def test_our_notebooks() -> None:
    """The notebooks that ship keep the house rules."""
    assert table(lint([CHECKOUT / "notebooks"])) == []


CELL = '{"cell_type": "code", "metadata": {"tags": 7}}'


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"nbformat": 3}', *(f'{{"nbformat": 4, "cells": [{c}]}}' for c in ("1", CELL))]
)
def test_no_notebook(tmp_path: Path, text: str) -> None:
    """A file that is no notebook, or of another form, is refused by its name, and stays as it is."""
    (tmp_path / "a.ipynb").write_text(text)
    for paths in ([tmp_path], [tmp_path / "a.ipynb"]):
        with pytest.raises(UsageError, match=r"a\.ipynb can't be read"):
            lint(paths, is_fixing=True)
    assert (tmp_path / "a.ipynb").read_text() == text
    with pytest.raises(UsageError, match="there is no"):
        lint([tmp_path / "gone.ipynb"])


def test_hook(tmp_path: Path) -> None:
    """The published hook, with the files that pre-commit would give it: it mends, fails once, and then passes."""
    (hook,) = yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())
    (tmp_path / "a.ipynb").write_bytes(content(cell("work", outputs=[{}])))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["sh", "-c", f'{hook["entry"]} "$@"', "hook", "a.ipynb"]
    ends = [
        subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
        for _ in range(2)
    ]
    assert [(end.returncode, end.stdout) for end in ends] == [(1, "a.ipynb: outputs and numbers taken out\n"), (0, "")]
