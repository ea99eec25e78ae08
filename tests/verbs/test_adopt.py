"""An existing notebook comes in by one command: a plan, a question, its data, two runs, and a verdict."""

import functools
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import override

import nbformat
import pytest
from tiny import Tiny, git

from samebook.core.digest import sha256
from samebook.core.errors import CellFailed, SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.environment import input_entries
from samebook.records import receipt
from samebook.verbs import adopt as verb
from samebook.verbs.adopt import AdoptRequest

OLD = (
    "%matplotlib inline\nimport numpy as np\nimport pandas as pd\nfrom helper import double\nROWS = 2",
    "d = pd.read_csv('/home/ann/My Data/points ü.csv')\nx = np.float(double(d.a.head(ROWS).sum()))\nprint(x)",
)


@pytest.fixture
def foreign(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an old notebook, its helper and its data; the workspace is the tiny one."""
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "points ü.csv").write_text("a\n1\n2\n3\n")
    (folder / "helper.py").write_text("def double(x):\n    return 2 * x\n")
    cells = [nbformat.v4.new_markdown_cell("# Old"), *map(nbformat.v4.new_code_cell, OLD)]
    metadata = {"kernelspec": {"name": "conda-base-py", "display_name": "x", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "Old -- ü.ipynb")
    return folder


def adopt(request: AdoptRequest, agree: Callable[[str], bool] = lambda _: True) -> str:
    return verb.adopt(request, agree, lambda _: None)


def test_files_are_recorded(tiny: Tiny, foreign: Path) -> None:
    """A receipt has each file that came along by its sha256, in git or not yet; what a notebook writes is an output."""
    (tiny.root / ".gitignore").write_text("/runs/\n/store/\n/.samebook/\n")
    commit = (("add", "."), ("commit", "--quiet", "--message=x"))
    for words in (("init", "--quiet"), *commit):
        git(tiny, *words)
    code = "import helper, pandas as pd\npd.DataFrame({'a': [1]}).to_csv('images/a.csv')\n"
    code += "print(pd.read_csv('images/a.csv').a[0], pd.read_csv('points ü.csv').a[0], helper.text)"
    (foreign / "helper.py").write_text("text = open('notes.txt').read()")
    (foreign / "notes.txt").write_text("x")
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), foreign / "writes.ipynb")
    assert adopt(AdoptRequest(str(foreign / "writes.ipynb"))).startswith("IDENTICAL: 2 runs")
    notebooks = tiny.root / "notebooks"
    came = {path.name for path in notebooks.iterdir() if path.is_file()} - {"writes.ipynb"}
    assert came == {"points ü.csv", "notes.txt", "helper.py"}
    assert not (notebooks / "images").exists()
    expected = {f"notebooks/{name}": sha256(foreign / name) for name in ("points ü.csv", "notes.txt")}
    assert tiny.samebook("run", "writes").code == 0
    assert (tiny.last / "outputs" / "images" / "a.csv").is_file()
    assert receipt.undeclared(receipt.read(tiny.last / "receipt.json")) == expected
    for words in commit:
        git(tiny, *words)
    assert tiny.samebook("run", "writes").code == 0
    statement = receipt.read(tiny.last / "receipt.json")
    assert receipt.undeclared(statement) == {}
    assert receipt.byproduct(statement, receipt.READ) == expected


def test_missing_file_is_asked_for(foreign: Path) -> None:
    """A notebook that is in, and lacks a file, names the command that brings both."""
    code = "import pandas as pd\nname = 'customers'\npd.read_csv(f'{name}.csv')"
    path = foreign / "lacks.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), path)
    with pytest.raises(CellFailed) as error:
        adopt(AdoptRequest(str(path)))
    assert error.value.mend == f"rm notebooks/lacks.ipynb && make adopt NOTEBOOK={path} DATA='…/customers.csv'"


def test_old_notebook_comes_in(tiny: Tiny, foreign: Path) -> None:
    """An old notebook comes in with data, module, parameters and mended code, runs twice, and is IDENTICAL."""
    original = (foreign / "Old -- ü.ipynb").read_bytes()
    request = AdoptRequest(str(foreign / "Old -- ü.ipynb"), (str(foreign / "points ü.csv"),), mends=True)
    assert adopt(request).startswith("IDENTICAL: 2 runs")
    assert {"notebooks/Old_-_u.ipynb", "notebooks/data/points ü.csv", "notebooks/helper.py"} <= tiny.files()
    notebook = nbformat.read(tiny.root / "notebooks" / "Old_-_u.ipynb", as_version=4)
    assert [cell.source for cell in notebook.cells][1] == "ROWS: int = 2"
    assert notebook.cells[1].metadata.tags == ["parameters"]
    changes = notebook.metadata.samebook.adoption.changes
    assert [(change.cell, change.rule) for change in changes] == [(2, "numpy.float"), (1, "future.infer_string")]
    assert (foreign / "Old -- ü.ipynb").read_bytes() == original
    with pytest.raises(UsageError, match=r"Old_-_u\.ipynb is there already"):
        adopt(request)


def test_failure_names_the_rule(foreign: Path) -> None:
    """Old code that is not mended fails its run, and the error names the command that mends it."""
    path = str(foreign / "Old -- ü.ipynb")
    with pytest.raises(CellFailed, match="does not run") as failure:
        adopt(AdoptRequest(path, (str(foreign),), name="old"))
    assert "float" in str(failure.value)
    assert failure.value.mend == f"rm notebooks/old.ipynb && make adopt NOTEBOOK='{path}' MEND=1"


def test_failure_names_no_rule_that_was_applied(foreign: Path) -> None:
    """A run that fails although its old code was changed names the rule about its error, and none that was applied."""
    code = "import pandas as pd\nprint 2\ndef f(d): return d.mean()\nf(pd.DataFrame({'a': ['x'], 'b': [2]}))"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), foreign / "a.ipynb")
    with pytest.raises(CellFailed, match="Could not convert") as failure:
        adopt(AdoptRequest(str(foreign / "a.ipynb"), mends=True))
    rule = "numeric_only=True, or the columns by their names (https://pandas.pydata.org/docs/whatsnew/v2.0.0.html)"
    assert failure.value.mend == f"make lab, and mend notebooks/a.ipynb: {rule}"


def test_hidden_failure_is_told(foreign: Path) -> None:
    """A cell that fails with another error than the saved one is told beside the verdict."""
    error = {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "", "traceback": []}
    cells = [{"cell_type": "code", "source": "import no_such_module", "outputs": [error]}]
    (foreign / "a.ipynb").write_text(json.dumps({"cells": cells}))
    plans: list[str] = []
    verdict = adopt(AdoptRequest(str(foreign / "a.ipynb")), lambda plan: not plans.append(plan))
    line = "1 cell is expected to fail, by the tag raises-exception: `cell-1` (ZeroDivisionError)"
    assert line in plans[0]
    assert line in verdict
    assert "warning: `cell-1` was expected to fail with ZeroDivisionError; found ModuleNotFoundError" in verdict


def test_nothing_without_consent(tiny: Tiny, foreign: Path) -> None:
    """Without consent, and for a name that make can't have, nothing is written; the plan has it all."""
    plans: list[str] = []
    before = tiny.files()
    request = AdoptRequest(str(foreign / "Old -- ü.ipynb"))
    assert adopt(request, lambda plan: bool(plans.append(plan))) == ""
    for words in ("+ROWS: int = 2", "reads /home/ann/My Data/points ü.csv, which is not here", "numpy.org"):
        assert words in plans[0]
    with pytest.raises(UsageError, match="expected letters, digits"):
        adopt(AdoptRequest(request.notebook, name="../x"))
    assert tiny.files() == before


# What `make add` says of wishes that exclude those of the project, in the words of the real one.
ADD = """add:
\t@case "$(PACKAGE)" in \\
\t*old==*) echo "error: environments/ is as before: old 1.0 has no wheel for this Python" >&2; exit 2;; \\
\t*lost==*) echo "error: environments/ is as before: the words above say why" >&2; exit 2;; \\
\t*rival*) echo "error: environments/ is as before: rival asks for base<2, and this project for base>=2" >&2; \\
\t  echo '  -> make add PACKAGE="rival base<2"' >&2; exit 2;; \\
\tesac; echo "$(PACKAGE)" >> environments/added; echo "lock: 1 package has moved"
"""


@pytest.mark.parametrize(
    ("wanted", "added", "said"),
    [
        (("a==1.0", "b"), ["a==1.0 b"], []),
        (("a==1.0", "old==1.0"), ["a old", "a==1.0"], ["a==1.0 old==1.0: old 1.0 has no wheel for this Python; the"]),
        (("lost==1.0",), ["lost"], ["lost==1.0: no index that answers has it for this Python; the newest that do fit"]),
        (("old==1.0", "b"), ["old b"], ["old==1.0: old 1.0 has no wheel for this Python; the newest that do fit are"]),
    ],
)
def test_versions_that_fit(tmp_path: Path, wanted: tuple[str, ...], added: list[str], said: list[str]) -> None:
    """Each wished version is taken where it fits; where one does not, why is told, and the newest one comes."""
    workspace = Workspace(tmp_path)
    workspace.environments.mkdir()
    (tmp_path / "Makefile").write_text(ADD)
    lines: list[str] = []
    verb._add_packages(workspace, wanted, lines.append)
    assert (workspace.environments / "added").read_text().splitlines() == added
    others = [line for line in lines if line != "lock: 1 package has moved"]
    assert all(line.startswith(start) for line, start in zip(others, said, strict=False))
    assert len(others) == len(said) + (len(added) > 1)


def test_notebooks_that_exclude_each_other(tiny: Tiny, foreign: Path) -> None:
    """A notebook whose packages exclude those of the project is not adopted: which two, and the way out, are told."""
    (tiny.root / "Makefile").write_text(ADD)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import rival")]), foreign / "a.ipynb")
    (foreign / "requirements.txt").write_text("rival==3.0")
    before = tiny.files()
    with pytest.raises(UsageError, match="rival asks for base<2, and this project for base>=2") as failure:
        adopt(AdoptRequest(str(foreign / "a.ipynb"), (str(foreign / "points ü.csv"),)))
    assert "nothing is changed" in str(failure.value)
    assert failure.value.mend == "make new PROJECT=../another"
    assert tiny.files() == before


def test_address(foreign: Path) -> None:
    """A notebook in a repository is adopted by its address; links in it are not followed, others are no addresses."""
    (foreign / "link.csv").symlink_to("/etc/hostname")
    (foreign / "a.ipynb").write_text('{"cells": [{"cell_type": "code", "source": "open(\'link.csv\').read()"}]}')
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(foreign))
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "a")):
        subprocess.run([*git, *words], check=True)
    foreign.rename(foreign.with_name("a.git"))
    plans: list[str] = []
    adopt(AdoptRequest(f"file://{foreign.with_name('a.git')}/a.ipynb"), lambda plan: bool(plans.append(plan)))
    assert "notebooks/link.csv" in plans[0]
    with pytest.raises(UsageError, match="expected the address of a notebook in a git repository"):
        adopt(AdoptRequest("ext::sh -c x://a.ipynb"))
    gone = f"file://{foreign.with_name('gone.git')}"
    with pytest.raises(UsageError, match="git clone failed") as failure:
        adopt(AdoptRequest(f"{gone}/a.ipynb"))
    assert failure.value.mend == f"git ls-remote {gone}"


def test_local_notebook_names_no_file_outside(tmp_path: Path) -> None:
    """A downloaded notebook can't have a key copied: files come from its repository, its folder, or DATA."""
    alone, inside = tmp_path / "a" / "b" / "n.ipynb", tmp_path / "r" / "b" / "n.ipynb"
    (tmp_path / "r" / ".git").mkdir(parents=True)
    for notebook, limit in ((alone, alone.parent), (inside, tmp_path / "r")):
        with verb._located(str(notebook)) as located:
            assert located == (notebook, limit)


def test_data_beside_a_path_with_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook that is named by `../` is not in the repository of the folder where that is typed."""
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "old").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    with verb._located("../old/n.ipynb") as located:
        assert located == (Path("../old/n.ipynb"), tmp_path / "old")


class Handler(BaseHTTPRequestHandler):
    """A web server with one file, which is another one each time."""

    served = 0

    def do_GET(self) -> None:
        Handler.served += 1
        self.send_response(200 if self.path == "/points.csv" else 404)
        self.end_headers()
        self.wfile.write(b"a\n%d\n" % Handler.served)

    @override
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def web() -> Iterator[str]:
    """The address of the web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_downloads_become_inputs(tiny: Tiny, foreign: Path, web: str) -> None:
    """A file that a notebook downloads is fetched once, by its hash: a source that changes does not change its runs."""
    code = f'import pandas as pd\nURL = "{web}/points.csv"\nprint(pd.read_csv(URL).a.sum())'
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), foreign / "web.ipynb")
    before = Handler.served
    assert adopt(AdoptRequest(str(foreign / "web.ipynb"))).startswith("IDENTICAL: 2 runs")
    assert Handler.served == before + 1
    entry = input_entries.read(Workspace(tiny.root))["points.csv"]
    assert (entry.origin, entry.sha256) == (f"{web}/points.csv", sha256(b"a\n%d\n" % Handler.served))


def test_unreachable_download_is_told(tiny: Tiny, foreign: Path, web: str) -> None:
    """What can't be fetched is told with its cell and the command that brings it, and the notebook is written."""
    code = f'import pandas as pd\npd.read_csv("{web}/gone.csv")'
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), foreign / "web.ipynb")
    said: list[str] = []
    with pytest.raises(SamebookError, match=r"input 'gone\.csv' has no sha256") as failure:
        verb.adopt(AdoptRequest(str(foreign / "web.ipynb")), lambda _: True, said.append)
    assert failure.value.mend == "make fetch NAME=gone.csv PIN=1"
    assert any(f"code cell 1 reads {web}/gone.csv, which did not come" in line for line in said)
    assert any("make fetch NAME=gone.csv PIN=1, or the file itself as data/gone.csv" in line for line in said)
    assert "notebooks/web.ipynb" in tiny.files()
