"""A run that ends well: its folder, and that another run has the same results."""

import json
import os
import py_compile
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, override

import promoting
import pytest
from tiny import HELD, PATIENCE, Result, Tiny, git, image_python, wait_until

from samebook.core.workspace import Workspace
from samebook.environment import identity
from samebook.execution import preparation
from samebook.execution.warm import early, kernels
from samebook.verbs import run

WORK = """import os, samebook
print('depth is', depth)
samebook.log_metrics({'auc': 0.75, 'depth': depth})
samebook.log_param('rows', 10)
samebook.output_path('models/model.txt').write_text('m' * depth)
samebook.output_path('seen.txt').write_text(
    f"{os.environ['PYTHONHASHSEED']} {os.environ['TZ']} {os.environ.get('PYTHONPATH')} {os.getcwd()}")"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, Result]:
    """One notebook, run twice with the same parameter."""
    tiny = Tiny.create(tmp_path_factory.mktemp("done") / "workspace")
    tiny.notebook("train", parameters="depth: int = 3", work=WORK)
    ended = tiny.samebook("run", "train", "-p", "depth=4", "--verbose", PYTHONPATH="/nowhere", TZ="Asia/Tokyo")
    assert tiny.samebook("run", "notebooks/train.ipynb", "-p", "depth=4").code == 0
    return tiny, ended


def receipt(run: Path) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads((run / "receipt.json").read_text())
    return statement


def test_run_shows_progress(done: tuple[Tiny, Result]) -> None:
    """A run shows its cells by name and, with --verbose, their output; its result is one line on stdout."""
    tiny, ended = done
    assert ended.code == 0
    assert ended.stdout == f"runs/{tiny.runs[0].name}  auc 0.75  depth 4\n"
    for message in ("parameters", "injected-parameters", "work", "| depth is 4"):
        assert message in ended.stderr


def test_run_folder_is_whole(done: tuple[Tiny, Result]) -> None:
    """A finished run's folder has the promised files, and no temporary ones."""
    tiny, _ = done
    names = {path.name for path in tiny.last.iterdir()}
    promised = {"notebook.ipynb", "notebook.html", "outputs", "metrics.json", "run.log", "receipt.json"}
    assert promised <= names
    assert not [name for name in names if name.startswith(".")]
    assert json.loads((tiny.last / "metrics.json").read_text()) == {"auc": 0.75, "depth": 4.0}
    assert not tiny.unfinished


def test_log_is_json_lines(done: tuple[Tiny, Result]) -> None:
    """run.log has the run's events as JSON, a line each."""
    tiny, _ = done
    events = [json.loads(line) for line in (tiny.last / "run.log").read_text().splitlines()]
    assert {event["run"] for event in events} == {tiny.last.name}
    assert [event["name"] for event in events if event["event"] == "cell-finished"] == [
        "parameters",
        "injected-parameters",
        "work",
    ]


def test_same_run_same_results(done: tuple[Tiny, Result]) -> None:
    """Two runs of the same notebook with the same parameters have the same subjects, hash for hash."""
    tiny, _ = done
    first, second = (receipt(run) for run in tiny.runs)
    assert first["subject"] == second["subject"]
    assert {subject["name"] for subject in first["subject"]} >= {
        "metrics.json",
        "notebook.canonical.json",
        "outputs/models/model.txt",
    }
    assert first["predicate"]["buildDefinition"] == second["predicate"]["buildDefinition"]


def test_kernel_environment_is_fixed(done: tuple[Tiny, Result]) -> None:
    """A kernel sees fixed variables, none of the caller's own for Python, and the notebooks' folder."""
    tiny, _ = done
    seen = (tiny.runs[0] / "outputs" / "seen.txt").read_text()
    assert seen == f"0 UTC None {tiny.root}/notebooks"


def test_receipt_names_request(done: tuple[Tiny, Result]) -> None:
    """A receipt says which notebook ran, with which parameters, in which env."""
    tiny, _ = done
    definition = receipt(tiny.last)["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {
        "notebook": "notebooks/train.ipynb",
        "parameters": {"depth": 4},
        "env": "dev",
    }
    assert definition["internalParameters"]["logged"] == {"rows": 10}


def test_runs_are_listed(done: tuple[Tiny, Result]) -> None:
    """`samebook runs` lists the runs, newest first, for people and, with --json, for machines."""
    tiny, _ = done
    listed = json.loads(tiny.samebook("runs", "--json").stdout)
    assert [run["id"] for run in listed] == [run.name for run in reversed(tiny.runs)]
    assert {(run["notebook"], run["status"]) for run in listed} == {("train", "done")}
    assert listed[0]["parameters"] == {"depth": 4}
    table = tiny.samebook("runs").stdout.splitlines()
    assert table[1].startswith(tiny.last.name)
    assert "auc 0.75" in table[1]


def test_last_runs_alone_are_read(tiny: Tiny) -> None:
    """With --last only the newest runs are listed, and no older one is read; the number is at least one."""
    for day in (1, 2, 3):
        (tiny.root / "runs" / f"2013010{day}T000000Z-train-aaaaaa").mkdir(parents=True)
    (tiny.runs[0] / "receipt.json").mkdir()
    listed = json.loads(tiny.samebook("runs", "--last", "2", "--json").stdout)
    assert [run["id"][:8] for run in listed] == ["20130103", "20130102"]
    assert len(json.loads(tiny.samebook("runs", "--last", "9", "--json").stdout)) == 3
    for number in ("0", "-1", "x"):
        ended = tiny.samebook("runs", "--last", number)
        assert (ended.code, "Invalid value for '--last'" in ended.stderr) == (2, True)


def test_same_second_two_runs(tiny: Tiny) -> None:
    """Two runs of one notebook, started at once, both end well, under ids of their own."""
    tiny.notebook("train", work="print('done')")
    processes = [tiny.start("run", "train") for _ in range(2)]
    ended = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    assert len(tiny.runs) == 2


def test_dry_run_starts_nothing(tiny: Tiny) -> None:
    """--dry-run checks notebook and parameters, shows the run that would start, and leaves no trace."""
    tiny.notebook("train", parameters="depth: int = 3")
    before = tiny.files()
    ended = tiny.samebook("run", "train", "-p", "depth=4", "--dry-run")
    assert (ended.code, ended.stdout) == (0, "would run train.ipynb with {'depth': 4} in env dev\n")
    assert tiny.samebook("run", "train", "-p", "depth=x", "--dry-run").code == 2
    assert (tiny.runs, tiny.files()) == ([], before)


def test_nameless_kernel_runs(tiny: Tiny) -> None:
    """A notebook that names no kernel, as some tools leave it, runs on Python."""
    path = tiny.notebook("bare", work="print('done')")
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "metadata": {}}))
    assert tiny.samebook("run", "bare").code == 0


def test_all_output_awaited(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that prints faster than it is read is not failed for it, and none of its output is lost."""
    tiny.notebook("prints", work="for number in range(45):\n    print(number, flush=True)")
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    seen: list[str] = []

    class Slow(run.Reporter):
        @override
        def printed(self, lines: Sequence[str]) -> None:
            time.sleep(0.1)
            seen.extend(lines)

    run.run(preparation.RunRequest("prints", {}), Slow())
    assert seen == [str(number) for number in range(45)]


def test_edited_package_is_drift(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on an edited package says so in its receipt as drift from the lock, so that no policy promotes it."""
    tiny.notebook("bare", work="print('done')")
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    edits = {"numpy/core.py": "0" * 64}
    monkeypatch.setattr(
        identity.edits, "of_package", lambda record, **_: edits if record.parent.name.startswith("numpy-") else {}
    )
    folder = run.run(preparation.RunRequest("bare", {}))
    definition = receipt(folder)["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["drift"] == {"numpy": "edited: numpy/core.py"}


def test_expected_error_fails_no_run(tiny: Tiny) -> None:
    """A cell tagged `raises-exception` may raise, as in Lab: the run goes on, and the error counts as a result."""
    path = tiny.notebook("work", shown="1 / 0", rest="print('went on')")
    path.write_text(path.read_text().replace('"shown"', '"raises-exception", "shown"'))
    ended = tiny.samebook("run", "work")
    assert (ended.code, "shown" in ended.stderr, "failed" in ended.stderr) == (0, True, False)
    executed = (tiny.last / "notebook.canonical.json").read_text()
    assert "ZeroDivisionError" in executed
    assert "went on" in executed
    assert "papermill-error" not in (tiny.last / "notebook.ipynb").read_text()


def test_unexpected_error_still_fails(tiny: Tiny) -> None:
    """After an expected error, another cell's error fails the run and is the one that is named."""
    path = tiny.notebook("work", shown="1 / 0", rest="raise ValueError('no')")
    path.write_text(path.read_text().replace('"shown"', '"raises-exception", "shown"'))
    ended = tiny.samebook("run", "work")
    assert ended.code == 1
    assert "cell `rest` (2 of 2) raised ValueError: no" in ended.stderr


@pytest.mark.parametrize(
    ("source", "error"), [("raise ValueError('no')", "ValueError: no"), ("raise SystemExit(0)", "SystemExit: 0")]
)
def test_cell_is_counted_in_one_way(source: str, error: str, tiny: Tiny) -> None:
    """A failed cell has the same number in its line of progress and in the error, which counts code cells."""
    path = tiny.notebook("work", shown="1 / 0", rest=source, after="1")
    notebook = json.loads(path.read_text().replace('"shown"', '"raises-exception", "shown"'))
    notebook["cells"].insert(0, {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Title"})
    path.write_text(json.dumps(notebook))
    ended = tiny.samebook("run", "work")
    assert ended.code == 1
    assert re.search(r"^ +2/3 rest .* failed$", ended.stderr, re.MULTILINE)
    assert f"cell `rest` (2 of 3) raised {error}\n" in ended.stderr


SHOWN_ODDLY = {
    "widget": "view = {'model_id': 'abc', 'version_major': 2, 'version_minor': 0}\n"
    "display({'application/vnd.jupyter.widget-view+json': view, 'text/plain': 'W'}, raw=True)",
    "numbers": "display({'application/json': [1, 2, 3]}, raw=True)",
    "link": "import samebook\npath = samebook.output_path('ckpt-5.bin')\npath.write_text('w')\n"
    "path.with_name('last.ckpt').symlink_to(path.name)\npath.with_name('empty').mkdir()",
}


def test_finished_run_is_kept(tiny: Tiny) -> None:
    """A run whose cells have all ended is done, whatever page and canonical form have to show: pictures under any name
    and missing ones, a widget without a state, a list as JSON, links; so is that of a notebook that only Lab reads.
    """
    path = tiny.notebook("odd", **SHOWN_ODDLY)
    notebook = json.loads(path.read_text())
    notebook["nbformat_minor"] = 2  # which has no ids of cells
    notebook["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"abc": {}}}
    notebook["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "\ud83d"}]
    for name, attached in {"größe.png": "größe.png", "a%20b.png": "a b.png", "gone.png": ""}.items():
        cell = {"cell_type": "markdown", "id": name, "metadata": {}, "source": f"![x](attachment:{name})"}
        attachments = {"attachments": {attached: {"image/png": "iVBORw0KGgo="}}} if attached else {}
        notebook["cells"].append(cell | attachments)
    path.write_text(json.dumps(notebook))
    ended = tiny.samebook("run", "odd")
    assert ended.code == 0, ended.stderr
    assert "is read as Lab reads it" in ended.stderr
    subjects = {item["name"] for item in receipt(tiny.last)["subject"]}
    assert subjects == {"metrics.json", "notebook.canonical.json", "outputs/ckpt-5.bin", "outputs/last.ckpt"}
    page = (tiny.last / "notebook.html").read_text()
    assert page.count("data:image/png;base64,iVBORw0KGgo=") == 2
    assert "not shown in full" in page


@pytest.mark.host
def test_commit_that_was_handed_over(tmp_path: Path) -> None:
    """A container that outlives a `git pull` runs nothing more in the name of the old commit."""
    tiny = replace(promoting.create(tmp_path / "workspace"), python=image_python(tmp_path / "image"))
    assert tiny.samebook("run", "train", "--dry-run", SAMEBOOK_COMMIT=git(tiny, "rev-parse", "HEAD")).code == 0
    ended = tiny.samebook("run", "train", SAMEBOOK_COMMIT="0" * 40)
    assert ended.code == 2
    assert "this container was started at 000000000000" in ended.stderr
    assert "make watch" in ended.stderr
    assert tiny.runs == []


EFFECTS = """
import json, sys, warnings
import matplotlib.pyplot as plt
import pandas as pd
import sklearn.linear_model
import samebook
"""
SHOWN = """
told = {"filters": repr(warnings.filters), "backend": plt.get_backend(), "path": sys.path}
samebook.output_path("told.json").write_text(json.dumps(told))
plt.plot([1, 3, 2])
plt.show()
pd.DataFrame({"a": [1, 2]})
"""


def test_early_or_not(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel's imports before its first cell change no result."""
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    tiny.notebook("effects", imports=EFFECTS, work=SHOWN)
    assert tiny.samebook("run", "effects").code == 0
    plain = run.run(preparation.RunRequest("effects", {}))
    assert receipt(tiny.runs[0])["subject"] == receipt(plain)["subject"]


def test_notebook_from_elsewhere_starts_nothing(tiny: Tiny, tmp_path: Path) -> None:
    """Code beside a file that is not in notebooks/, as a refused receipt may name one, is not imported early."""
    tiny.notebook("work", work="1")
    shutil.copytree(tiny.root / "notebooks", tmp_path / "elsewhere")
    (tiny.root / "notebooks" / "shared").symlink_to(tmp_path / "elsewhere")
    for notebook in (f"notebooks/{tmp_path}/elsewhere/work", "shared/work", "../../elsewhere/work"):
        assert Workspace(tiny.root).notebook(notebook).is_file()
        early.start(Workspace(tiny.root), notebook)
        assert early.take_early() is None
    early.start(Workspace(tiny.root), "work")
    process = early.take_early()
    assert process
    process.end()


# A runner that is killed as soon as it has requested its kernel, which imports for a while yet.
KILLED = """
import os, sys
from pathlib import Path
from samebook.execution.warm import early, kernels
process = early.EarlyProcess(os.environ, Path.cwd(), ["slowly"])
arguments = ["-f", str(Path.cwd() / "connection.json")]
kernels.Request(arguments, os.environ, os.getcwd()).send(process.connection, (1, 2))
print(process.process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_kernel_of_a_killed_runner_never_starts(tiny: Tiny) -> None:
    """A kernel that gets its request from a runner that has been killed since ends with its imports."""
    (tiny.root / "slowly.py").write_text("import time\ntime.sleep(2)")
    env = {**os.environ, "PYTHONPATH": str(tiny.root)}
    command = (sys.executable, "-c", KILLED)
    ended = subprocess.run(command, cwd=tiny.root, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert int(ended.stdout)
    wait_until(lambda: not tiny.kernels())


@pytest.mark.parametrize("source", ["print('hello')", "1 / 0", "import os\nos._exit(3)"])
def test_imports_with_effects_are_left_to_the_cell(source: str, tiny: Tiny) -> None:
    """An import that prints, fails or dies does so in its own cell."""
    site = tiny.root / "site"
    site.mkdir()
    (site / "odd.py").write_text(source)
    tiny.notebook("odd", imports=f"import sys\nsys.path.insert(0, {str(site)!r})", work="import odd")
    env = {**os.environ, "PYTHONPATH": str(site)}
    process = early.EarlyProcess(env, tiny.root, ["odd"])
    assert process.become(kernels.Request([], env, str(tiny.root)), (1, 2), ()) is None
    assert process.process.returncode is not None
    assert tiny.samebook("run", "odd").code == {"p": 0, "1": 1, "i": 138}[source[0]]


def test_module_is_compiled_from_its_source(tiny: Tiny) -> None:
    """A run takes no bytecode of its own modules, which Python takes for that of a file of the same size and second."""
    module = tiny.root / "notebooks" / "features.py"
    tiny.notebook("reads", cell="import features\nprint(features.factor)")
    for factor in (3, 4):
        module.write_text(f"factor = {factor}\n")
        os.utime(module, (10**9, 10**9))
        if factor == 3:
            py_compile.compile(str(module))
        assert tiny.samebook("run", "reads").code == 0
        (cell,) = json.loads((tiny.last / "notebook.canonical.json").read_text())
        assert cell["printed"] == {"stdout": f"{factor}\n"}


def test_outputs_of_settings(tiny: Tiny) -> None:
    """Files beside the notebook that the settings name become results and go; others stay, and are named."""
    work = "import os\nos.mkdir('images')\nfor name in ('images/a.txt', 'b.csv'): open(name, 'w').write(name)"
    tiny.notebook("work", work=work)
    (tiny.root / "environments" / "dev.yml").write_text("outputs: ['images/**']\n")
    ended = tiny.samebook("run", "work")
    assert ended.code == 0, ended.stderr
    assert (tiny.last / "outputs" / "images" / "a.txt").read_text() == "images/a.txt"
    assert not (tiny.root / "notebooks" / "images" / "a.txt").exists()
    assert "outputs/images/a.txt" in {subject["name"] for subject in receipt(tiny.last)["subject"]}
    assert "b.csv: written beside the notebook, and no result" in ended.stderr
    for pattern in ("../*", "/etc/*"):
        (tiny.root / "environments" / "dev.yml").write_text(f"outputs: ['{pattern}']\n")
        ended = tiny.samebook("run", "work")
        assert ended.code == 2
        assert "is not below the notebook's folder" in ended.stderr


def test_outputs_of_settings_beside_others(tiny: Tiny) -> None:
    """A run in an environment without `outputs:` waits for one with, whose result its files would become."""
    work = "import pathlib\npathlib.Path('n.txt').write_text(str(n))"
    tiny.notebook("takes", parameters="n: int = 1", work=work + HELD)
    tiny.notebook("writes", parameters="n: int = 2", work=work)
    (tiny.root / "environments" / "dev.yml").write_text("outputs: ['n.txt']\n")
    (tiny.root / "environments" / "prod.yml").write_text("")
    (tiny.root / "hold").touch()
    with tiny.start("run", "takes") as taking:
        wait_until((tiny.root / "notebooks" / "n.txt").exists)
        with tiny.start("run", "writes", "--env", "prod") as writing:
            assert writing.stderr
            assert any("waits for another run to end" in line for line in iter(writing.stderr.readline, ""))
            (tiny.root / "hold").unlink()
            writing.communicate(timeout=PATIENCE)
        taking.communicate(timeout=PATIENCE)
    assert (taking.returncode, writing.returncode) == (0, 0)
    assert [(run / "outputs" / "n.txt").read_text() for run in tiny.runs if "-takes-" in run.name] == ["1"]


def test_outputs_of_settings_and_made_inputs(tiny: Tiny) -> None:
    """A run whose input is made by another run does not wait for that one, while that one waits for it."""
    settings = "datasets: {rows: {made_by: makes}}\noutputs: ['n.txt']\n"
    (tiny.root / "environments" / "dev.yml").write_text(settings)
    days = "import datetime\nstart: datetime.date = datetime.date(2013, 1, 1)\nend: datetime.date = start"
    day = "import datetime, samebook\nday = datetime.date(2013, 1, 1)\n"
    tiny.notebook(
        "makes",
        parameters=days.replace("= start", "= datetime.date(2013, 1, 1)"),
        work=f"import pandas\n{day}samebook.write_partition('rows', day, pandas.DataFrame({{'a': [1]}}))",
    )
    tiny.notebook("uses", work=f"{day}samebook.read_dataset('rows', day, day)")
    ended = tiny.samebook("run", "uses")
    assert ended.code == 0, ended.stderr


def test_outputs_of_settings_are_of_one_run(tiny: Tiny) -> None:
    """Of two runs at once whose notebooks write the same file beside themselves, each has its own as its result."""
    work = "import pathlib, time\nfile = pathlib.Path('n.txt')\nfile.write_text(str(n))\ntime.sleep(2)"
    tiny.notebook("work", parameters="n: int = 0", work=work)
    (tiny.root / "environments" / "dev.yml").write_text("outputs: ['n.txt']\n")
    processes = [tiny.start("run", "work", "-p", f"n={number}") for number in (1, 2)]
    errors = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert "waits for another run to end" in "".join(errors)
    statements = [receipt(run)["predicate"]["buildDefinition"]["externalParameters"] for run in tiny.runs]
    numbers = {run: str(statement["parameters"]["n"]) for run, statement in zip(tiny.runs, statements, strict=True)}
    assert set(numbers.values()) == {"1", "2"}
    assert {run: (run / "outputs" / "n.txt").read_text() for run in tiny.runs} == numbers
    tiny.notebook(
        "outer",
        work="import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'samebook', 'run', 'work'], check=True)",
    )
    ended = tiny.samebook("run", "outer")
    assert ended.code == 0, ended.stderr  # it doesn't wait for itself
