"""The gate that each project has: it compares models of any kind by any metric, without an edit."""

import re

import jinja2
import promoting
import pytest
from promoting import promoted_bundle, stderr_of
from tiny import CHECKOUT, Tiny, git

pytestmark = pytest.mark.host

TEMPLATE = CHECKOUT / "scripts" / "samebook" / "projects" / "template" / "project"
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


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A workspace with a project's gate and helpers as they come, and two models of its own."""
    tiny = promoting.create(tmp_path_factory.mktemp("gate") / "workspace")
    (helpers,) = TEMPLATE.glob("scripts/*/__init__.py.jinja")
    (gate,) = TEMPLATE.glob("notebooks/*gate.ipynb*")
    for source, target in ((helpers, "churn/__init__.py"), (gate, "gate.ipynb")):
        (tiny.root / "notebooks" / target).parent.mkdir(exist_ok=True)
        text = jinja2.Template(source.read_text()).render(name="churn", example="none")
        (tiny.root / "notebooks" / target).write_text(text)
    tiny.notebook("progress", parameters="depth: int = 3\nkeeps: bool = True", work=f"{HOLDOUT}if keeps:\n    {KEPT}")
    tiny.notebook("sizes", parameters="wrong: int = 3", work=CLASSES)
    return tiny


def metric(project: Tiny, gate: str) -> None:
    """Name the metric of the gate in the settings, and commit it."""
    (project.root / "environments" / "dev.yml").write_text(f"promotion: {{gate: {{notebook: gate, {gate}}}}}\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", gate)


def run(project: Tiny, notebook: str, *parameters: str) -> str:
    """The id of a new run of a notebook."""
    done = project.samebook("run", notebook, *(part for parameter in parameters for part in ("-p", parameter)))
    assert done.code == 0, done.stderr
    return done.stdout.split()[0].removeprefix("runs/")


def test_numbers_pass_and_worse_ones_do_not(project: Tiny) -> None:
    """A model of scikit-learn that says numbers is promoted by the metric that the settings name, and a worse one is
    refused; the gate's own notebook and helpers are as they came.
    """
    metric(project, "metric: mean_absolute_error, better: lower, margin: 0")
    run(project, "progress")
    first = project.samebook("promote", "progress", "delay")
    assert first.code == 0, first.stderr
    compared = promoted_bundle(project)["promoted"]["gate"]["metrics"]
    assert compared["candidate_mean_absolute_error"] < compared["baseline_mean_absolute_error"]
    assert compared["mean_absolute_error_difference_high"] < 0
    worse = run(project, "progress", "depth=30")
    assert "worse than the champion's" in stderr_of(project.samebook("promote", worse, "delay"), 6)


def test_classes_of_an_unknown_kind(project: Tiny) -> None:
    """A model that can't be loaded here is compared by what its run has recorded of the same rows."""
    metric(project, "metric: balanced_accuracy, margin: 0.01")
    first = project.samebook("promote", run(project, "sizes"), "kept")
    assert first.code == 0, first.stderr
    worse = project.samebook("promote", run(project, "sizes", "wrong=6"), "kept")
    assert re.search(r"balanced_accuracy \S+ is more than 0.01 worse than the champion's", stderr_of(worse, 6))


def test_no_holdout_is_told(project: Tiny) -> None:
    """A model without a holdout is refused by a sentence with what it has, and what its notebook would write."""
    message = project.samebook("promote", run(project, "progress", "keeps=false"), "bare").stderr
    assert re.search(r"run \S+-progress-\S+ has no output 'holdout.parquet'; its outputs: model.joblib", message)
    assert "-> samebook.output_path('holdout.parquet') in notebooks/progress.ipynb" in message


def test_metric_that_is_none_is_told(project: Tiny) -> None:
    """A metric that the gate does not make is named, and so is a direction that is wrong for a known one."""
    metric(project, "metric: profit, margin: 0")
    message = stderr_of(project.samebook("promote", "sizes", "other"), 6)
    assert "the notebook gate did not log candidate_profit" in message
    (project.root / "environments" / "dev.yml").write_text("promotion: {gate: {metric: mean_absolute_error}}\n")
    assert "expected `better: lower`" in stderr_of(project.samebook("settings"), 2)
