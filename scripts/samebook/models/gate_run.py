"""The gate between a candidate and the champion: the run that compares the two, and the verdict on its metrics.

The gate's notebook takes the parameters `candidate` and `champion`, scores both on the candidate's holdout, and logs
`candidate_<metric>`, `champion_<metric>` where there is one, and `baseline_<metric>`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from samebook.core import git, head, subcommand
from samebook.core.digest import sha256
from samebook.core.errors import PolicyRefused
from samebook.core.workspace import Workspace
from samebook.environment.model_sections import Gate, Promotion
from samebook.models import build, bundle
from samebook.records import evidence, receipt, run_folder, signing
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json
from samebook.records.signing import Purpose, SignedFile, TrustedKey

# The folders with the code that a comparison depends on.
CODE = ("notebooks", "scripts", "environments")

CHANGED = "it ran on changes that are not committed"

type Metrics = dict[str, float | int]


def find_comparison(
    workspace: Workspace, policy: Promotion, candidate: Json, champion: bundle.Bundle | None
) -> bundle.Gate | None:
    """The newest comparison of this candidate with this champion that counts; None where there is none yet."""
    for run, statement in comparisons(workspace, policy.gate, candidate):
        if is_against(statement, champion) and not _problem(workspace, policy, run, candidate):
            return _gate(run / run_folder.RECEIPT)
    return None


def _gate(path: Path) -> bundle.Gate:
    """A comparison as a bundle names it, from its receipt and the files beside it."""
    metrics: Metrics = json.loads((path.parent / run_folder.METRICS).read_text())
    digests, reproductions = build.statement_digests(path), build.reproductions(path)
    fields = {"run": path.parent.name, "receipt": digests.pop("sha256"), "metrics": metrics, **digests}
    return bundle.Gate.model_validate(fields | ({"reproductions": reproductions} if reproductions else {}))


def newest_problem(workspace: Workspace, policy: Promotion, candidate: Json) -> str:
    """The reason why the newest comparison of this candidate does not count; empty where there is no such reason."""
    run = next((run for run, _ in comparisons(workspace, policy.gate, candidate)), None)
    problem = _problem(workspace, policy, run, candidate) if run else ""
    return f"; {run.name} doesn't count: {problem}" if run and problem else ""


def comparisons(workspace: Workspace, gate: Gate | None, candidate: Json) -> Iterator[tuple[Path, Json]]:
    """The finished runs of the gate's notebook that have read files of this candidate, newest first, with receipts."""
    for run in run_folder.finished_runs(workspace, gate.notebook) if gate else ():
        statement = receipt.read(run / run_folder.RECEIPT)
        if _has_read(statement, candidate):
            yield run, statement


def _has_read(statement: Json, candidate: Json) -> bool:
    """Whether a run has read files of this candidate as its candidate, each under its own name."""
    files = _files_read(statement, "candidate")
    return bool(files) and files.items() <= receipt.subject_digests(candidate).items()


def is_against(statement: Json, champion: bundle.Bundle | None) -> bool:
    """Whether a run has compared with this champion, or None for none: with its bundle, and with no other files."""
    champions = {sha256(champion.content())} if champion else set[str]()
    return champion_digests(statement) == champions and _has_read_champion(statement, champion)


def _has_read_champion(statement: Json, champion: bundle.Bundle | None) -> bool:
    """Whether each file that a run has read as its champion is the champion's of that name."""
    digests = {name: artifact.sha256 for name, artifact in champion.artifacts.items()} if champion else {}
    return _files_read(statement, "champion").items() <= digests.items()


def _files_read(statement: Json, parameter: str) -> dict[str, str]:
    """The sha256 of each file that a run has read of the rival that a parameter names, by its name as a subject.

    A run of a receipt reads the bytes that the receipt has for a name, whosever they are.
    """
    prefix = f"{receipt.external_parameters(statement)['parameters'].get(parameter)}/"
    inputs = receipt.inputs(statement).items()
    return {f"outputs/{name.removeprefix(prefix)}": digest for name, digest in inputs if name.startswith(prefix)}


def champion_digests(statement: Json) -> set[str]:
    """The sha256 of each bundle that a comparison has read."""
    return {digest for name, digest in receipt.inputs(statement).items() if Label.parse(name).kind is Kind.BUNDLE}


def _problem(workspace: Workspace, policy: Promotion, run: Path, candidate: Json) -> str:
    """The reason why a run of the gate does not count here; empty where it does."""
    path = run / run_folder.RECEIPT
    keys = signing.trusted_keys(workspace) if policy.signed else {}
    statement = receipt.read(path)
    if problem := receipt_problem(policy, SignedFile.read(path), statement, candidate, keys):
        return problem
    if run.name != (name := statement["predicate"]["runDetails"]["metadata"]["invocationId"]):
        return f"its receipt is that of run {name}"
    if _is_code_changed(run, statement):
        return CHANGED
    commit = receipt.commit_name(statement)
    if not git.is_ancestor(workspace.root, commit):
        return f"its commit {commit[:12]} is not in this branch"
    if folder := next((folder for folder in CODE if not head.has_same(workspace.root, commit, folder)), ""):
        return f"{folder}/ has changed since its commit {commit[:12]}"
    return "; ".join(evidence.problems(evidence.file_states(workspace, path, statement)))


def _is_code_changed(run: Path, statement: Json) -> bool:
    """Whether a run may have had other code than its commit: it has changes there, or their patch is not to be had."""
    annotations = (receipt.dependency(statement, receipt.COMMIT) or {}).get("annotations", {})
    if not annotations.get("dirty", True):
        return False
    digest, path = annotations.get("patch"), run / run_folder.PATCH
    if not digest or not path.is_file() or sha256(path) != digest:
        return True
    # Git quotes a path with a letter that is not ASCII.
    starts = tuple(f"diff --git {quote}a/{folder}/".encode() for folder in CODE for quote in ("", '"'))
    return any(line.startswith(starts) for line in path.read_bytes().splitlines())


def receipt_problem(
    policy: Promotion, file: SignedFile, statement: Json, candidate: Json, keys: Mapping[str, TrustedKey]
) -> str:
    """The reason in its receipt alone why a run of the gate does not count; empty where there is none."""
    external, gate = receipt.external_parameters(statement), policy.gate
    commit = receipt.dependency(statement, receipt.COMMIT) or {}
    run = candidate["predicate"]["runDetails"]["metadata"]["invocationId"]
    parameters = external["parameters"]
    if gate is None or external["notebook"] != f"notebooks/{gate.notebook}.ipynb":
        return f"it is a run of {external['notebook']}"
    if policy.needs_receipt and commit.get("annotations", {}).get("dirty", True):
        return CHANGED
    if statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("drift"):
        return "it ran in an environment that is not the lock's"
    if receipt.byproduct(statement, receipt.PINNED):
        return "it is a run of a receipt, whose inputs may be any that the receipt names"
    if parameters.get("candidate") != run or parameters.keys() - {"candidate", "champion"}:
        return f"its parameters are {json.dumps(parameters)}; expected candidate={run} and the champion alone"
    if not _has_read(statement, candidate):
        return "it has not read files of this candidate, each under its own name"
    if run_folder.METRICS not in receipt.subject_digests(statement):
        return f"its receipt does not name {run_folder.METRICS}"
    if policy.signed:
        try:
            signing.verify(file, keys, Purpose.RUNS)
        except PolicyRefused as error:
            return str(error)
    return ""


def run_comparison(workspace: Workspace, gate: Gate, candidate: Path, champion: str, env: str) -> None:
    """Run the gate's notebook on a candidate's run and the champion that a reference names; "" for none."""
    values = {"candidate": candidate.name, **({"champion": champion} if champion else {})}
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
