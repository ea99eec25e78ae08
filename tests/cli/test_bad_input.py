"""Bad input: a clear error, its exit code, and nothing half-written."""

import json
import subprocess

import pytest
from tiny import Tiny

# --- Refused before anything is started -----------------------------------------------------------------------

PARAMETERS = "from typing import Annotated\nfrom pydantic import Field\ndepth: Annotated[int, Field(ge=1, le=16)] = 6"


# The command that mends a slip, by the message.
MENDS = {
    "no notebook 'trian'; did you mean train?": "-> make run NOTEBOOK=train\n",
    "no parameter 'depht'; did you mean depth?": '-> make run NOTEBOOK=… PARAMS="depth=…"\n',
    "no environment 'pord'; did you mean prod?": "-> make settings ENV=prod\n",
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "trian"], "no notebook 'trian'; did you mean train?"),
        (["run", "zzz"], "no notebook 'zzz'; expected one of: plain, train"),
        (["run", "../train"], "no notebook '../train'"),
        (["run", "../environments/dev"], "no notebook '../environments/dev'"),
        (["run", "/etc/passwd"], "no notebook '/etc/passwd'"),
        (["run", ""], "no notebook ''"),
        (["run"], "neither of a notebook and a receipt; expected one of them"),
        (["run", "train", "-p", "depht=3"], "no parameter 'depht'; did you mean depth?"),
        (["run", "train", "-p", "depth=three"], "parameter depth: found 'three'; Input should be a valid integer"),
        (["run", "train", "-p", "depth=17"], "parameter depth: found '17'; Input should be less than or equal to 16"),
        (["run", "train", "-p", "depth"], "found 'depth'; expected name=value"),
        (["run", "train", "-p", "=3"], "found '=3'; expected name=value"),
        (["run", "train", "-p", "depth=3", "-p", "depth=4"], "parameter depth is given twice"),
        (
            ["run", "plain", "-p", "depth=3"],
            "plain.ipynb has no cell tagged `parameters`, so it takes none; found depth",
        ),
        (["run", "train", "--env", "pord"], "no environment 'pord'; did you mean prod?"),
        (["run", "train", "--timeout", "-1"], "-1"),
        (["rnu"], "rnu"),
    ],
)
def test_call_refused(arguments: list[str], message: str, tiny: Tiny) -> None:
    """An impossible call is refused with exit code 2, says what was expected, and writes nothing."""
    tiny.notebook("train", parameters=PARAMETERS, work="1")
    tiny.notebook("plain", work="1")
    (tiny.root / "environments" / "prod.yml").write_text("{}")
    before = tiny.files()
    ended = tiny.samebook(*arguments)
    assert (ended.code, tiny.runs, tiny.files()) == (2, [], before), ended
    assert message in ended.stderr.replace("\n", " ")
    assert MENDS.get(message, "") in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        "<<<<<<< HEAD\n{}",
        '{"nbformat": 99}',
        '{"nbformat": 4, "nbformat_minor": 5, "cells": 3}',
        "ÿ",
    ],
)
def test_no_notebook_refused(content: str, tiny: Tiny) -> None:
    """A file that is not a notebook, as after a merge conflict, is refused by name, with a command that keeps edits."""
    tiny.notebook("train").write_text(content, encoding="latin-1")
    ended = tiny.samebook("run", "train")
    assert (ended.code, tiny.runs) == (2, [])
    assert "error: train.ipynb is not a notebook: " in ended.stderr
    assert "-> git diff -- notebooks/train.ipynb" in ended.stderr


def test_no_notebook_committed(tiny: Tiny) -> None:
    """Where it is committed so, a difference would show nothing: the commits do."""
    tiny.notebook("train").write_text("<<<<<<< HEAD")
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=tiny.root, check=True)
    assert "-> git log --patch -- notebooks/train.ipynb" in tiny.samebook("run", "train").stderr


def test_notebook_outside_refused(tiny: Tiny) -> None:
    """A link out of notebooks/ is not followed."""
    path = tiny.notebook("train", work="1")
    path.rename(tiny.root / "elsewhere.ipynb")
    path.symlink_to(tiny.root / "elsewhere.ipynb")
    assert tiny.samebook("run", "train").code == 2


def test_workspace_must_be_one(tiny: Tiny) -> None:
    """Outside a workspace the error says what one is, and how to name it."""
    ended = tiny.samebook("runs", SAMEBOOK_WORKSPACE=str(tiny.root.parent))
    assert ended.code == 2
    assert "expected environments/runtime.txt" in ended.stderr
    assert "-> export SAMEBOOK_WORKSPACE=…, the path of the checkout" in ended.stderr


def test_other_environment_refused(tiny: Tiny) -> None:
    """An environment that is not the lock's is refused with exit code 5, and named by its packages."""
    tiny.notebook("train", work="1")
    lock = tiny.root / "environments" / "runtime.txt"
    lock.write_text(lock.read_text().replace("pandas==", "pandas==0."))
    ended = tiny.samebook("run", "train")
    assert (ended.code, tiny.runs) == (5, [])
    assert "1 package" in ended.stderr
    assert "pandas (locked 0." in ended.stderr


# --- Failed in a cell -----------------------------------------------------------------------------------------


def test_raising_cell_named(tiny: Tiny) -> None:
    """A cell that raises fails the run with exit code 1; its name, line and error are shown and kept."""
    tiny.notebook(
        "fails", before="import samebook\nsamebook.log_metric('auc', 1)", work="x = 0\nprint(1 / x)", after="2"
    )
    ended = tiny.samebook("run", "fails")
    message = "cell `work` (2 of 3) raised ZeroDivisionError: division by zero\n  line 2: print(1 / x)\n"
    assert ended.code == 1
    assert f"error: {message}  the run as far as it came: runs/{tiny.last.name}\n" in ended.stderr
    assert (tiny.last / "error.txt").read_text() == f"CellFailed: {message}"
    assert not (tiny.last / "receipt.json").exists()
    executed = json.loads((tiny.last / "notebook.ipynb").read_text())
    assert "ZeroDivisionError" in json.dumps(executed)
    listed = json.loads(tiny.samebook("runs", "--json").stdout)
    assert [(run["status"], run["error"]) for run in listed] == [("failed", f"CellFailed: {message.splitlines()[0]}")]


def test_mend_of_a_cell_is_kept(tiny: Tiny) -> None:
    """An error that samebook raises in a cell says headless which command mends it, once, and after its message."""
    tiny.notebook("fails", work="import samebook\nsamebook.input_path('customers.csv')")
    ended = tiny.samebook("run", "fails")
    assert ended.code == 2
    message, _, end = ended.stderr.partition("the run as far as it came")
    assert "raised UsageError: " in message
    assert end.count("\n  -> ") == 1
    assert "-> " not in message.partition("raised UsageError: ")[2]


@pytest.mark.parametrize("death", ["os._exit(1)", "os.kill(os.getpid(), 9)"])
def test_dead_kernel_named(death: str, tiny: Tiny) -> None:
    """A kernel that dies ends the run with exit code 138, and the cell that it died in is named."""
    tiny.notebook("dies", before="import os", work=death, after="1")
    ended = tiny.samebook("run", "dies")
    assert ended.code == 138
    assert "error: the kernel died in cell `work`" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tiny.last / "error.txt").read_text().startswith("KernelDied: ")


@pytest.mark.parametrize("work", ["import time\ntime.sleep(600)", "while True:\n    print('x', flush=True)"])
def test_slow_cell_stopped(work: str, tiny: Tiny) -> None:
    """A cell over its time limit is stopped and named, with the variable that gives it more time."""
    tiny.notebook("sleeps", work=work)
    ended = tiny.samebook("run", "sleeps", "--timeout", "1")
    assert ended.code == 1
    assert "error: cell `work` ran over its time limit of 1 s" in ended.stderr
    assert "-> again, with TIMEOUT=2" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_other_kernels(tiny: Tiny) -> None:
    """Only the environment's kernel is taken, for Python under any name; no other language runs."""
    for name in ("julia-1.11", "conda-base-py", "python3"):
        folder = tiny.root.parent / "share" / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text('{"argv": ["false"], "display_name": "x", "language": "python"}')
    tiny.notebook("other", kernel="julia-1.11", work="1")
    tiny.notebook("own", kernel="conda-base-py", work="1")
    theirs = {"JUPYTER_PATH": str(tiny.root.parent / "share")}
    own = tiny.samebook("run", "own", **theirs)
    assert own.code == 0
    assert "own.ipynb names the kernel 'conda-base-py': it runs on the environment's Python" in own.stderr
    ended = tiny.samebook("run", "other", **theirs)
    assert ended.code == 2
    assert "other.ipynb is a notebook of Julia; samebook runs Python alone" in ended.stderr


@pytest.mark.parametrize(
    ("work", "mend"),
    [("input('name?')", "a parameter in place of input()"), ("import seaborn", "make add PACKAGE=seaborn")],
)
def test_errors_that_name_their_mend(tiny: Tiny, work: str, mend: str) -> None:
    """A cell that asks, and one that lacks a package, fail with the way out."""
    tiny.notebook("asks", work=work)
    ended = tiny.samebook("run", "asks")
    assert ended.code == 1
    assert f"  -> {mend}" in ended.stderr


def test_bad_data_rejected(tiny: Tiny) -> None:
    """Data that breaks its schema fails with exit code 4, by column, check and rows, and is not published."""
    work = """import datetime, pandas as pd, pandera.pandas as pa, samebook
schema = pa.DataFrameSchema({'delay': pa.Column(float, pa.Check.ge(-60)), 'carrier': pa.Column(str)}, name='flights')
frame = pd.DataFrame({'delay': [0.0, -999.0, -61.0], 'carrier': ['UA', None, 'B6']})
samebook.write_partition('flights', datetime.date(2013, 1, 1), samebook.validate(frame, schema))"""
    tiny.notebook("ingest", work=work)
    ended = tiny.samebook("run", "ingest")
    assert ended.code == 4
    assert "flights breaks its schema:" in ended.stderr
    assert "column delay: greater_than_or_equal_to(-60) fails in 2 rows (row 1: -999.0, row 2: -61.0)" in ended.stderr
    assert "column carrier: not_nullable fails in 1 row (row 1: nan)" in ended.stderr
    assert not (tiny.root / "data").exists()


def test_missing_warehouse_told(tiny: Tiny) -> None:
    """A warehouse that is missing, where no sample may stand in for it, is named."""
    (tiny.root / "notebooks" / "queries").mkdir()
    (tiny.root / "notebooks" / "queries" / "one.sql").write_text("SELECT 1")
    tiny.notebook("asks", work="import samebook\nsamebook.query('one.sql')")
    ended = tiny.samebook("run", "asks")
    assert ended.code == 2
    assert "UsageError: no warehouse at data/warehouse.duckdb" in ended.stderr
