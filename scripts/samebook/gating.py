"""The gate between a candidate and the champion: which run compared the two, and what its metrics say.

The gate's notebook takes the parameters `candidate` and `champion`, scores both on the candidate's holdout, and logs
`candidate_<metric>`, `champion_<metric>` where there is one, and `baseline_<metric>`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from samebook import bundle, bundles, nested, receipt, runfolder, settings
from samebook.digest import sha256
from samebook.receipt import Json
from samebook.workspace import Workspace

type Metrics = dict[str, float | int]


def compared(
    here: Workspace, gate: settings.Gate, candidate: Json, champion: bundle.Bundle | None
) -> bundle.Gate | None:
    """The newest comparison of this very candidate with this very champion; None where there is none yet."""
    for run in runfolder.finished(here, gate.notebook):
        statement = receipt.read(run / runfolder.RECEIPT)
        if _is_of(statement, candidate, champion):
            metrics: Metrics = json.loads((run / runfolder.METRICS).read_text())
            return bundle.Gate(run=run.name, receipt=sha256(run / runfolder.RECEIPT), metrics=metrics)
    return None


def _is_of(statement: Json, candidate: Json, champion: bundle.Bundle | None) -> bool:
    """Whether a run read files of this candidate, and of this champion, or of none where there is none."""
    outputs = {digest for name, digest in receipt.subject_digests(candidate).items() if name.startswith("outputs/")}
    items = receipt.inputs(statement)
    rivals = {digest for name, digest in items.items() if name.startswith(bundles.LABEL)}
    right = {sha256(champion.content())} if champion else set()
    return bool(outputs & set(items.values())) and rivals == right


def compare(here: Workspace, gate: settings.Gate, candidate: Path, champion: bundle.Bundle | None, env: str) -> None:
    """Run the gate's notebook on a candidate's run."""
    values = {"candidate": candidate.name, "champion": champion.name if champion else ""}
    nested.run_notebook(here, gate.notebook, values, env)


def behind(gate: settings.Gate, metrics: Metrics) -> Iterator[str]:
    """How the candidate falls behind: by more than the margin behind the champion, or not ahead of the baseline."""
    sign = 1 if gate.better == "higher" else -1
    value = metrics.get(f"candidate_{gate.metric}")
    if value is None:
        yield f"{gate.notebook} did not log candidate_{gate.metric}"
        return
    champion, baseline = (metrics.get(f"{who}_{gate.metric}") for who in ("champion", "baseline"))
    if champion is not None and sign * (value - champion) < -gate.margin:
        yield f"{gate.metric} {value:.6g} is more than {gate.margin:g} worse than the champion's {champion:.6g}"
    if baseline is not None and sign * (value - baseline) <= 0:
        yield f"{gate.metric} {value:.6g} is not better than the baseline's {baseline:.6g}"
