"""The receipts that are reproduced together: that of a run or of a model, and that of the gate's run on it.

A policy that asks for reproductions and for a gate asks that both runs be reproduced.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.model_sections import Promotion
from samebook.models import gate_run, lookup
from samebook.records import receipt, run_folder
from samebook.records.receipt import Json
from samebook.records.signing import SignedFile


def receipts(workspace: Workspace, name: str) -> list[Path]:
    """The path of the receipt that `name` stands for, then those of the gates' runs on it.

    A promoted model names its gate's run. Of a run it is the newest run of each gate that counts by its receipt, where
    a committed policy asks for reproductions and runs/ has one. Raises what `lookup.receipt_path` raises.
    """
    path, bundle = lookup.receipt_path(workspace, name), lookup.promoted(workspace, name)
    if bundle is None:
        return list(dict.fromkeys([path, *_gates(workspace, receipt.read(path))]))
    gate = bundle.promoted.gate
    gates = [lookup.stored_receipt(workspace, gate.run, gate.receipt, f"the gate of model {name}")] if gate else []
    return [path, *gates]


def _gates(workspace: Workspace, candidate: Json) -> Iterator[Path]:
    """The receipt of the newest run on this candidate of each policy's gate."""
    for env in settings.names(workspace):
        with suppress(UsageError):  # a policy that can't be read lets no model pass
            policy = settings.committed_promotion(workspace, env)
            if policy.reproduced and (path := _gate(workspace, policy, candidate)):
                yield path


def _gate(workspace: Workspace, policy: Promotion, candidate: Json) -> Path | None:
    unsigned = policy.model_copy(update={"signed": False})  # who has signed it is the promotion's question
    for run, statement in gate_run.comparisons(workspace, policy.gate, candidate):
        path = run / run_folder.RECEIPT
        if not gate_run.receipt_problem(unsigned, SignedFile.read(path), statement, candidate, {}):
            return path
    return None
