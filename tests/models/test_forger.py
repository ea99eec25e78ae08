"""Cheats against the policy: of an author who wants a model promoted, and of a stranger who sends a bundle."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import promoting
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from test_signing import key
from tiny import Tiny, git

from samebook.core import git as program
from samebook.core import head
from samebook.core.digest import sha256
from samebook.core.errors import PolicyRefused, SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.model_sections import Promotion
from samebook.models import admission, bundle, gate_run, lookup, policy
from samebook.records import receipt, signing
from samebook.records.signing import Purpose
from samebook.store import objects
from samebook.verbs import promote as promoting_verb
from samebook.verbs.promote import PromoteRequest

pytestmark = [pytest.mark.host, pytest.mark.forger]
PROD = "promotion: {reproduced: true, signed: true, gate: {notebook: gate, metric: auc, margin: 0.05}}\n"
OWNERS = """
ada: {keys: [ada, laptop], signs: [runs, reproductions]}
ben: {keys: [ben], signs: [reproductions]}
cleo: {keys: [cleo], signs: [runs, reproductions]}
dan: {keys: [dan], signs: [releases]}
"""
TRUSTED = Path("environments") / "trusted-keys"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository that trusts five keys of four owners, with a run and its gate, both signed by ada."""
    tiny = promoting.create(tmp_path_factory.mktemp("forger") / "workspace")
    (tiny.root / TRUSTED).mkdir()
    for name in ("ada", "laptop", "ben", "cleo", "dan"):
        (tiny.root / TRUSTED / f"{name}.pem").write_bytes(key(tiny.root.parent / f"{name}.pem"))
    key(tiny.root.parent / "stranger.pem")
    (tiny.root / TRUSTED / "owners.yml").write_text(OWNERS)
    (tiny.root / "environments" / "prod.yml").write_text(PROD)
    commit(tiny)
    signed = {"SIGNING_KEY": str(tiny.root.parent / "ada.pem")}
    assert tiny.samebook("run", "train", **signed).code == 0
    assert tiny.samebook("run", "gate", "-p", f"candidate={tiny.last.name}", **signed).code == 0
    return tiny


@pytest.fixture
def tiny(site: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A copy of the site, with this process in it."""
    for name in ("ada", "laptop", "ben", "cleo", "dan", "stranger"):
        shutil.copyfile(site.root.parent / f"{name}.pem", tmp_path / f"{name}.pem")
    copy = promoting.copy(site, tmp_path / "workspace")
    for name in [name for name in os.environ if name.startswith("SAMEBOOK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(copy.root))
    monkeypatch.delenv("SIGNING_KEY", raising=False)
    return copy


def commit(tiny: Tiny) -> None:
    git(tiny, "add", "--all", "--force", "environments")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "more")


def run_of(tiny: Tiny, notebook: str = "train") -> Path:
    return next(tiny.root.glob(f"runs/*-{notebook}-*")) / "receipt.json"


def sign(tiny: Tiny, path: Path, name: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNING_KEY", str(tiny.root.parent / f"{name}.pem"))
        signing.sign(path)
    return path


def attest(tiny: Tiny, signer: str = "", **options: Any) -> Path:
    """An attestation of the run, IDENTICAL and by another builder where nothing else is said, signed by `signer`."""
    path = promoting.attest(tiny, 3, **options)
    return sign(tiny, path, signer) if signer else path


def edit(path: Path, change: Callable[[Any], None]) -> None:
    statement = json.loads(path.read_text())
    change(statement)
    path.write_text(json.dumps(statement))


def findings(tiny: Tiny, conditions: Promotion | None = None) -> str:
    """The conditions that the run does not meet for prod; "" where it may be promoted."""
    workspace, path = Workspace(tiny.root), run_of(tiny)
    conditions = conditions or settings.committed_promotion(workspace, "prod")
    statement = receipt.read(path)
    gate = gate_run.find_comparison(workspace, conditions, statement, None)
    files = policy.find_attestations(path)
    candidate = policy.Candidate(workspace, "delay", path, statement, conditions, files, None, gate)
    return "\n".join(unmet.finding for unmet in policy.unmet_conditions(candidate))


def promote(tiny: Tiny) -> Path:
    """The bundle's path, after an honest promotion."""
    attest(tiny, "ben")
    request = PromoteRequest(run_of(tiny).parent.name, "delay", "prod")
    promoting_verb.promote(request, lambda _: None)
    return tiny.root / "models" / "delay.json"


def admit(tiny: Tiny, env: str = "prod") -> None:
    """Check the promoted model as a run and the API do."""
    workspace = Workspace(tiny.root)
    admission.check(workspace, settings.committed_promotion(workspace, env), lookup.read(workspace, "delay"), env)


def reseal(tiny: Tiny, **changes: Any) -> None:
    """Commit the bundle with other fields, sealed again, as anybody can."""
    path = tiny.root / "models" / "delay.json"
    content = bundle.parse(path.read_bytes(), "delay").model_dump(mode="json", exclude_unset=True)
    path.write_bytes(bundle.Bundle.model_validate(content | changes).sealed().content())
    commit(tiny)


def fields(tiny: Tiny) -> dict[str, Any]:
    return json.loads((tiny.root / "models" / "delay.json").read_text())


def stored(tiny: Tiny, content: bytes) -> str:
    return objects.local_store(Workspace(tiny.root)).put(content)


def test_honest_work_passes(tiny: Tiny) -> None:
    """A signed run, reproduced by another owner on another builder, passes, and its model is admitted."""
    promote(tiny)
    assert findings(tiny) == ""
    admit(tiny)


# The policy.


@pytest.mark.parametrize(
    "name", ["SAMEBOOK_PROMOTION__REPRODUCED", "samebook_promotion__reproduced", "SAMEBOOK_Promotion"]
)
def test_variable(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A variable that would change the policy is an error, in any letter case."""
    monkeypatch.setenv(name, "false")
    with pytest.raises(UsageError, match="would change the policy"):
        settings.committed_promotion(Workspace(tiny.root), "prod")


WEAK = "promotion: {clean_commit: false}\n"


def edited(tiny: Tiny) -> None:
    (tiny.root / "environments" / "prod.yml").write_text(WEAK)


def staged(tiny: Tiny) -> None:
    edited(tiny)
    git(tiny, "add", "--all")


def assumed(tiny: Tiny) -> None:
    git(tiny, "update-index", "--assume-unchanged", "environments/prod.yml")
    edited(tiny)


def skipped(tiny: Tiny) -> None:
    git(tiny, "update-index", "--skip-worktree", "environments/prod.yml")
    edited(tiny)


def replaced(tiny: Tiny) -> None:
    edited(tiny)
    blob = git(tiny, "hash-object", "-w", "environments/prod.yml")
    git(tiny, "replace", git(tiny, "rev-parse", "HEAD:environments/prod.yml"), blob)


def shadowed(tiny: Tiny) -> None:
    """A branch that is called HEAD, with a weak policy."""
    git(tiny, "switch", "--quiet", "--create", "weak")
    edited(tiny)
    commit(tiny)
    git(tiny, "switch", "--quiet", "main")
    git(tiny, "update-ref", "refs/heads/HEAD", "weak")


POLICY_CHEATS = [edited, staged, assumed, skipped, replaced, shadowed]


@pytest.mark.parametrize("cheat", POLICY_CHEATS)
@pytest.mark.parametrize("has_git", [True, False], ids=["git", "no git"])
def test_policy_is_of_head(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, cheat: Callable[[Tiny], None], *, has_git: bool
) -> None:
    """No edit, flag in the index, replaced object or branch weakens the policy, with git's program and without."""
    cheat(tiny)
    if not has_git:
        monkeypatch.setattr(head.shutil, "which", lambda _: None)
    conditions = settings.committed_promotion(Workspace(tiny.root), "prod")
    assert (conditions.reproducers, conditions.signed, bool(conditions.gate)) == (1, True, True)


@pytest.mark.parametrize("cheat", [edited, assumed])
def test_edited_policy_is_told(tiny: Tiny, cheat: Callable[[Tiny], None]) -> None:
    """A promotion beside an edit of the settings is refused, however the edit is hidden from git."""
    cheat(tiny)
    with pytest.raises(UsageError, match="changes that are not committed"):
        promoting_verb.promote(PromoteRequest(run_of(tiny).parent.name, "delay", "prod"), lambda _: None)


def test_ignored_settings(tiny: Tiny) -> None:
    """An environment whose settings git ignores has no policy."""
    (tiny.root / ".git" / "info" / "exclude").write_text("/environments/easy.yml\n")
    (tiny.root / "environments" / "easy.yml").write_text("promotion: {clean_commit: false}\n")
    with pytest.raises(UsageError, match=r"easy\.yml is not committed"):
        settings.committed_promotion(Workspace(tiny.root), "easy")


# The keys.


def test_uncommitted_key(tiny: Tiny) -> None:
    """A key that lies in the tree, or in the index, and not at HEAD, is not trusted."""
    private = load_pem_private_key((tiny.root.parent / "stranger.pem").read_bytes(), None)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tiny.root / TRUSTED / "eve.pem").write_bytes(public)
    git(tiny, "add", "--all")
    attest(tiny, "stranger")
    assert "an unknown key, or a wrong signature" in findings(tiny)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda keys: shutil.copyfile(keys / "ada.pem", keys / "zoe.pem"), "are the same key"),
        (lambda keys: key_into(keys / "zoe.pem"), "zoe.pem has no owner"),
        (lambda keys: more(keys, "zoe: {keys: [ben], signs: [runs]}"), "belongs to ben and to zoe"),
        (lambda keys: more(keys, "zoe: {keys: [ben], signs: [everything]}"), "expected zoe: {keys: "),
        (lambda keys: more(keys, "ada: {keys: [ben], signs: [runs]}"), "is there already"),
    ],
    ids=["same key", "no owner", "two owners", "no purpose", "owner twice"],
)
def test_keys_are_of_one_owner(tiny: Tiny, change: Callable[[Path], None], message: str) -> None:
    """A key of two names, of no owner or of two owners is an error, and not one person more."""
    change(tiny.root / TRUSTED)
    commit(tiny)
    with pytest.raises(UsageError, match=message):
        signing.trusted_keys(Workspace(tiny.root))


def key_into(path: Path) -> None:
    path.write_bytes(key(path.with_suffix(".private")))


def more(keys: Path, line: str) -> None:
    (keys / "owners.yml").write_text(f"{OWNERS}{line}\n")


def test_keys_without_owners_file(tiny: Tiny) -> None:
    """Without owners.yml each key is an owner of its own, who may sign all: as before."""
    git(tiny, "rm", "--quiet", str(TRUSTED / "owners.yml"))
    commit(tiny)
    keys = signing.trusted_keys(Workspace(tiny.root))
    assert {key.owner for key in keys.values()} == {"ada", "laptop", "ben", "cleo", "dan"}
    assert keys["dan"].purposes == frozenset(Purpose)


# The reproductions.


@pytest.mark.parametrize(
    ("signer", "options", "message"),
    [
        ("ada", {}, "signed by the same key"),
        ("laptop", {}, "signed by the same key's owner, ada"),
        ("dan", {}, "dan, who may not sign reproductions"),
        ("stranger", {}, "an unknown key, or a wrong signature"),
        ("", {}, "carries no signature"),
        ("ben", {"verdict": "DIFFERENT"}, "never IDENTICAL"),
        ("ben", {"verdict": "EQUIVALENT"}, "never IDENTICAL"),
        ("ben", {"builder": "author"}, "who made it"),
    ],
)
def test_lone_attestation(tiny: Tiny, signer: str, options: dict[str, str], message: str) -> None:
    """An attestation by the author, in either name, by a stranger, or of another verdict, is not a reproduction."""
    if "builder" in options:
        details = json.loads(run_of(tiny).read_text())["predicate"]["runDetails"]
        options = {"builder": details["builder"]["id"]}
    attest(tiny, signer, **options)
    assert message in findings(tiny)


def test_two_halves(tiny: Tiny) -> None:
    """A colleague's signed DIFFERENT and the author's own IDENTICAL are not one signed IDENTICAL."""
    attest(tiny, "ben", verdict="DIFFERENT")
    attest(tiny, "ada")
    attest(tiny)
    assert "it was reproduced" in findings(tiny)


def test_trials_beside_do_not_block(tiny: Tiny) -> None:
    """Unsigned, failed, broken and foreign attestations beside a good one block nothing."""
    attest(tiny)
    attest(tiny, "stranger", verdict="DIFFERENT")
    broken = attest(tiny, "cleo")
    signing.envelope_path(broken).write_text("[]")
    attest(tiny, "ben")
    assert findings(tiny) == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item["subject"].pop(),
        lambda item: item["predicate"]["verdicts"].popitem(),
        lambda item: item["subject"][0]["digest"].update(sha256="0" * 64),
        lambda item: item["predicate"]["receipt"].update(sha256="0" * 64),
        lambda item: item["predicate"].update(verdict="DIFFERENT"),
    ],
    ids=["subject", "verdict", "digest", "receipt", "overall"],
)
def test_partial_attestation(tiny: Tiny, change: Callable[[Any], None]) -> None:
    """An attestation of fewer or of other results counts for nothing, though it is signed."""
    path = attest(tiny)
    edit(path, change)
    sign(tiny, path, "ben")
    assert "it was reproduced" in findings(tiny)


def test_edited_after_signing(tiny: Tiny) -> None:
    """An attestation that was edited after it was signed counts for nothing."""
    path = attest(tiny, "ben", verdict="DIFFERENT")
    path.write_text(path.read_text().replace("DIFFERENT", "IDENTICAL"))
    assert "is not what was signed" in findings(tiny)


def envelope_of_run(tiny: Tiny) -> Path:
    """An attestation with the envelope of the receipt beside it."""
    path = attest(tiny)
    shutil.copyfile(signing.envelope_path(run_of(tiny)), signing.envelope_path(path))
    return path


def test_borrowed_envelope(tiny: Tiny) -> None:
    """An envelope of another statement signs nothing."""
    envelope_of_run(tiny)
    assert "is not what was signed" in findings(tiny)


def by(count: int, *, signed: bool = True) -> Promotion:
    return Promotion.model_validate({"reproduced": {"by": count}, "signed": signed})


def cosign(tiny: Tiny, path: Path, names: tuple[str, ...]) -> None:
    """Put the signatures of several keys into one envelope."""
    signatures: list[Any] = []
    for name in names:
        sign(tiny, path, name)
        signatures += json.loads(signing.envelope_path(path).read_text())["signatures"]
    edit(signing.envelope_path(path), lambda envelope: envelope.update(signatures=signatures))


def test_k_of_n(tiny: Tiny) -> None:
    """`by: 2` asks for two owners with a reproduction each: not one twice, nor two signatures on one file."""
    first = attest(tiny, "ben")
    assert "where 2 others are asked for" in findings(tiny, by(2))
    attest(tiny, "ben", builder="urn:third")
    assert "only by ben" in findings(tiny, by(2))
    cosign(tiny, first, ("ben", "cleo"))
    for path in run_of(tiny).parent.glob("reproduction-2.json*"):
        path.unlink()
    assert "where 2 others are asked for" in findings(tiny, by(2))
    attest(tiny, "cleo", builder="urn:third")
    assert findings(tiny, by(2)) == ""


def test_copied_attestation(tiny: Tiny) -> None:
    """The same attestation under two numbers, signed by two owners, is one reproduction."""
    first = attest(tiny, "ben")
    second = first.with_name("reproduction-2.json")
    shutil.copyfile(first, second)
    sign(tiny, second, "cleo")
    assert "where 2 others are asked for" in findings(tiny, by(2))


def test_k_of_n_builders(tiny: Tiny) -> None:
    """Without signatures `by: 2` counts builders, each once."""
    for builder, has_enough in (("urn:b", False), ("urn:b", False), ("urn:c", True)):
        attest(tiny, builder=builder)
        assert (findings(tiny, by(2, signed=False)) == "") is has_enough


@pytest.mark.parametrize("builder", ["urn:samebook:builder:container", "urn:samebook:builder:0123456789ab"])
def test_container_is_no_machine(tiny: Tiny, builder: str) -> None:
    """A container's id does not make one machine two."""
    attest(tiny, builder=builder)
    assert "is a container on some machine" in findings(tiny, by(1, signed=False))


# The run and the gate.


def resigned(tiny: Tiny, path: Path, change: Callable[[Any], None], name: str = "cleo") -> None:
    """Edit a receipt and sign it again with another trusted key."""
    edit(path, change)
    sign(tiny, path, name)


def commit_of(statement: Any) -> Any:
    return next(
        item for item in statement["predicate"]["buildDefinition"]["resolvedDependencies"] if item["name"] == "commit"
    )


def external(statement: Any) -> Any:
    return statement["predicate"]["buildDefinition"]["externalParameters"]


@pytest.mark.parametrize("name", ["ben", "dan", "stranger"])
def test_run_signed_by_another(tiny: Tiny, name: str) -> None:
    """A receipt counts as signed only by an owner who may sign runs."""
    attest(tiny, "cleo")
    sign(tiny, run_of(tiny), name)
    assert "its receipt is not signed by a trusted key" in findings(tiny)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: commit_of(item)["annotations"].update(dirty=True, patch="a" * 64), "not committed"),
        (lambda item: commit_of(item)["annotations"].pop("dirty"), "not committed"),
        (lambda item: external(item)["parameters"].update(draws=1), "the champion alone"),
        (lambda item: external(item)["parameters"].update(candidate="train"), "it was not compared"),
        (lambda item: external(item).update(notebook="notebooks/gate2.ipynb"), "it is a run of notebooks/gate2.ipynb"),
        (lambda item: commit_of(item)["digest"].update(gitCommit="e" * 40), "is not in this branch"),
        (
            lambda item: item["predicate"]["buildDefinition"]["internalParameters"].update(drift={"numpy": "2"}),
            "not the lock's",
        ),
        (lambda item: item["subject"][0]["digest"].update(sha256="0" * 64), "metrics.json: found sha256"),
    ],
    ids=["patch deleted", "no word", "parameters", "candidate", "notebook", "commit", "drift", "metrics"],
)
def test_gate_of_another_kind(tiny: Tiny, change: Callable[[Any], None], message: str) -> None:
    """A gate counts only clean, with its two parameters, at a commit in HEAD's past, with its own results."""
    attest(tiny, "ben")
    resigned(tiny, run_of(tiny, "gate"), change)
    assert message in findings(tiny)


def test_gate_edited_by_hand(tiny: Tiny) -> None:
    """A gate whose receipt was edited and not signed again, or was never signed, does not count."""
    attest(tiny, "ben")
    edit(run_of(tiny, "gate"), lambda _: None)
    assert "is not what was signed" in findings(tiny)
    signing.envelope_path(run_of(tiny, "gate")).unlink()
    assert "carries no signature" in findings(tiny)


def test_gate_of_other_code(tiny: Tiny) -> None:
    """A gate that ran with other code than HEAD's, on a branch or before a change, does not count."""
    attest(tiny, "ben")
    tiny.notebook("gate", parameters=promoting.RIVALS, work="pass")
    commit(tiny)
    assert "notebooks/ has changed since its commit" in findings(tiny)


def test_false_ancestor(tiny: Tiny) -> None:
    """A commit of another branch is not in HEAD's past because a graft or a replaced commit says so."""
    other = git(tiny, "commit-tree", "HEAD^{tree}", "-m", "other")
    git(tiny, "replace", "--graft", "HEAD", other)
    assert other in git(tiny, "rev-list", "HEAD")
    assert not program.is_ancestor(tiny.root, other)
    git(tiny, "replace", "--delete", git(tiny, "rev-parse", "HEAD"))
    (tiny.root / ".git" / "info" / "grafts").write_text(f"{git(tiny, 'rev-parse', 'HEAD')} {other}\n")
    assert not program.is_ancestor(tiny.root, other)


# At use.


@pytest.mark.parametrize("statement", ["receipt", "gate", "reproduction"])
def test_missing_statement(tiny: Tiny, statement: str) -> None:
    """A statement that is not at hand is a refusal with the command that brings it."""
    promote(tiny)
    content = fields(tiny)
    digests = {
        "receipt": content["receipt"]["sha256"],
        "gate": content["promoted"]["gate"]["receipt"],
        "reproduction": content["reproductions"][0]["sha256"],
    }
    objects.local_store(Workspace(tiny.root)).path(digests[statement]).unlink()
    with pytest.raises(PolicyRefused, match="is not here") as refusal:
        admit(tiny)
    assert "make pull ENV=prod" in str(refusal.value.mend)


def test_invented_envelope(tiny: Tiny) -> None:
    """A resealed bundle that names an invented envelope is not signed."""
    promote(tiny)
    reseal(tiny, receipt=fields(tiny)["receipt"] | {"envelope": stored(tiny, b"{}")})
    with pytest.raises(PolicyRefused, match="not signed"):
        admit(tiny)


def test_invented_reproduction(tiny: Tiny) -> None:
    """The bundle's own word on its reproductions proves nothing: an attestation of other subjects, or unsigned."""
    promote(tiny)
    path = attest(tiny)
    edit(path, lambda item: item["subject"].pop())
    sign(tiny, path, "ben")
    envelope = signing.envelope_path(path).read_bytes()
    item = fields(tiny)["reproductions"][0]
    forged = item | {"sha256": stored(tiny, path.read_bytes()), "envelope": stored(tiny, envelope)}
    reseal(tiny, reproductions=[forged])
    with pytest.raises(PolicyRefused, match="has reproduced it"):
        admit(tiny)


def test_invented_gate(tiny: Tiny) -> None:
    """Metrics that the gate's receipt does not have, and a gate of another run, are found."""
    promote(tiny)
    promoted = fields(tiny)["promoted"]
    better = promoted["gate"] | {"metrics": {"candidate_auc": 0.9, "baseline_auc": 0.1}}
    reseal(tiny, promoted=promoted | {"gate": better})
    with pytest.raises(PolicyRefused, match="other metrics than the bundle says"):
        admit(tiny)
    other = promoted["gate"] | {"receipt": fields(tiny)["receipt"]["sha256"]}
    reseal(tiny, promoted=promoted | {"gate": other})
    with pytest.raises(PolicyRefused, match=r"it is a run of notebooks/train\.ipynb"):
        admit(tiny)


def test_no_gate(tiny: Tiny) -> None:
    """A bundle without a gate does not meet a policy that asks for one."""
    promote(tiny)
    reseal(tiny, promoted=fields(tiny)["promoted"] | {"gate": None})
    with pytest.raises(PolicyRefused, match="no gate has compared it"):
        admit(tiny)


@pytest.mark.parametrize(
    ("group", "changes", "word"),
    [
        ("source", {"dirty": True}, "dirtiness"),
        ("source", {"commit": "e" * 40}, "commit"),
        ("environment", {"image": "sha256:" + "a" * 64, "engine": "docker"}, "environment"),
        ("environment", {"base_image": "python@sha256:" + "a" * 64}, "environment"),
        ("receipt", {"builder": "urn:other"}, "builder"),
        ("receipt", {"run": "20130101T000000Z-train-abcdef"}, "run"),
    ],
)
def test_bundle_against_receipt(tiny: Tiny, group: str, changes: dict[str, Any], word: str) -> None:
    """What a bundle says of dirtiness, image, builder and run is what its receipt says."""
    promote(tiny)
    reseal(tiny, **{group: fields(tiny)[group] | changes})
    with pytest.raises(UsageError, match=f"its receipt has other .*{word}"):
        admit(tiny)


def test_withdrawn_key(tiny: Tiny) -> None:
    """Once its key is no longer trusted, a model that it signed is no longer admitted."""
    promote(tiny)
    (tiny.root / TRUSTED / "ben.pem").unlink()
    commit(tiny)
    with pytest.raises(PolicyRefused, match="an unknown key"):
        admit(tiny)


def test_stricter_policy(tiny: Tiny) -> None:
    """A model that one other has reproduced is not admitted by a policy that asks for two."""
    promote(tiny)
    (tiny.root / "environments" / "prod.yml").write_text(PROD.replace("reproduced: true", "reproduced: {by: 2}"))
    commit(tiny)
    with pytest.raises(PolicyRefused, match="where 2 others are asked for"):
        admit(tiny)


def test_api_checks(tiny: Tiny) -> None:
    """A notebook that takes a model by a plain text, and not by a Model parameter, meets the same check."""
    promote(tiny)
    reseal(tiny, promoted=fields(tiny)["promoted"] | {"gate": None})
    tiny.notebook("use", work="import samebook\nsamebook.find_artifact('delay', 'model.txt')")
    ended = tiny.samebook("run", "use", "--env", "prod")
    assert ended.code == 6
    assert "no gate has compared it" in ended.stderr


def test_damaged_statement(tiny: Tiny) -> None:
    """A receipt that is damaged in the store is not at hand."""
    promote(tiny)
    path = objects.local_store(Workspace(tiny.root)).path(sha256(run_of(tiny)))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(SamebookError, match="is not here"):
        admit(tiny)
