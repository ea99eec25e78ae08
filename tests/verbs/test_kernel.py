"""The kernel that editors start by themselves: its variables are those of runs, and its name is no obstacle to one."""

import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from tiny import PATIENCE, Tiny

from samebook.environment import variables
from samebook.records import canonical

SHOW = "import json, os\nwith open('{name}.json', 'w') as file: json.dump(dict(os.environ), file)"
# As an editor does, which has a shell's variables, and no provisioner of samebook.
EDITOR = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name=sys.argv[1], cwd=sys.argv[2])
reply = client.execute_interactive(sys.argv[3])
manager.shutdown_kernel(now=True)
print(reply["content"]["status"])
"""
# Cells that show what the house's variables decide: order of sets, zone, encoding, threads, and where files are.
SHOWN = {
    "parameters": "rows: int = 4",
    "imports": "import os, time\nimport numpy as np\nimport samebook",
    "order": "print({'ab', 'cd', 'ef', 'gh'}, hash('samebook'), time.tzname, os.device_encoding(0))",
    "numbers": "np.exp(np.linspace(0, 9, 1000)).sum(), os.environ['OPENBLAS_NUM_THREADS'], os.environ['MATPLOTLIBRC']",
    "beside": "samebook.read_file('rows.txt')[:rows]",
    "error": "print(Path)",
}
# What a run alone has, or each kernel for itself.
OF_ONE = {"SAMEBOOK_RUN", "SAMEBOOK_PINNED", "SAMEBOOK_ENV", "SAMEBOOK_BUILDER", "IPYTHONDIR", "JPY_PARENT_PID"}


@pytest.fixture
def kernels(tiny: Tiny) -> Path:
    """The folder of a user's own kernels, with that of this workspace."""
    ended = install(tiny, "My churn")
    assert ended == (0, ""), ended
    return data(tiny) / "kernels"


def data(tiny: Tiny) -> Path:
    return tiny.root.parent / "jupyter"


def install(tiny: Tiny, name: str) -> tuple[int, str]:
    ended = tiny.samebook("kernel", "--name", name, JUPYTER_DATA_DIR=str(data(tiny)))
    return ended.code, ended.stderr


def test_editor_gets_what_runs_get(tiny: Tiny, kernels: Path) -> None:
    """A bare program starts the kernel by its kernelspec: each variable that decides a result is a headless run's."""
    (kernel,) = kernels.iterdir()
    assert kernel.name == "samebook-my-churn"
    assert json.loads((kernel / "kernel.json").read_text())["display_name"] == "samebook (My churn)"
    bare = {"PATH": "/usr/bin:/bin", "JUPYTER_DATA_DIR": str(data(tiny)), "HOME": str(tiny.root)}
    shell = {"OPENBLAS_CORETYPE": "Nehalem", "OMP_DYNAMIC": "TRUE", "PYTHONPATH": "/nowhere", "OTHER": "1"}
    command = [sys.executable, "-c", EDITOR, kernel.name, str(tiny.root / "notebooks"), SHOW.format(name="editor")]
    done = subprocess.run(command, env={**bare, **shell}, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.stdout == "ok\n", done.stderr
    tiny.notebook("show", work=SHOW.format(name="run"))
    assert tiny.samebook("run", "show", PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin").code == 0
    editor, run = (json.loads((tiny.root / "notebooks" / f"{name}.json").read_text()) for name in ("editor", "run"))
    ways = {*OF_ONE, *variables.CALLERS} - {"PATH"}
    # The debugger sets it, which a headless kernel may not have loaded.
    assert {env.pop("PYDEVD_USE_FRAME_EVAL", "NO") for env in (editor, run)} == {"NO"}
    assert {**editor, **dict.fromkeys(ways)} == {**run, **dict.fromkeys(ways)}
    assert run["OPENBLAS_NUM_THREADS"] == "1"


def test_editor_shows_what_a_run_shows(tiny: Tiny, kernels: Path, tmp_path: Path) -> None:
    """An editor spawns what kernel.json says, from a folder of its own and without a variable: the notebook that it
    then has is, in its canonical form, that of the headless run.
    """
    (tiny.root / "notebooks" / "rows.txt").write_text("1234567")
    shown = {canonical.RAISES if tag == "error" else tag: source for tag, source in SHOWN.items()}
    path = tiny.notebook("work", **shown)
    assert tiny.samebook("run", "work").code == 0
    edited = nbformat.read(path, as_version=4)
    with spawned(kernels / "samebook-my-churn" / "kernel.json", path.parent, tmp_path) as client:
        for cell in edited.cells:
            client.execute_interactive(cell.source, output_hook=functools.partial(show, cell), timeout=PATIENCE)
    run = nbformat.read(tiny.last / "notebook.ipynb", as_version=4)
    first, second = (canonical.cells(notebook, str(tiny.root)) for notebook in (edited, run))
    assert first == second
    assert all(text in str(second) for text in ("b'1234'", "('UTC', 'UTC')"))


def show(cell: Any, message: dict[str, Any]) -> None:
    """Put what a kernel sends for a cell among its outputs."""
    if message["msg_type"] in ("stream", "execute_result", "display_data", "error"):
        cell.outputs.append(nbformat.v4.output_from_msg(message))


@contextmanager
def spawned(spec: Path, folder: Path, elsewhere: Path) -> Iterator[BlockingKernelClient]:
    """A client of a kernel that was started by the words and the variables of a kernelspec alone; its cells work in
    the notebook's folder, which editors change to.
    """
    said = json.loads(spec.read_text())
    connection, _ = write_connection_file(str(elsewhere / "connection.json"))
    argv = [part.replace("{connection_file}", connection) for part in said["argv"]]
    with subprocess.Popen(
        argv, cwd=folder, env=said["env"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        client = BlockingKernelClient(connection_file=connection)
        client.load_connection_file()
        client.start_channels(hb=False)  # a kernel on a busy machine misses heartbeats
        try:
            client.wait_for_ready(timeout=PATIENCE)
            yield client
        finally:
            client.stop_channels()
            process.kill()


def test_notebook_of_an_editor_runs(tiny: Tiny) -> None:
    """A notebook that an editor saved with this kernel runs as any; one of another machine's Python says one line."""
    for kernel, said in (("samebook-my-churn", 0), ("conda-base-py", 1)):
        tiny.notebook("work", kernel=kernel, work="print(1)")
        ended = tiny.samebook("run", "work")
        assert ended.code == 0, ended.stderr
        line = f"work.ipynb names the kernel '{kernel}': it runs on the environment's Python, as python3"
        assert ended.stderr.count(line) == said
        assert nbformat.read(tiny.last / "notebook.ipynb", as_version=4).metadata.kernelspec.name == "python3"


def test_another_checkouts_kernel_stays(tiny: Tiny, kernels: Path) -> None:
    """A kernel of that name is replaced where it is this checkout's or that of none, not where another one has it."""
    spec = kernels / "samebook-my-churn" / "kernel.json"
    assert install(tiny, "my churn") == (0, "")
    other = Tiny.create(tiny.root.parent / "other")
    spec.write_text(spec.read_text().replace(str(tiny.root), str(other.root)))
    code, error = install(tiny, "my churn")
    assert code == 2
    assert f"the kernel samebook-my-churn is that of another checkout, {other.root}\n  -> make kernel NAME=" in error
    for content in (spec.read_text().replace(str(other.root), "/gone"), "{", "[]", '{"env": 1}'):
        spec.write_text(content)
        assert install(tiny, "my churn") == (0, "")
        assert json.loads(spec.read_text())["env"] == {"SAMEBOOK_WORKSPACE": str(tiny.root)}
