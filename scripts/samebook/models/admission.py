"""The admission of a promoted model to use: its bundle against its receipt, and both against the policy at HEAD.

A bundle is one's own word: whoever can commit can write one. So each condition is checked on the statements that the
bundle names: the receipt, the gate's receipt, the attestations and their signatures.
"""

from samebook.core import git, head
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import PolicyRefused, UsageError
from samebook.core.text import word
from samebook.core.workspace import Workspace
from samebook.environment.model_sections import Promotion
from samebook.models import arrival, build, gate_run, model_signature, policy, reproducers
from samebook.models.bundle import Bundle, Reproduction
from samebook.models.reproducers import SignedRun
from samebook.records import attestations, data_manifest, receipt, run_folder, signing
from samebook.records.receipt import Json
from samebook.records.signing import Purpose, SignedFile
from samebook.store import objects

SOURCE = ("notebook", "parameters", "env")


def check(
    workspace: Workspace, conditions: Promotion, bundle: Bundle, env: str, ref: str = "", judge: str | None = None
) -> None:
    """Raise PolicyRefused where a model does not meet the policy of `env`, or a statement that shows it is not here.

    `ref` is the branch, tag or commit that the model is taken from; by default the work tree. `judge` is the one whose
    gates and base images count: by default the same, in a review another, as nobody has asked for what is in `ref`.

    Raises UsageError where the bundle differs from its receipt. A policy that another machine's word has no part in
    (clean_commit and gate alone) needs no receipt: git alone is enough for a model that is made again here.
    """
    store, signature = objects.local_store(workspace), bundle.promoted.signature
    if conditions.signed and signature and not store.has(signature):
        raise _missing(bundle, "the signature of its folder", env)
    file = _signed_file(workspace, "receipt.json", bundle.receipt.sha256, bundle.receipt.envelope)
    if file is None:
        if conditions.needs_receipt:
            raise _missing(bundle, "its receipt", env)
        unmet = _claimed(bundle, conditions)
    else:
        statement = check_receipt(file.content, bundle)
        _check_lists(workspace, statement, bundle)
        files = _attestations(workspace, bundle, bundle.reproductions)
        keys = signing.trusted_keys(workspace) if conditions.signed else {}
        run = SignedRun(file, statement, [attestation for attestation in files if attestation], keys)
        judge = ref if judge is None else judge
        place = (env, judge, ref)
        unmet = [*_unmet(workspace, run, conditions, env, judge), *_gate(workspace, conditions, bundle, run, place)]
        if conditions.signed and (finding := model_signature.problem(store, bundle, keys)):
            unmet.append(f"its folder is not signed by a trusted key: {finding}")
        if unmet and conditions.reproduced and None in files:
            raise _missing(bundle, "a reproduction of it", env)
    if unmet:
        findings, again = "; ".join(unmet), f"make promote RUN={word(bundle.receipt.run)} MODEL={bundle.name} ENV={env}"
        raise PolicyRefused(
            f"model {bundle.name} does not meet the policy of {env}: {findings}",
            mend="git fetch --unshallow" if arrival.CUT_OFF in findings else again,
        )
    if conditions.clean_commit and file:  # else the commit is the bundle's own word
        _check_past(workspace, bundle, env, ref)


def _check_past(workspace: Workspace, bundle: Bundle, env: str, ref: str) -> None:
    """Raise PolicyRefused where the commit of the model's run has left the past of HEAD, and of `ref`.

    A copy without a repository has no past.
    """
    root, commit = workspace.root, bundle.source.commit
    if head.is_repository(root) and not head.is_in_past(root, commit, ref):
        raise PolicyRefused(
            f"model {bundle.name} does not meet the policy of {env}: its commit {commit[:12]} is not in this branch, "
            "which was squashed, written anew or cut off since",
            mend="git fetch --unshallow" if git.is_shallow(root) else f"git merge {commit[:12]}",
        )


def _signed_file(workspace: Workspace, name: str, digest: str, envelope: str | None) -> SignedFile | None:
    """A statement from the store, with its envelope where the store has it; None where the statement is not here."""
    store = objects.local_store(workspace)
    try:
        content = store.get(digest)
        return SignedFile(name, content, store.get(envelope) if envelope else None) if content is not None else None
    except objects.DamagedObject:
        return None


def _attestations(workspace: Workspace, bundle: Bundle, reproductions: list[Reproduction]) -> list[SignedFile | None]:
    """The attestations that a bundle names; None for one that is not here.

    Raises UsageError where the bundle says of one what it does not say itself.
    """
    files = [
        _signed_file(workspace, f"reproduction {number}", item.sha256, item.envelope)
        for number, item in enumerate(reproductions, 1)
    ]
    for file, item in zip(files, reproductions, strict=True):
        attestation = attestations.parse(file.content) if file else None
        if file and attestation and attestations.facts(attestation).items() - item.model_dump().items():
            raise UsageError(
                f"model {bundle.name} can't be trusted: {file.name} is not what its attestation says",
                mend=f"git stash push -- models/{bundle.name}.json",
            )
    return files


def _missing(bundle: Bundle, statement: str, env: str) -> PolicyRefused:
    return PolicyRefused(
        f"model {bundle.name}: {statement} is not here, and the policy of {env} is checked on it",
        mend=f"make pull ENV={env}",
    )


def _parse(content: bytes, name: str) -> Json:
    """The receipt of a finished run in bytes that may come from anybody. Raises UsageError for anything else."""
    statement = receipt.parse(content, name)
    try:
        build.environment(statement), statement["predicate"]["runDetails"]["builder"]["id"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{name} is not that of a finished run: {error} is missing or wrong", mend="make pull"
        ) from error
    return statement


def check_receipt(content: bytes, bundle: Bundle) -> Json:
    """The model's receipt. Raises UsageError where the bundle differs from it in any field that it has from there."""
    statement = _parse(content, f"the receipt of model {bundle.name}")
    commit = receipt.dependency(statement, receipt.COMMIT) or {"digest": {}}
    annotations, details = commit.get("annotations", {}), statement["predicate"]["runDetails"]
    matches = {
        "files": receipt.subject_digests(statement) == {name: file.sha256 for name, file in bundle.artifacts.items()},
        "commit": commit["digest"].get("gitCommit") == bundle.source.commit,
        "dirtiness": (annotations.get("dirty", True), annotations.get("patch"))
        == (bundle.source.dirty, bundle.source.patch),
        "source": receipt.external_parameters(statement) == {key: getattr(bundle.source, key) for key in SOURCE},
        "inputs": _inputs(statement) == _inputs(bundle.plan()),
        "sources of inputs": build.other_inputs(statement) == bundle.inputs,
        "byproducts": build.byproducts(statement) == {name: file.sha256 for name, file in bundle.byproducts.items()},
        "environment": build.environment(statement) == bundle.environment,
        "builder": details["builder"]["id"] == bundle.receipt.builder,
        "run": details["metadata"]["invocationId"] == bundle.receipt.run,
        "end": details["metadata"]["finishedOn"] == bundle.receipt.finished,
    }
    if mismatches := [name for name, is_match in matches.items() if not is_match]:
        raise UsageError(
            f"model {bundle.name} can't be trusted: its receipt has other {', '.join(mismatches)}",
            mend=f"git stash push -- models/{bundle.name}.json",
        )
    return statement


def _check_lists(workspace: Workspace, statement: Json, bundle: Bundle) -> None:
    """Raise UsageError where a receipt is wrong about several days whose list, and whose files, are here."""
    states = data_manifest.states(objects.local_store(workspace), statement, lambda _: None)
    if problem := next((f"{name}: {problem}" for name, problem in states.items() if problem), ""):
        raise UsageError(
            f"model {bundle.name} can't be trusted: its receipt is wrong about {problem}",
            mend=f"git stash push -- models/{bundle.name}.json",
        )


def _inputs(statement: Json) -> dict[str, str]:
    """The inputs of a receipt of either form, or of a plan, in the form of which equal ones are equal."""
    return data_manifest.compacted(receipt.inputs(statement))


def _claimed(bundle: Bundle, conditions: Promotion) -> list[str]:
    """The unmet conditions by the bundle's own word."""
    unmet = {
        "it ran on changes that are not committed": conditions.clean_commit and bundle.source.dirty,
        "no gate has compared it": conditions.gate and not bundle.promoted.gate,
    }
    return [finding for finding, is_unmet in unmet.items() if is_unmet]


def _unmet(workspace: Workspace, run: SignedRun, conditions: Promotion, env: str, ref: str) -> list[str]:
    """The unmet conditions on the receipt and on the attestations."""
    commit = receipt.dependency(run.statement, receipt.COMMIT) or {}
    drift = policy.drift_problem(run.statement)
    unpinned = policy.image_problem(workspace, run.statement, env, ref) if conditions.pinned_image else ""
    shortfall = reproducers.shortfall(run, conditions)
    signature = reproducers.signature_problem(run.receipt, run.keys, Purpose.RUNS) if conditions.signed else ""
    unmet = {
        "it ran on changes that are not committed": conditions.clean_commit
        and commit.get("annotations", {}).get("dirty", True),
        drift: drift,
        unpinned: unpinned,
        f"nobody but its author's machine has reproduced it: {shortfall}": shortfall,
        f"it is not signed by a trusted key: {signature}": signature,
    }
    return [finding for finding, is_unmet in unmet.items() if finding and is_unmet]


def _gate(
    workspace: Workspace, conditions: Promotion, bundle: Bundle, run: SignedRun, place: tuple[str, str, str]
) -> list[str]:
    """The reasons why the gate that the bundle names has not let this model pass, by this policy.

    `place` has the environment, the branch whose gates count, and the one that the model is taken from.
    """
    env, judge, ref = place
    if conditions.gate is None:
        return []
    gate = bundle.promoted.gate
    if gate is None:
        return ["no gate has compared it"]
    file = _signed_file(workspace, "the gate's receipt.json", gate.receipt, gate.envelope)
    if file is None:
        if conditions.needs_receipt:
            raise _missing(bundle, "the gate's receipt", env)
        return []
    statement = _parse(file.content, f"the gate's receipt of model {bundle.name}")
    problem = gate_run.receipt_problem(conditions, file, statement, run.statement, run.keys)
    if not problem and gate.run != (name := statement["predicate"]["runDetails"]["metadata"]["invocationId"]):
        problem = f"its receipt is that of run {name}"
    comparison = arrival.Comparison(workspace, f"notebooks/{conditions.gate.notebook}.ipynb", statement, bundle)
    if problem := problem or arrival.problem(comparison, judge, ref):
        return [f"its gate {gate.run} doesn't count: {problem}"]
    if receipt.subject_digests(statement).get(run_folder.METRICS) != sha256(json_bytes(gate.metrics)):
        return [f"its gate {gate.run} has other metrics than the bundle says"]
    has_champion = bool(gate_run.champion_digests(statement))
    shortfalls = list(gate_run.shortfalls(conditions.gate, gate.metrics, has_champion=has_champion))
    files = _attestations(workspace, bundle, gate.reproductions)
    shortfall = reproducers.shortfall(
        SignedRun(file, statement, [item for item in files if item], run.keys, reproducers.GATE), conditions
    )
    if shortfall and None in files:
        raise _missing(bundle, "a reproduction of its gate's run", env)
    return [*shortfalls, *([shortfall] if shortfall else [])]
