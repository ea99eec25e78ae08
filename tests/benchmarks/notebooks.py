"""The notebooks and tests of the cases."""

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


def printing(count: int, size: int) -> dict[str, str]:
    """The cells of a notebook of which `count` print `size` bytes each, in lines of 80."""
    cell = f"print('\\n'.join('0123456789' * 8 for _ in range({size // 80})))"
    return {**{f"cell-{n}": cell for n in range(count)}, "end": f"print('{END} {count}')"}
