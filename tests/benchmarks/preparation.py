"""What cases work on: notebooks, tests, repositories and data, and how they come into their place."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import places
from benchmarks.places import Place, call
from tiny import CHECKOUT, Tiny, git

# Each notebook prints it at its end, as a proof that it ran to the end.
END = "the end:"
TRIVIAL = {"hello": f"print('{END} hello')"}
MANY = {f"cell-{n}": f"value_{n} = {n}\nprint(value_{n})" for n in range(299)} | {"end": f"print('{END} 300')"}
TRAINING = {
    "parameters": "seed: int = 0\nrate: float = 0.1\ntrees: int = 100",
    "imports": "import pandas as pd\nimport xgboost\nfrom sklearn.datasets import make_classification\n"
    "from sklearn.metrics import roc_auc_score\nfrom sklearn.model_selection import train_test_split",
    "data": "rows, late = make_classification(12_000, 20, n_informative=10, random_state=seed)\n"
    "frame = pd.DataFrame(rows, columns=[f'feature_{n}' for n in range(20)])\n"
    "parts = train_test_split(frame, late, random_state=seed)\nframe.describe()",
    "fit": "model = xgboost.XGBClassifier(n_estimators=trees, learning_rate=rate, max_depth=6, random_state=seed)\n"
    "model.fit(parts[0], parts[2])",
    "score": "auc = float(roc_auc_score(parts[3], model.predict_proba(parts[1])[:, 1]))\n"
    f"print('{END} auc', round(auc, 4))",
}
# A sweep of samebook compares runs by a metric that they log.
LOGGING = TRAINING | {"metric": "import samebook\nsamebook.log_metric('auc', auc)"}
# Papermill in the way of its own documentation: one process, one call a set.
LOOP = """
import sys
import papermill
quick = {"progress_bar": False, "request_save_on_cell_execute": False, "autosave_cell_every": 0}
for line in open(sys.argv[2]):
    target, _, _, seed, _, _, rate = line.split()
    papermill.execute_notebook(sys.argv[1], target, {"seed": int(seed), "rate": float(rate)}, **quick)
"""
# One kernel a module, and only the cells that the tests need: the fastest use of testbook.
TESTBOOK = """
import pytest
from testbook import testbook

@pytest.fixture(scope="module")
def tb():
    with testbook("../workspace/notebooks/training.ipynb", execute=["parameters", "imports", "data"]) as client:
        yield client
"""
FIXTURE = """
import pytest
from samebook.testing import notebook

@pytest.fixture(scope="module")
def tb(notebook):
    return notebook("training", ["parameters", "imports", "data"])
"""
FACTS = {"rows": "len(frame) == 12_000", "columns": "frame.shape[1] == 20", "classes": "set(late) == {0, 1}"}
TESTS = "".join(f"\ndef test_{name}(tb):\n    assert tb.value({fact!r})\n" for name, fact in FACTS.items())
# A version of a model: ten files of 10 MiB, by level, so that two versions share nothing.
FILL = """
import pathlib, random
def fill(folder, level):
    pathlib.Path(folder).mkdir(exist_ok=True)
    for part in range(10):
        content = str(level).encode() + random.Random(f"{level} {part}").randbytes(10 * 2**20 - 1)
        (pathlib.Path(folder) / f"part-{part}.bin").write_bytes(content)
"""
MODEL = {
    "parameters": "level: int = 1",
    "work": f"{FILL}\nimport samebook\nfill(samebook.output_path('part-0.bin').parent, level)",
    "metric": "samebook.log_metric('auc', level / 10)",
}
SAMEBOOK = (sys.executable, "-m", "samebook")


def printing(count: int, size: int) -> dict[str, str]:
    """The cells of a notebook of which `count` print `size` bytes each, in lines of 80."""
    cell = f"print('\\n'.join('0123456789' * 8 for _ in range({size // 80})))"
    return {**{f"cell-{n}": cell for n in range(count)}, "end": f"print('{END} {count}')"}


def notebook(name: str, cells: Mapping[str, str], place: Place, workspace: str = "workspace") -> None:
    """Write a notebook into a committed workspace, and its cells as a script into the folder of the case."""
    place.workspace(workspace).notebook(name, **cells)
    places.commit(place.root / workspace)
    (place.root / f"{name}.py").write_text("\n\n".join(cells.values()) + "\n")


def training(files: Mapping[str, str], place: Place) -> None:
    """Write the training notebook, and files of these texts."""
    notebook("training", TRAINING, place)
    for name, text in files.items():
        (place.folder(str(Path(name).parent)) / Path(name).name).write_text(text)


def fill(folder: Path, level: int) -> None:
    call(folder.parent, os.environ, sys.executable, "-c", f"{FILL}\nfill({folder.name!r}, {level})")


def models(place: Place) -> None:
    """A workspace with two branches, each with a model of its own; and a model's files outside of it."""
    notebook("train", MODEL, place)
    workspace = place.workspace()
    environ = place.samebook_environ(workspace)
    for level in (1, 2):
        git(workspace, "switch", "--quiet", "--create", f"level-{level}", "main")
        call(workspace.root, environ, *SAMEBOOK, "run", "train", "-p", f"level={level}")
        call(workspace.root, environ, *SAMEBOOK, "promote", workspace.last.name, "delay")
    call(workspace.root, environ, *SAMEBOOK, "models")
    fill(place.root / "model", 1)


def dvc(place: Place) -> None:
    """A repository with DVC at its fastest, with links, and two branches, each with a model of its own."""
    root, environ = place.folder("dvc"), place.environ(places.programs("dvc"))
    places.commit(root)
    call(root, environ, "dvc", "init", "--quiet")
    for option in ("cache.type=hardlink,symlink", "core.analytics=false", "core.check_update=false"):
        call(root, environ, "dvc", "config", *option.split("="))
    places.commit(root)
    for level in (1, 2):
        git(Tiny(root), "switch", "--quiet", "--create", f"level-{level}", "main")
        shutil.rmtree(root / "model", ignore_errors=True)
        fill(root / "model", level)
        call(root, environ, "dvc", "add", "--quiet", "model")
        places.commit(root)


def rows(count: int, place: Place) -> None:
    """Rows to score, and a model for them."""
    clocked = str(Path(__file__).with_name("clocked.py"))
    call(place.folder("rows"), place.environ(), sys.executable, clocked, "make", str(count))


def clone(name: str, place: Place) -> None:
    """Clone this repository, with the base image that is used here."""
    call(place.root, place.environ(), "git", "clone", "--quiet", str(CHECKOUT), name)
    base = Path(".samebook") / "base-image"
    if (CHECKOUT / base).is_file():
        (place.root / name / base).parent.mkdir()
        shutil.copyfile(CHECKOUT / base, place.root / name / base)


def example(place: Place) -> None:
    """A clone that has run the training: the days of its datasets are made."""
    clone("clone", place)
    call(place.root, place.samebook_environ(Tiny(place.root / "clone")), *SAMEBOOK, "run", "train")


def without_image(image: str, place: Place) -> None:
    """Remove an image, now and at the end of the case."""
    remove = (place.root, os.environ, "timeout", "60", "docker", "image", "rm", "--force", image)
    call(*remove)
    place.stack.callback(call, *remove)
