"""The kernel that editors start by themselves: its variables are those of runs, and its name is no obstacle to one."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from tiny import PATIENCE, Tiny

from samebook.environment import variables

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
    assert {**editor, **dict.fromkeys(ways)} == {**run, **dict.fromkeys(ways)}
    assert run["OPENBLAS_NUM_THREADS"] == "1"


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
