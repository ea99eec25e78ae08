"""The notebooks of the cases; the same cells as a notebook and as a plain script."""

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import Place, commit
from benchmarks.trials import FailedTrial
from tiny import Tiny

# Each notebook prints it at its end, as a proof that it ran to the end.
END = "the end:"
LINE = 80


@dataclass(frozen=True)
class Cells:
    """A notebook: its name, and its cells by tag."""

    name: str
    cells: dict[str, str]

    def script(self) -> str:
        return "\n\n".join(self.cells.values()) + "\n"

    def write(self, place: Place) -> Tiny:
        """Write the notebook into a committed workspace, and the script beside it; returns the workspace."""
        workspace = place.workspace()
        path = workspace.root / "notebooks" / f"{self.name}.ipynb"
        if not path.exists():
            workspace.notebook(self.name, **self.cells)
            commit(workspace)
            (place.root / f"{self.name}.py").write_text(self.script())
        return workspace


TRIVIAL = Cells("trivial", {"hello": f"print('{END} hello')"})

TRAINING = Cells(
    "training",
    {
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
    },
)


def many(count: int) -> Cells:
    """A notebook of `count` cells that do next to nothing."""
    cells = {f"cell-{n}": f"value_{n} = {n}\nprint(value_{n})" for n in range(count - 1)}
    return Cells("cells", {**cells, "end": f"print('{END} {count}')"})


def printing(name: str, count: int, size: int) -> Cells:
    """A notebook of `count` cells that print `size` bytes each, in lines."""
    cell = f"print('\\n'.join('0123456789' * {LINE // 10} for _ in range({size // LINE})))"
    return Cells(name, {**{f"cell-{n}": cell for n in range(count)}, "end": f"print('{END} {count}')"})


def check_executed(path: Path) -> None:
    """Raise FailedTrial where a notebook was not executed to its end."""
    if not path.is_file():
        raise FailedTrial(f"expected {path.name}, which was not written")
    # In a source these words follow a single quote; only an output begins with them.
    if not re.search(rf'"{END} ', path.read_text()):
        raise FailedTrial(f"expected an output `{END} …` in {path.name}, found none")


def check_printed(printed: str) -> None:
    """Raise FailedTrial where a script did not run to its end."""
    if f"\n{END} " not in f"\n{printed}":
        raise FailedTrial(f"expected a line `{END} …`, found none")
