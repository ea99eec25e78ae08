"""The gate between a candidate and the champion: the run that compares the two, and the verdict on its metrics.

The gate's notebook takes the parameters `candidate` and `champion`, scores both on the candidate's holdout, and logs
`candidate_<metric>`, `champion_<metric>` where there is one, and `baseline_<metric>`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from samebook.core import subcommand
from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.environment.model_sections import Gate
from samebook.models import bundle
from samebook.records import evidence, receipt, run_folder
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json

# The folders with the code that a comparison depends on.
CODE = (b"notebooks/", b"scripts/", b"environments/")

type Metrics = dict[str, float | int]


def find_comparison(
    workspace: Workspace, gate: Gate, candidate: Json, champion: bundle.Bundle | None
) -> bundle.Gate | None:
    """The newest comparison of this candidate with this champion; None where there is none yet.

    A run whose files were changed, or whose code was not committed, does not count.
    """
    for run in run_folder.finished_runs(workspace, gate.notebook):
        statement = receipt.read(run / run_folder.RECEIPT)
        if _is_of(statement, candidate, champion) and _is_sound(workspace, run, statement):
            metrics: Metrics = json.loads((run / run_folder.METRICS).read_text())
            return bundle.Gate(run=run.name, receipt=sha256(run / run_folder.RECEIPT), metrics=metrics)
    return None


def _is_of(statement: Json, candidate: Json, champion: bundle.Bundle | None) -> bool:
    """Whether a run has read files of this candidate, as its candidate, and the bundle of this champion or of none."""
    inputs = receipt.inputs(statement)
    prefix = f"{receipt.external_parameters(statement)['parameters'].get('candidate')}/"
    files = {digest for name, digest in inputs.items() if name.startswith(prefix)}
    champions = {digest for name, digest in inputs.items() if Label.parse(name).kind is Kind.BUNDLE}
    expected = {sha256(champion.content())} if champion else set()
    return bool(files) and files <= set(receipt.subject_digests(candidate).values()) and champions == expected


def _is_sound(workspace: Workspace, run: Path, statement: Json) -> bool:
    """Whether a run can be trusted: its files are those of its receipt, its code and environment those of a commit."""
    path, patch = run / run_folder.RECEIPT, run / run_folder.PATCH
    lines = patch.read_bytes().splitlines() if patch.is_file() else []
    is_code_changed = any(line.startswith(tuple(b"diff --git a/" + folder for folder in CODE)) for line in lines)
    drift = statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("drift")
    return not is_code_changed and not drift and not evidence.problems(evidence.file_states(workspace, path, statement))


def run_comparison(workspace: Workspace, gate: Gate, candidate: Path, champion: bundle.Bundle | None, env: str) -> None:
    """Run the gate's notebook on a candidate's run."""
    values = {"candidate": candidate.name, **({"champion": champion.name} if champion else {})}
    subcommand.run_notebook(workspace, gate.notebook, values, env)


def shortfalls(gate: Gate, metrics: Metrics, *, has_champion: bool) -> Iterator[str]:
    """The shortfalls of the candidate: behind the champion by more than the margin, or not ahead of the baseline."""
    models = ("candidate", "baseline", *(("champion",) if has_champion else ()))
    if missing := [name for name in (f"{model}_{gate.metric}" for model in models) if name not in metrics]:
        yield f"the notebook {gate.notebook} did not log {', '.join(missing)}"
        return
    sign = 1 if gate.better == "higher" else -1
    value, baseline = metrics[f"candidate_{gate.metric}"], metrics[f"baseline_{gate.metric}"]
    champion = metrics[f"champion_{gate.metric}"] if has_champion else value
    if sign * (value - champion) < -gate.margin:
        yield f"{gate.metric} {value:.6g} is more than {gate.margin:g} worse than the champion's {champion:.6g}"
    if sign * (value - baseline) <= 0:
        yield f"{gate.metric} {value:.6g} is not better than the baseline's {baseline:.6g}"
