"""Warm kernels: the same results as their cold twins, or a cold one."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import PATIENCE, Tiny, wait_until

from samebook.execution.warm import client
from samebook.execution.warm.kernels import Kind

ALL = """
import os, sys, random
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xgboost
from sklearn.metrics import roc_auc_score
"""
TRAIN = """
import samebook
generator = np.random.default_rng(n)
rows = pd.DataFrame(generator.normal(size=(2000, 5)), columns=list("abcde"))
late = (rows["a"] + generator.normal(size=2000) > 0).astype(int)
model = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 2}, xgboost.DMatrix(rows, late), 20)
samebook.log_metric("auc", float(roc_auc_score(late, model.predict(xgboost.DMatrix(rows)))))
model.save_model(samebook.output_path("model.ubj"))
plt.plot(rows["a"].cumsum())
plt.show()
rows.describe()
"""
# The state of its process that a notebook may see.
SEEN = """
import json, os, signal, sys, threading, warnings, samebook
signals = [number for number in signal.valid_signals() if number < 30]
state = {
    "argv": [word for word in sys.argv if "/tmp/" not in word],
    "path": sys.path, "flags": str(sys.flags), "main": __name__, "env": sorted(os.environ),
    "cwd": os.getcwd(), "stdin": os.readlink("/proc/self/fd/0"), "leads": os.getpgid(0) == os.getpid(),
    "backend": plt.get_backend(), "filters": repr(warnings.filters),
    "mask": sorted(map(str, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
    "handlers": {number.name: str(signal.getsignal(number)).split(" at ")[0] for number in signals},
    "threads": sorted(thread.name.split("-")[0] for thread in threading.enumerate()),
}
samebook.output_path("seen.json").write_text(json.dumps(state, indent=1, default=str))
"""


@pytest.fixture
def tiny(tiny: Tiny) -> Tiny:
    tiny.notebook("train", parameters="n: int = 1", imports=ALL, work=TRAIN)
    return tiny


@contextmanager
def warm(tiny: Tiny, notebook: str = "train", *options: str) -> Iterator[subprocess.Popen[str]]:
    """`samebook warm NOTEBOOK` beside the block, once the notebook is warm."""
    process = tiny.start("warm", notebook, *options)
    assert process.stderr
    assert any("is warm: " in line for line in process.stderr)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        wait_until(lambda: not tiny.kernels())


def start(run: Path) -> str:
    """The start of a run's kernel, "warm" or "cold", as its receipt says."""
    byproducts = json.loads((run / "receipt.json").read_text())["predicate"]["runDetails"]["byproducts"]
    (annotations,) = (item["annotations"] for item in byproducts if item["name"] == "kernel")
    return next(iter(annotations))


def subjects(run: Path) -> list[object]:
    return json.loads((run / "receipt.json").read_text())["subject"]


def ran(tiny: Tiny, notebook: str = "train", *options: str, **variables: str) -> Path:
    ended = tiny.samebook("run", notebook, *options, **variables)
    assert ended.code == 0, ended.stderr
    return tiny.root / ended.stdout.split()[0]


def test_cold_twin(tiny: Tiny) -> None:
    """A warm run has the results of its cold twin, byte for byte: model, metrics, and what the notebook shows."""
    cold = ran(tiny)
    with warm(tiny):
        both = [ran(tiny), ran(tiny)]
    assert [start(run) for run in (cold, *both)] == ["cold", "warm", "warm"]
    assert subjects(cold) == subjects(both[0]) == subjects(both[1])
    assert len({(run / "notebook.canonical.json").read_bytes() for run in (cold, *both)}) == 1


def test_same_tables(tiny: Tiny) -> None:
    """A wide table has the same text where pandas was imported before the kernel began as where a cell imports it."""
    shown = []
    for name, imports in {"before": "import pandas as pd", "within": "pd = __import__('pandas')"}.items():
        tiny.notebook(name, imports=imports, work="pd.DataFrame({f'column {n}': [n / 7] for n in range(15)})")
        cells = json.loads((ran(tiny, name) / "notebook.canonical.json").read_text())
        shown.append(cells[-1]["displayed"])
    assert "column 14" in str(shown[0])
    assert shown[0] == shown[1]


def test_same_process(tiny: Tiny) -> None:
    """A notebook sees the same paths, variables, warnings, signals and threads in a warm kernel as in a cold one."""
    tiny.notebook("seen", imports=ALL, work=SEEN)
    cold = ran(tiny, "seen")
    with warm(tiny, "seen"):
        other = ran(tiny, "seen")
    assert start(other) == "warm"
    first, second = (json.loads((run / "outputs" / "seen.json").read_text()) for run in (cold, other))
    assert first == second


def test_each_draws_its_own(tiny: Tiny) -> None:
    """Generators without a seed differ between two warm kernels, as between cold ones."""
    draws = "import samebook, tempfile\nsamebook.log_metric('numpy', np.random.random())\n"
    tiny.notebook("draws", imports=ALL, work=draws + "samebook.log_metric('random', random.random())")
    with warm(tiny, "draws"):
        first, second = (json.loads((ran(tiny, "draws") / "metrics.json").read_text()) for _ in range(2))
    assert first["numpy"] != second["numpy"]
    assert first["random"] != second["random"]


@pytest.mark.parametrize("change", ["threads", "imports", "proxy"])
def test_other_kernels_start_cold(change: str, tiny: Tiny) -> None:
    """With other variables, or after the notebook imports something else, a run starts cold and says nothing."""
    with warm(tiny):
        if change == "imports":
            tiny.notebook("train", parameters="n: int = 1", imports=f"{ALL}\nimport scipy.stats", work=TRAIN)
        variables = {"threads": {"OMP_NUM_THREADS": "1"}, "proxy": {"NO_PROXY": "a.b"}}.get(change, {})
        assert start(ran(tiny, **variables)) == "cold"


def test_edited_module_is_read_again(tiny: Tiny) -> None:
    """A module beside the notebook is the run's own, however often it is edited."""
    (tiny.root / "notebooks" / "own.py").write_text("import numpy\nVALUE = 1")
    tiny.notebook("edits", imports="import own, samebook", work="samebook.log_metric('value', own.VALUE)")
    with warm(tiny, "edits"):
        first = ran(tiny, "edits")
        (tiny.root / "notebooks" / "own.py").write_text("import numpy\nVALUE = 2")
        second = ran(tiny, "edits")
    assert [start(run) for run in (first, second)] == ["warm", "warm"]
    assert [json.loads((run / "metrics.json").read_text())["value"] for run in (first, second)] == [1.0, 2.0]


def test_imports_of_a_changed_file_are_done_again(tiny: Tiny) -> None:
    """Where an import has read a file that has changed since, one line says so; runs start cold, then warm again."""
    settings = tiny.root / "notebooks" / "matplotlibrc"
    settings.write_text("figure.dpi: 50")
    work = "import samebook\nsamebook.log_metric('dpi', matplotlib.rcParams['figure.dpi'])"
    tiny.notebook("draws", imports="import matplotlib", work=work)
    with warm(tiny, "draws") as keeper:
        settings.write_text("figure.dpi: 60")
        first = ran(tiny, "draws")
        assert keeper.stderr
        assert f"{settings} has changed since it was imported" in keeper.stderr.readline()
        assert "is warm: " in keeper.stderr.readline()
        second = ran(tiny, "draws")
    assert [start(run) for run in (first, second)] == ["cold", "warm"]
    assert [json.loads((run / "metrics.json").read_text())["dpi"] for run in (first, second)] == [60.0, 60.0]


@pytest.mark.parametrize(
    "first",
    [
        "pid = os.fork()\nif not pid:\n    os._exit(0)\nprint(os.waitpid(pid, 0)[1])",
        "import threading\nthread = threading.Thread(target=print, args=('thread',))\nthread.start()\nthread.join()",
        "from concurrent.futures import ProcessPoolExecutor as Pool\n"
        "with Pool(2) as pool:\n    print(list(pool.map(abs, range(-3, 0))))",
        "import own",
    ],
    ids=["forks", "threads", "pool", "trains when imported"],
)
def test_first_cells(first: str, tiny: Tiny) -> None:
    """A first cell that forks, starts threads or processes, or trains in an import does the same in a warm kernel."""
    (tiny.root / "notebooks" / "own.py").write_text(
        "import numpy, xgboost\nrows = numpy.arange(4000.0).reshape(1000, 4)\n"
        "MODEL = xgboost.train({'nthread': 2}, xgboost.DMatrix(rows, rows[:, 0]), 5)"
    )
    tiny.notebook("train", parameters="n: int = 1", first=f"import os\n{first}", imports=ALL, work=TRAIN)
    cold = ran(tiny)
    with warm(tiny):
        other = ran(tiny)
    assert (start(cold), start(other)) == ("cold", "warm")
    assert subjects(cold) == subjects(other)


@pytest.mark.parametrize(
    ("source", "refusal"),
    [
        ("print('hello')", "an import has something to say: hello"),
        ("import warnings\nwarnings.warn('old')", "UserWarning: old"),
        ("import os\nos.write(2, b'from C')", "an import has something to say: from C"),
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            "has started a thread",
        ),
        ("1 / 0", "odd: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)", "odd: SystemExit: 3"),
        ("import os\nos._exit(3)", "it died while it was importing"),
        ("import os\nos.fork() or os._exit(0)", ""),
    ],
)
def test_imports_with_effects(source: str, refusal: str, tmp_path: Path) -> None:
    """No kernel is warm where an import prints, starts a thread or fails: the notebook would miss that."""
    (tmp_path / "odd.py").write_text(source)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with client.socket_folder() as folder, client.zygote(Kind("", ("odd",), env), tmp_path, Path(folder)) as zygote:
        assert refusal in zygote.refusal
        assert bool(zygote.refusal) == bool(refusal)
        assert zygote.socket.is_socket() != bool(refusal)
