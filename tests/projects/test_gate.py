"""The gate that each project has: it compares models of any kind by any metric, without an edit."""

import json
import os
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from tiny import CHECKOUT

from samebook.core.make import clean_environment

pytestmark = pytest.mark.host

IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

HOLDOUT = """
import joblib, samebook
from sklearn.datasets import load_diabetes
from sklearn.tree import DecisionTreeRegressor
rows = load_diabetes(as_frame=True).frame.rename(columns={"target": "label"})
train, holdout = rows[:300], rows[300:]
model = DecisionTreeRegressor(max_depth=depth, random_state=0).fit(train.drop(columns="label"), train["label"])
joblib.dump(model, samebook.output_path("model.joblib"))
holdout = holdout.assign(prediction=model.predict(holdout.drop(columns="label")))
samebook.log_metric("mean_absolute_error", (holdout["prediction"] - holdout["label"]).abs().mean())
"""
KEPT = 'holdout.to_parquet(samebook.output_path("holdout.parquet"))\n'
# A model of a kind that nobody knows, which says a class, and keeps a holdout that is the same for each run.
CLASSES = """
import pandas as pd, samebook
rows = pd.DataFrame({"size": range(90), "label": ["small", "middle", "large"] * 30})
said = rows["label"].where(rows["size"] % 9 >= wrong, "small")
samebook.output_path("model.own").write_text(str(wrong))
rows.assign(prediction=said).to_parquet(samebook.output_path("holdout.parquet"))
"""


def write(project: Path, name: str, parameters: str, work: str) -> None:
    """Write a notebook of two cells, and commit it."""
    cells = (("parameters", parameters), ("work", work))
    nodes = [nbformat.v4.new_code_cell(source, metadata={"tags": [tag]}) for tag, source in cells]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=nodes, metadata=metadata), project / "notebooks" / f"{name}.ipynb")
    commit(project)


def commit(project: Path) -> None:
    for command in (("add", "--all"), ("commit", "--quiet", "-m", "x")):
        subprocess.run(["git", *command], cwd=project, env={**os.environ, **IDENTITY}, check=True)


def metric(project: Path, gate: str) -> None:
    """Name the metric of the gate in the settings, and commit it."""
    path = project / "environments" / "dev.yml"
    path.write_text(re.sub(r"gate: .*", f"gate: {{notebook: gate, {gate}}}", path.read_text()))
    commit(project)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that began with nothing, with two models of its own."""
    folder = tmp_path_factory.mktemp("gate")
    command = ["make", "--silent", "new", f"PROJECT={folder / 'churn'}", "EXAMPLE=none", "ENGINE=local"]
    env = clean_environment() | IDENTITY
    made = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    write(folder / "churn", "progress", "depth: int = 3\nkeeps: bool = True", f"{HOLDOUT}if keeps:\n    {KEPT}")
    write(folder / "churn", "sizes", "wrong: int = 3", CLASSES)
    return folder / "churn"


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", *arguments, "ENGINE=local"]
    env = clean_environment() | IDENTITY
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)


def promote(project: Path, notebook: str, parameters: str = "") -> subprocess.CompletedProcess[str]:
    """Run a notebook and promote its model."""
    done = make(project, "run", f"NOTEBOOK={notebook}", f"PARAMS={parameters}")
    assert done.returncode == 0, done.stderr
    name = done.stdout.split()[0].removeprefix("runs/")
    return make(project, "promote", f"RUN={name}", f"MODEL={notebook}", "WHY=x")


def history(project: Path, *arguments: str) -> str:
    command = ["git", "log", "--format=%H", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout


def test_numbers_pass_and_worse_ones_do_not(project: Path) -> None:
    """A model of scikit-learn that says numbers is promoted by the metric that the settings name, and a worse one is
    refused; the gate's own notebook and helpers are as they came.
    """
    metric(project, "metric: mean_absolute_error, better: lower, margin: 0")
    first = promote(project, "progress")
    assert first.returncode == 0, first.stdout + first.stderr
    compared = json.loads((project / "models" / "progress.json").read_text())["gate"]["metrics"]
    assert compared["candidate_mean_absolute_error"] < compared["baseline_mean_absolute_error"]
    assert compared["mean_absolute_error_difference_high"] < 0
    worse = promote(project, "progress", "depth=30")
    assert worse.returncode == 6, worse.stdout + worse.stderr
    assert "worse than the champion's" in worse.stderr
    assert history(project, "--", "notebooks/gate.ipynb", "scripts") == history(project, "--max-parents=0")


def test_classes_of_an_unknown_kind(project: Path) -> None:
    """A model that can't be loaded here is compared by what its run has recorded of the same rows."""
    metric(project, "metric: balanced_accuracy, margin: 0.01")
    first, worse = promote(project, "sizes"), promote(project, "sizes", "wrong=6")
    assert first.returncode == 0, first.stdout + first.stderr
    assert worse.returncode == 6, worse.stdout + worse.stderr
    assert "balanced_accuracy 0.333333 is more than 0.01 worse than the champion's" in worse.stderr


def test_no_holdout_is_told(project: Path) -> None:
    """A model without a holdout is refused by a sentence with what it has, and what its notebook would write."""
    metric(project, "metric: mean_absolute_error, better: lower, margin: 0")
    done = promote(project, "progress", "keeps=false")
    assert done.returncode != 0
    assert re.search(r"run \S+-progress-\S+ has no output 'holdout.parquet'; its outputs: model.joblib", done.stderr)
    assert "-> samebook.output_path('holdout.parquet') in notebooks/progress.ipynb" in done.stderr


def test_metric_that_is_none_is_told(project: Path) -> None:
    """A metric that the gate does not make is named, with the place where one is added."""
    metric(project, "metric: profit, margin: 0")
    done = promote(project, "progress")
    assert done.returncode == 6
    assert "the notebook gate did not log candidate_profit" in done.stderr
    metric(project, "metric: mean_absolute_error, margin: 0")
    assert "expected `better: lower`" in make(project, "settings").stderr
