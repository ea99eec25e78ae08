"""Cheats with a bundle, which anybody can write: it is checked where its model is used."""

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forging import (
    PROD,
    TRUSTED,
    admit,
    attest,
    attest_gate,
    commit,
    edit,
    fields,
    named,
    promote,
    reseal,
    run_of,
    sign,
    stored,
)
from tiny import Tiny, git

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import EnvironmentMismatch, PolicyRefused, SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.environment.model_sections import Promotion
from samebook.models import admission, lookup, retention, supply
from samebook.records import receipt, signing, source
from samebook.reproduction import isolation
from samebook.reproduction.rerun import Site
from samebook.review import verdicts
from samebook.review.span import Span
from samebook.store import objects
from samebook.verbs import models

pytestmark = [pytest.mark.host, pytest.mark.forger]
SOURCE = {"commit": None, "notebook": "notebooks/train.ipynb", "parameters": {}, "env": "dev"}
PLAN = json_bytes(receipt.plan(SOURCE))


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: item["byproducts"]["notebook.ipynb"].update(sha256="0" * 64), "has other byproducts"),
        (lambda item: item["byproducts"].popitem(), "has other byproducts"),
        (lambda item: item["receipt"].update(finished="2013-01-01T00:00:00+00:00"), "has other end"),
        (lambda item: item["reproductions"][0].update(builder="urn:chief"), "reproduction 1 is not what its"),
        (lambda item: item["promoted"]["gate"]["reproductions"][0].update(platform="x"), "reproduction 1 is not what"),
        (lambda item: item.update(data={"rows": {"newest": "2099-01-01", "days": {"2013-01-01": "0" * 64}}}), "newest"),
        (lambda item: item["promoted"]["gate"].update(run="20130101T000000Z-gate-abcdef"), "is that of run"),
    ],
    ids=["byproduct", "byproducts", "end", "reproduction", "gate's reproduction", "newest day", "gate's run"],
)
def test_bundle_against_statements(tiny: Tiny, change: Callable[[Any], object], message: str) -> None:
    """What a bundle says of byproducts, times, days, reproductions and the gate's run is what the statements say."""
    promote(tiny)
    content = fields(tiny)
    change(content)
    reseal(tiny, **content)
    with pytest.raises((UsageError, PolicyRefused), match=message):
        admit(tiny)


def test_changes_of_the_receipt(tiny: Tiny) -> None:
    """A bundle whose receipt says that its run had uncommitted changes does not meet a policy of clean commits."""
    promote(tiny)
    path, changes = run_of(tiny), {"dirty": True, "patch": "a" * 64}
    edit(path, lambda item: receipt.dependencies(item)[0]["annotations"].update(changes))
    envelope = stored(tiny, signing.envelope_path(sign(tiny, path, "ada")).read_bytes())
    named_receipt = fields(tiny)["receipt"] | {"sha256": stored(tiny, path.read_bytes()), "envelope": envelope}
    reseal(tiny, receipt=named_receipt, source=fields(tiny)["source"] | changes)
    with pytest.raises(PolicyRefused, match="it ran on changes that are not committed"):
        admit(tiny)


def test_image_of_the_receipt(tiny: Tiny) -> None:
    """A model whose receipt names no pinned image is not admitted once the policy asks for one."""
    promote(tiny)
    (tiny.root / "environments" / "prod.yml").write_text(PROD.replace("{reproduced", "{pinned_image: true, reproduced"))
    commit(tiny)
    with pytest.raises(PolicyRefused, match="it did not run in an image whose base is pinned by digest"):
        admit(tiny)


def test_source_of_input(tiny: Tiny) -> None:
    """The source that a bundle names for an input is its receipt's: another one would be run where the input lacks."""
    source = receipt.built_from(receipt.read(run_of(tiny)))
    item = {"name": "a/b.txt", "digest": {"sha256": "0" * 64}, "annotations": {"input": True, "builtFrom": source}}
    edit(run_of(tiny), lambda statement: receipt.dependencies(statement).append(item))
    sign(tiny, run_of(tiny), "ada")
    edit(run_of(tiny, "gate"), lambda _: None)
    sign(tiny, run_of(tiny, "gate"), "ada")
    promote(tiny)
    admit(tiny)
    content = fields(tiny)
    content["inputs"][0]["annotations"]["builtFrom"]["commit"]["digest"]["gitCommit"] = "e" * 40
    reseal(tiny, **content)
    with pytest.raises(UsageError, match="its receipt has other sources of inputs"):
        admit(tiny)


def test_withdrawn_key(tiny: Tiny) -> None:
    """Once its key is no longer trusted, a model that it signed is no longer admitted."""
    promote(tiny)
    (tiny.root / TRUSTED / "ben.pem").unlink()
    commit(tiny)
    with pytest.raises(PolicyRefused, match="an unknown key"):
        admit(tiny)


def test_rewritten_history(tiny: Tiny) -> None:
    """A model whose run's commit has left this branch, as by a rebase, is refused, though the branch has all its files;
    a merge brings the commit back.
    """
    promote(tiny)
    source = fields(tiny)["source"]["commit"]
    git(tiny, "switch", "--quiet", "--orphan", "anew")
    git(tiny, "restore", "--source=main", "--staged", "--worktree", ".")
    git(tiny, "commit", "--quiet", "-m", "all of it")
    with pytest.raises(PolicyRefused, match=f"its commit {source[:12]} is not in this branch") as refusal:
        admit(tiny)
    assert refusal.value.mend == f"git merge {source[:12]}"
    git(tiny, "merge", "--quiet", "--allow-unrelated-histories", "--strategy=ours", "--no-edit", source[:12])
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


@pytest.mark.parametrize(
    "content", [b"no JSON", b"[]", b'{"a": 1, "a": 2}', PLAN], ids=["text", "list", "twice", "plan"]
)
def test_no_receipt_at_all(tiny: Tiny, content: bytes) -> None:
    """A stored object that is not the receipt of a finished run is a clear error."""
    promote(tiny)
    reseal(tiny, receipt=fields(tiny)["receipt"] | {"sha256": stored(tiny, content)})
    with pytest.raises(UsageError, match="is not"):
        admit(tiny)


def loosen(tiny: Tiny) -> None:
    """Commit a gate that asks for nothing, and the bundle with a run of it."""
    path = tiny.notebook("gate", work="pass")
    commit(tiny)
    weak = {"gitCommit": git(tiny, "rev-parse", "HEAD")}
    regate(tiny, {"commit": weak, "notebooks/gate.ipynb": {"sha256": sha256(path)}})


@pytest.mark.parametrize("has_git", [True, False], ids=["git", "image"])
def test_gate_of_another_branch(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, has_git: bool) -> None:
    """A gate that a branch has loosened counts only where that branch is named: not in the work tree of another one,
    and not where it is merged with the gate put back, though the gate's commit is in the past then. The same holds
    where there is no git, as in the image.
    """
    promote(tiny)
    git(tiny, "switch", "--quiet", "--create", "weak")
    loosen(tiny)
    git(tiny, "switch", "--quiet", "--create", "restored")
    git(tiny, "restore", "--source=main", "notebooks/gate.ipynb")
    commit(tiny)
    git(tiny, "switch", "--quiet", "main")
    git(tiny, "restore", "--source=restored", "models")
    if not has_git:
        monkeypatch.setattr(shutil, "which", lambda _: None)
    refused = r"it ran notebooks/gate\.ipynb of commit .*, which this branch did not have with this model"
    with pytest.raises(PolicyRefused, match=refused):
        admit(tiny)
    admit(tiny, ref="weak")
    git(tiny, "restore", "models")
    git(tiny, "merge", "--quiet", "--no-ff", "--no-edit", "restored")
    assert git(tiny, "merge-base", "--is-ancestor", "weak", "HEAD") == ""
    with pytest.raises(PolicyRefused, match=refused):
        admit(tiny)


def test_loosened_gate_before_it_is_merged(tiny: Tiny) -> None:
    """The review of a branch judges its models by the base's gate, before the branch comes in, by whatever kind of
    merge: also where the branch has put the gate back.
    """
    promote(tiny)
    git(tiny, "switch", "--quiet", "--create", "weak")
    loosen(tiny)
    git(tiny, "restore", "--source=main", "notebooks/gate.ipynb")
    commit(tiny)
    main, weak = (git(tiny, "rev-parse", name) for name in ("main", "weak"))
    span = Span(tiny.root, main, main, weak)
    (verdict,) = [item for item in verdicts.verdicts(Workspace(tiny.root), span, ["delay"]) if item.env == "prod"]
    assert "it ran notebooks/gate.ipynb of commit" in verdict.problem


@pytest.mark.parametrize("has_git", [True, False], ids=["git", "image"])
def test_gate_changes_later(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, has_git: bool) -> None:
    """A gate and code beside it that change after a model has come leave that model usable, also after a rollback to
    it; so does other code that was merged before the model's branch was.
    """
    promote(tiny)
    first = (tiny.root / "models" / "delay.json").read_bytes()
    git(tiny, "reset", "--quiet", "--hard", "HEAD~1")
    git(tiny, "switch", "--quiet", "--create", "retrain")
    (tiny.root / "models" / "delay.json").write_bytes(first)
    (tiny.root / "notebooks" / "features.py").write_text("a = 1\n")
    commit(tiny)
    regate(tiny, {"commit": {"gitCommit": git(tiny, "rev-parse", "HEAD")}, receipt.CODE: code(tiny)})
    model = (tiny.root / "models" / "delay.json").read_bytes()
    git(tiny, "switch", "--quiet", "main")
    (tiny.root / "notebooks" / "other.py").write_text("b = 1\n")
    commit(tiny)
    git(tiny, "merge", "--quiet", "--no-ff", "--no-edit", "retrain")
    if not has_git:
        monkeypatch.setattr(shutil, "which", lambda _: None)
    admit(tiny)
    (tiny.root / "models" / "delay.json").unlink()
    tiny.notebook("gate", work="better = True")
    (tiny.root / "notebooks" / "features.py").write_text("a = 2\n")
    commit(tiny)
    (tiny.root / "models" / "delay.json").write_bytes(model)
    commit(tiny)
    admit(tiny)


@pytest.mark.parametrize("name", [receipt.CODE, receipt.LOCK, "notebooks/best.csv"])
def test_gate_with_another_helper(tiny: Tiny, name: str) -> None:
    """Each source of a gate counts: the modules beside its notebook, the lock, what it read."""
    promote(tiny)
    (tiny.root / "notebooks" / "helper.py").write_text("def auc(): return 0.5\n")
    git(tiny, "rm", "--quiet", "--cached", "models/delay.json")
    commit(tiny)
    own = {"commit": {"gitCommit": "e" * 40}, receipt.CODE: code(tiny), receipt.LOCK: lock(tiny)}
    regate(tiny, own)
    admit(tiny)
    regate(tiny, own | {name: {"sha256": "0" * 64}})
    with pytest.raises(PolicyRefused, match=f"it ran {name} of commit eeeeeeeeeeee, which this branch did not have"):
        admit(tiny)


def test_read_file_of_the_fork(tiny: Tiny) -> None:
    """A committed file that a gate has read may be that of the commit which its branch went on from, but not its
    notebook, and no other.
    """
    content = promote(tiny).read_bytes()
    git(tiny, "reset", "--quiet", "--hard", "HEAD~1")
    path = tiny.root / "notebooks" / "threshold.txt"
    path.write_text("0.5\n")
    commit(tiny)
    own = {"commit": {"gitCommit": git(tiny, "rev-parse", "HEAD")}, receipt.CODE: code(tiny)}
    git(tiny, "switch", "--quiet", "--create", "retrain")
    (tiny.root / "models" / "delay.json").write_bytes(content)
    regate(tiny, own | {"notebooks/threshold.txt": {"sha256": sha256(path)}})
    git(tiny, "switch", "--quiet", "main")
    path.write_text("0.6\n")
    commit(tiny)
    git(tiny, "merge", "--quiet", "--no-ff", "--no-edit", "retrain")
    admit(tiny)
    regate(tiny, {"notebooks/threshold.txt": {"sha256": "0" * 64}})
    with pytest.raises(PolicyRefused, match=r"it ran notebooks/threshold\.txt of commit"):
        admit(tiny)


@pytest.mark.parametrize("has_git", [True, False], ids=["git", "image"])
def test_history_cut_off(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_git: bool) -> None:
    """In a clone with --depth a model seems to have come with the oldest commit: the refusal says so, and mends it."""
    promote(tiny)
    tiny.notebook("gate", work="better = True")
    commit(tiny)
    admit(tiny)
    cut = Tiny(tmp_path / "cut")
    git(tiny, "clone", "--quiet", "--depth=1", f"file://{tiny.root}", str(cut.root))
    shutil.copytree(tiny.root / "store", cut.root / "store")
    if not has_git:
        monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(PolicyRefused, match="the history here is cut off") as refusal:
        admit(cut)
    assert "which this branch did not have" not in str(refusal.value)
    assert refusal.value.mend == "git fetch --unshallow"


def test_environment_is_the_locks(tiny: Tiny) -> None:
    """The bundle of a run with other packages than the lock's, which no promotion makes, is not admitted."""
    promote(tiny)
    path = run_of(tiny)
    edit(path, lambda item: item["predicate"]["buildDefinition"]["internalParameters"].update(drift={"numpy": "2"}))
    envelope = stored(tiny, signing.envelope_path(sign(tiny, path, "ada")).read_bytes())
    reseal(tiny, receipt=fields(tiny)["receipt"] | {"sha256": stored(tiny, path.read_bytes()), "envelope": envelope})
    workspace, signed = Workspace(tiny.root), Promotion(signed=True)
    with pytest.raises(PolicyRefused, match="an environment that is not the lock's: numpy"):
        admission.check(workspace, signed, lookup.read(workspace, "delay"), "prod")


def test_gc_reads_any_bundle(tiny: Tiny) -> None:
    """A bundle of some branch may name any object as its receipt: the removal of old runs goes on."""
    promote(tiny)
    named = fields(tiny)["receipt"] | {"run": "20130101T000000Z-other-abcdef"}
    for content in (b"{}", b"\xff"):
        reseal(tiny, receipt=named | {"sha256": stored(tiny, content)})
        assert named["run"] in retention.required_runs(Workspace(tiny.root), {}, datetime.date(2013, 1, 1))


def test_folder_is_checked(tiny: Tiny) -> None:
    """`make models` puts no file of a model into a folder that the policy of its environment does not admit."""
    promote(tiny)
    reseal(tiny, promoted=fields(tiny)["promoted"] | {"gate": None})
    said: list[str] = []
    site = Site(Workspace(tiny.root), "local", said.append)
    for _ in range(2):
        with pytest.raises(PolicyRefused, match="no gate has compared it"):
            models.models(site, ["delay"], "prod")
        # The second time its file is nowhere, and the code that makes it again may not run either.
        objects.local_store(site.workspace).path(fields(tiny)["artifacts"]["outputs/model.txt"]["sha256"]).unlink(
            missing_ok=True
        )
    assert not (tiny.root / "models" / ".files" / "delay").exists()
    assert said == []


def test_model_of_a_strangers_commit(tiny: Tiny) -> None:
    """A model is made again only by a commit in the past of this branch, or of the branch that the user names.

    It is made with the numerics of its receipt, where that is here.
    """
    promote(tiny)
    git(tiny, "switch", "--quiet", "--create", "stranger")
    (tiny.root / "Makefile").write_text("environment:\n\ttouch ran\n\tfalse\n")
    commit(tiny)
    reseal(tiny, source=fields(tiny)["source"] | {"commit": git(tiny, "rev-parse", "HEAD")})
    git(tiny, "switch", "--quiet", "main")
    git(tiny, "restore", "--source=stranger", "models")
    site = Site(Workspace(tiny.root), "local", lambda _: None)
    plan = supply.plan(site, lookup.read(site.workspace, "delay"))
    assert isolation.numerics(plan).items() >= {"OMP_NUM_THREADS": "2", "SAMEBOOK_NUMERICS": "portable"}.items()
    shutil.rmtree(tiny.root / "store")
    with pytest.raises(UsageError, match="neither in this branch nor in the one that you name"):
        models.models(site, ["delay"])
    with pytest.raises(EnvironmentMismatch):  # its make has run, as asked
        models.models(site, ["delay@stranger"])
    (tiny.root / ".git" / "shallow").write_text(git(tiny, "rev-parse", "HEAD") + "\n")
    with pytest.raises(UsageError) as refusal:  # a clone with --depth has no past to look for it in
        models.models(site, ["delay"])
    assert refusal.value.mend == "git fetch --unshallow"


def code(tiny: Tiny) -> dict[str, str]:
    return {"sha256": source.code_digest(Workspace(tiny.root))}


def lock(tiny: Tiny) -> dict[str, str]:
    return {"sha256": sha256(tiny.root / "environments" / "runtime.txt")}


def regate(tiny: Tiny, digests: dict[str, Any]) -> None:
    """Commit the bundle with a gate whose receipt has other digests, signed and reproduced again; a new name is that of
    a read.
    """
    path = run_of(tiny, "gate")
    edit(path, lambda statement: replace(statement, dict(digests)))
    sign(tiny, path, "ada")
    envelope = stored(tiny, signing.envelope_path(path).read_bytes())
    statement = {"receipt": stored(tiny, path.read_bytes()), "envelope": envelope}
    gate = statement | {"reproductions": named(tiny, attest_gate(tiny, "ben"))}
    promoted = fields(tiny)["promoted"]
    reseal(tiny, promoted=promoted | {"gate": promoted["gate"] | gate})


def replace(statement: Any, digests: dict[str, Any]) -> None:
    for item in receipt.dependencies(statement):
        item["digest"] = digests.pop(item["name"], item["digest"])
    read = {name: digest["sha256"] for name, digest in digests.items()}
    details = statement["predicate"]["runDetails"]
    others = [item for item in details["byproducts"] if item["name"] != receipt.READ]
    details["byproducts"] = [*others, {"name": receipt.READ, "annotations": read}]
