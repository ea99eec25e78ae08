"""The gate between a candidate and the champion: which run compared the two, and what its metrics say.

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

# Where code is that a comparison depends on.
CODE = (b"notebooks/", b"scripts/", b"environments/")

type Metrics = dict[str, float | int]


def find_comparison(
    workspace: Workspace, gate: Gate, candidate: Json, champion: bundle.Bundle | None
) -> bundle.Gate | None:
    """The newest comparison of this very candidate with this very champion; None where there is none yet.

    One whose files were changed since, or that ran on code that is not committed, is none.
    """
    for run in run_folder.finished_runs(workspace, gate.notebook):
        statement = receipt.read(run / run_folder.RECEIPT)
        if _is_of(statement, candidate, champion) and _is_sound(workspace, run, statement):
            metrics: Metrics = json.loads((run / run_folder.METRICS).read_text())
            return bundle.Gate(run=run.name, receipt=sha256(run / run_folder.RECEIPT), metrics=metrics)
    return None


def _is_of(statement: Json, candidate: Json, champion: bundle.Bundle | None) -> bool:
    """Whether what a run read as its candidate is this one, and as its champion this one, or none."""
    items = receipt.inputs(statement)
    label = f"{receipt.external_parameters(statement)['parameters'].get('candidate')}/"
    read = {digest for name, digest in items.items() if name.startswith(label)}
    rivals = {digest for name, digest in items.items() if Label.parse(name).kind is Kind.BUNDLE}
    right = {sha256(champion.content())} if champion else set()
    return bool(read) and read <= set(receipt.subject_digests(candidate).values()) and rivals == right


def _is_sound(workspace: Workspace, run: Path, statement: Json) -> bool:
    """Whether a comparison can be believed: its files are its receipt's, its code and environment the commit's."""
    path, patch = run / run_folder.RECEIPT, run / run_folder.PATCH
    changed = patch.read_bytes().splitlines() if patch.is_file() else []
    loose = [line for line in changed if line.startswith(tuple(b"diff --git a/" + folder for folder in CODE))]
    drift = statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("drift")
    return not loose and not drift and not evidence.problems(evidence.file_states(workspace, path, statement))


def run_comparison(workspace: Workspace, gate: Gate, candidate: Path, champion: bundle.Bundle | None, env: str) -> None:
    """Run the gate's notebook on a candidate's run."""
    values = {"candidate": candidate.name, **({"champion": champion.name} if champion else {})}
    subcommand.run_notebook(workspace, gate.notebook, values, env)


def shortfalls(gate: Gate, metrics: Metrics, *, has_champion: bool) -> Iterator[str]:
    """How the candidate falls behind: by more than the margin behind the champion, or not ahead of the baseline."""
    needed = ("candidate", "baseline", *(("champion",) if has_champion else ()))
    if missing := [f"{who}_{gate.metric}" for who in needed if f"{who}_{gate.metric}" not in metrics]:
        yield f"the notebook {gate.notebook} did not log {', '.join(missing)}"
        return
    sign = 1 if gate.better == "higher" else -1
    value, baseline = metrics[f"candidate_{gate.metric}"], metrics[f"baseline_{gate.metric}"]
    champion = metrics[f"champion_{gate.metric}"] if has_champion else value
    if sign * (value - champion) < -gate.margin:
        yield f"{gate.metric} {value:.6g} is more than {gate.margin:g} worse than the champion's {champion:.6g}"
    if sign * (value - baseline) <= 0:
        yield f"{gate.metric} {value:.6g} is not better than the baseline's {baseline:.6g}"
