"""Promotion: every condition of the policy is checked at once, and the result is one commit or nothing."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import promoting
import pytest
from promoting import attest, promote, promoted_bundle, run_of, stderr_of
from test_signing import key
from tiny import CHECKOUT, PATIENCE, Tiny, git, wait_until

from samebook.core.workspace import Workspace
from samebook.models import bundle
from samebook.records import signing
from samebook.store.objects import Store
from samebook.verbs import promote as verb
from samebook.wheelhouse import environments, lists
from samebook.wheelhouse.environments import Platform

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Models of level 1 (worse than the baseline), 2, 3 and 5; nothing promoted."""
    return promoting.create(tmp_path_factory.mktemp("promote") / "workspace", 1, 2, 3, 5)


@pytest.fixture
def tiny(trained: Tiny, tmp_path: Path) -> Tiny:
    return promoting.copy(trained, tmp_path / "workspace")


def state(tiny: Tiny) -> tuple[str, str, set[str]]:
    """Branch, work tree and store, which a refusal leaves as they are; a comparison's own run doesn't count."""
    store = {path.name for path in (tiny.root / "store").rglob("*") if path.is_file()}
    return git(tiny, "rev-parse", "HEAD"), git(tiny, "status", "--porcelain"), store


def refused(tiny: Tiny, *arguments: str, code: int = 6) -> str:
    before = state(tiny)
    message = stderr_of(tiny.samebook("promote", *arguments), code)
    assert state(tiny) == before
    return message


def environment(tiny: Tiny, env: str, policy: str) -> None:
    """Commit the settings of an environment."""
    (tiny.root / "environments" / f"{env}.yml").write_text(f"promotion: {policy}\n")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", env)


def test_keeps_the_environment(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `keep`, nothing is promoted where an index does not have the packages of the run's commit; kept, it is."""
    environment(tiny, "kept", "{keep: true}")
    (tiny.root / ".samebook").mkdir(exist_ok=True)
    (tiny.root / ".samebook" / "uv").symlink_to(CHECKOUT / ".samebook" / "uv")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    for name, value in {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": tiny.root.as_uri()}.items():
        monkeypatch.setenv(name, value)
    assert "could not be downloaded" in refused(tiny, run_of(tiny, 3), "delay", "--env", "kept", code=1)
    for lock in environments.locks(Workspace(tiny.root), "HEAD~1").values():
        lists.put(Store(tiny.root / "store"), lock, [], Platform("local").name)
    promote(tiny, 3, "--env", "kept")
    assert promoted_bundle(tiny)["promoted"]["policy"]["keep"] is True


def test_promotion_is_one_commit(tiny: Tiny) -> None:
    """A promotion is one commit of one file, whose message has the metrics, old and new, and the reason."""
    promote(tiny, 3, "--why", "first")
    promote(tiny, 5, "--why", "deeper")
    message = git(tiny, "log", "-1", "--format=%B")
    assert git(tiny, "show", "--name-only", "--format=") == "models/delay.json"
    assert git(tiny, "status", "--porcelain") == ""
    assert "deeper" in message
    assert "auc  0.5          was 0.3" in message
    assert run_of(tiny, 5) in message


def test_bundle_holds_all(tiny: Tiny) -> None:
    """Metrics, artifacts, source, environment, receipt, gate and monitoring stand in the one file."""
    attest(tiny, 3)
    promote(tiny, 3, "--why", "because")
    bundle = promoted_bundle(tiny)
    assert bundle["metrics"] == {"auc": 0.3}
    assert bundle["artifacts"]["outputs/model.txt"]["size"] == 1
    assert {"run.log", "notebook.html"} <= set(bundle["byproducts"])
    assert bundle["source"]["parameters"] == {"level": 3}
    assert bundle["monitoring"] == {"rows": 3}
    assert bundle["promoted"]["by"] == "a <a@b.c>"
    assert bundle["promoted"]["gate"]["metrics"] == {"baseline_auc": 0.15, "candidate_auc": 0.3}
    assert [reproduction["builder"] for reproduction in bundle["reproductions"]] == ["urn:other"]


def test_what_is_staged_stays(tiny: Tiny) -> None:
    """The user's own changes, staged or not, are neither committed nor lost."""
    (tiny.root / "staged.txt").write_text("staged")
    git(tiny, "add", "staged.txt")
    (tiny.root / "Makefile").write_text("changed")
    promote(tiny, 3)
    assert git(tiny, "status", "--porcelain").splitlines() == ["M Makefile", "A  staged.txt"]


def test_all_conditions_listed(tiny: Tiny) -> None:
    """A refusal names every condition that is not met, each with the command that meets it."""
    environment(tiny, "prod", "{pinned_image: true, reproduced: true, signed: true, gate: {notebook: gate}}")
    message = refused(tiny, run_of(tiny, 3), "delay", "--env", "prod")
    for condition in ("in an image", "reproduced by nobody", "not signed", "not compared with the champion"):
        assert condition in message
    assert message.count("->") == 5


def test_own_reproduction_does_not_count(tiny: Tiny) -> None:
    """A reproduction by the run's own builder, or with another result, does not count; another builder's does."""
    author = json.loads((tiny.root / "runs" / run_of(tiny, 3) / "receipt.json").read_text())
    attest(tiny, 3, builder=author["predicate"]["runDetails"]["builder"]["id"])
    assert "only by urn:samebook:builder:" in refused(tiny, run_of(tiny, 3), "delay", "--env", "preprod")
    attest(tiny, 2, verdict="DIFFERENT")
    assert "1 times, never IDENTICAL" in refused(tiny, run_of(tiny, 2), "delay", "--env", "preprod")
    attest(tiny, 3)
    promote(tiny, 3, "--env", "preprod")


def test_gate_compares_with_champion(tiny: Tiny) -> None:
    """Worse than the champion by more than the margin, or not better than the baseline, is refused."""
    promote(tiny, 5)
    assert "auc 0.3 is more than 0.05 worse than the champion's 0.5" in stderr_of(
        tiny.samebook("promote", run_of(tiny, 3), "delay"), 6
    )
    assert "auc 0.1 is not better than the baseline's 0.15" in stderr_of(
        tiny.samebook("promote", run_of(tiny, 1), "other"), 6
    )
    assert promoting.promoted_level(tiny) == 5


def test_gate_reads_champion_that_policy_refuses(tiny: Tiny) -> None:
    """A champion of a weaker policy can be compared, and so be replaced, under a stricter policy."""
    promote(tiny, 2)
    environment(tiny, "preprod", "{reproduced: true, gate: {notebook: gate}}")
    assert "has reproduced it" in stderr_of(tiny.samebook("run", "score", "--env", "preprod"), 6)
    call = ("promote", run_of(tiny, 3), "delay", "--env", "preprod")
    refusal = stderr_of(tiny.samebook(*call), 6)
    gate = max(path.name for path in tiny.root.glob("runs/*-gate-*"))
    assert f"make reproduce RUN={run_of(tiny, 3)}" in refusal
    attest(tiny, 3)
    assert (
        f"its gate's run was reproduced by nobody\n    -> on another machine, or in CI: make reproduce RUN={gate}"
        in stderr_of(tiny.samebook(*call), 6)
    )
    attest(tiny, 3, run=gate)
    promote(tiny, 3, "--env", "preprod")
    assert promoted_bundle(tiny)["promoted"]["gate"]["metrics"]["champion_auc"] == 0.2
    assert promoted_bundle(tiny)["promoted"]["gate"]["reproductions"][0]["builder"] == "urn:other"


def test_comparison_is_not_repeated(tiny: Tiny) -> None:
    """A comparison of the same two models is used again; with another champion it runs anew."""
    for level, gates in ((3, 1), (1, 2), (1, 2), (5, 3), (1, 4)):
        tiny.samebook("promote", run_of(tiny, level), "delay")
        assert len(list(tiny.root.glob("runs/*-gate-*"))) == gates


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "Delay"), "model 'Delay': expected lower-case letters"),
        (("train", "../x"), "model '../x'"),
        (("train", "train"), "train is a notebook, which RUN=train means; expected another name"),
        (("nothing", "delay"), "no run, notebook or receipt 'nothing'"),
        (("train", "delay", "--env", "prd"), "no environment 'prd'"),
    ],
)
def test_bad_call_named(tiny: Tiny, arguments: tuple[str, ...], message: str) -> None:
    """A wrong name of run, model or environment is refused as such."""
    assert message in refused(tiny, *arguments, code=2)


def _dirty(tiny: Tiny) -> None:
    (tiny.root / "new.txt").write_text("x")
    assert tiny.samebook("run", "train").code == 0


def _drifted(tiny: Tiny) -> None:
    lock = tiny.root / "environments" / "runtime.txt"
    lock.write_text(lock.read_text() + "\nnot-installed==1 \\\n    --hash=sha256:00\n")
    git(tiny, "commit", "--quiet", "--all", "-m", "lock")
    assert tiny.samebook("run", "train", "--allow-drift").code == 0


def _changed(tiny: Tiny) -> None:
    (tiny.last / "outputs" / "model.txt").write_text("forged")


def _unknown_commit(tiny: Tiny) -> None:
    git(tiny, "commit", "--quiet", "--amend", "-m", "other")
    git(tiny, "reflog", "expire", "--expire=now", "--all")
    git(tiny, "gc", "--quiet", "--prune=now")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_dirty, "it ran on changes that are not committed"),
        (_drifted, "it ran in an environment that is not the lock's: not-installed"),
        (_changed, "its files are not what its receipt says: outputs/model.txt"),
        (_unknown_commit, "is not in this branch"),
    ],
)
def test_spoilt_run_refused(tiny: Tiny, spoil: Callable[[Tiny], None], message: str) -> None:
    """A dirty, drifted or changed run, or one of an unknown commit, is never promoted.

    The drift may be an edit, and only an environment made anew is without it.
    """
    spoil(tiny)
    refusal = refused(tiny, tiny.last.name, "delay")
    assert message in refusal
    assert ("rm -rf .venv && make environment && make run" in refusal) == (spoil is _drifted)


def test_failed_run_refused(tiny: Tiny) -> None:
    """A failed run left nothing to promote."""
    tiny.samebook("run", "score")
    tiny.notebook("broken", work="1 / 0")
    tiny.samebook("run", "broken")
    assert "failed: it left no receipt" in refused(tiny, tiny.last.name, "delay", code=2)


def test_dry_run_changes_nothing(tiny: Tiny) -> None:
    """--dry-run shows the commit's message, or the unmet conditions, and changes nothing."""
    before = state(tiny)
    assert "not compared" in stderr_of(tiny.samebook("promote", run_of(tiny, 3), "delay", "--dry-run"), 6)
    attest(tiny, 3)
    ended = tiny.samebook("promote", run_of(tiny, 3), "delay", "--env", "preprod", "--dry-run")
    assert "every condition is met; nothing changed" in ended.stdout
    assert state(tiny) == before


def test_two_at_once(tiny: Tiny) -> None:
    """Two promotions at once are two commits, or one and a refusal: never a mixture."""
    attest(tiny, 3)
    attest(tiny, 5)
    calls = [tiny.start("promote", run_of(tiny, level), "delay", "--env", "preprod") for level in (3, 5)]
    assert [call.wait(PATIENCE) for call in calls] == [0, 0]
    for call in calls:
        call.communicate()
    assert git(tiny, "log", "--format=%s").count("Promote delay from") == 2
    assert git(tiny, "status", "--porcelain") == ""
    assert tiny.samebook("run", "score", "--env", "preprod").code == 0


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (("checkout", "--quiet", "--detach"), "no branch is checked out"),
        (("config", "user.email", ""), "git does not know who you are"),
    ],
)
def test_unfit_repository_refused(tiny: Tiny, prepare: tuple[str, ...], message: str) -> None:
    """Where a commit would be lost, or have no author, it is refused before anything is written."""
    git(tiny, *prepare)
    variables = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "", "EMAIL": ""}
    before = state(tiny)
    assert message in stderr_of(tiny.samebook("promote", run_of(tiny, 3), "delay", **variables), 2)
    assert state(tiny) == before


def test_uncommitted_bundle_refused(tiny: Tiny) -> None:
    """A bundle with changes that are not committed is not overwritten."""
    promote(tiny, 3)
    with (tiny.root / "models" / "delay.json").open("a") as file:
        file.write("\n")
    assert "delay.json has changes that are not committed" in refused(tiny, run_of(tiny, 5), "delay", code=2)


def test_refusing_hook_changes_nothing(tiny: Tiny) -> None:
    """Where git's own hook refuses the commit, nothing has changed."""
    hook = tiny.root / ".git" / "hooks" / "commit-msg"
    hook.write_text("#!/bin/sh\necho not today >&2; exit 1\n")
    hook.chmod(0o755)
    head = git(tiny, "rev-parse", "HEAD")
    assert "not today" in stderr_of(tiny.samebook("promote", run_of(tiny, 3), "delay"), 2)
    assert git(tiny, "rev-parse", "HEAD") == head
    assert git(tiny, "status", "--porcelain") == ""


def test_signed_run_is_promoted(tiny: Tiny, tmp_path: Path) -> None:
    """Where the policy asks for signatures, a run and a reproduction signed by a trusted key pass, others don't."""
    trusted = tiny.root / "environments" / "trusted-keys"
    trusted.mkdir()
    (trusted / "me.pem").write_bytes(key(tmp_path / "me.pem"))
    (trusted / "you.pem").write_bytes(key(tmp_path / "you.pem"))
    environment(tiny, "prod", "{signed: true, reproduced: true}")
    assert tiny.samebook("run", "train", SIGNING_KEY=str(tmp_path / "me.pem")).code == 0
    attestation = attest(tiny, 3, run=tiny.last.name)
    assert "reproduction-1.json: reproduction-1.json carries no signature" in refused(
        tiny, tiny.last.name, "delay", "--env", "prod"
    )
    for name in ("me", "you"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SIGNING_KEY", str(tmp_path / f"{name}.pem"))
            signing.sign(attestation, attestation.read_bytes())
        if name == "me":
            assert "signed by the same key" in refused(tiny, tiny.last.name, "delay", "--env", "prod")
    assert tiny.samebook("promote", tiny.last.name, "delay", "--env", "prod").code == 0
    bundle = promoted_bundle(tiny)
    assert bundle["receipt"]["envelope"]
    assert bundle["reproductions"][0]["envelope"]


def test_full_store_changes_nothing(tiny: Tiny) -> None:
    """With a full disk under the store, a promotion ends with an error before anything is committed."""
    if subprocess.run(("unshare", "-m", "true"), capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs a small one to be mounted, which only root may")
    attest(tiny, 3)
    small = 'mount -t tmpfs -o size=4k tmpfs store && exec "$@"'
    command = ("unshare", "-m", "sh", "-c", small, "sh")
    promotion = tiny.command("promote", run_of(tiny, 3), "delay", "--env", "preprod")
    head = git(tiny, "rev-parse", "HEAD")
    ended = subprocess.run(
        (*command, *promotion), cwd=tiny.root, env=tiny.environ(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stderr
    assert "No space left on device" in ended.stderr
    assert git(tiny, "rev-parse", "HEAD") == head
    assert git(tiny, "status", "--porcelain") == ""


def test_policy_is_what_git_says(tiny: Tiny) -> None:
    """Neither a variable nor an uncommitted edit changes the policy; the bundle has the policy that it met."""
    variable = {"SAMEBOOK_PROMOTION__REPRODUCED": "false"}
    call = ("promote", run_of(tiny, 3), "delay", "--env", "preprod")
    assert "SAMEBOOK_PROMOTION__REPRODUCED would change the policy" in stderr_of(tiny.samebook(*call, **variable), 2)
    (tiny.root / "environments" / "preprod.yml").write_text("promotion: {reproduced: false}")
    assert "preprod.yml has changes that are not committed" in stderr_of(tiny.samebook(*call), 2)
    git(tiny, "checkout", "--quiet", "environments/preprod.yml")
    attest(tiny, 3)
    promote(tiny, 3, "--env", "preprod")
    assert promoted_bundle(tiny)["promoted"]["policy"]["reproduced"] is True


def test_gate_of_another_does_not_count(tiny: Tiny) -> None:
    """A comparison counts for its own candidate only: not for the champion that it read, nor once it was changed."""
    promote(tiny, 3)
    refused_first = stderr_of(tiny.samebook("promote", run_of(tiny, 1), "delay"), 6)
    metrics = max(tiny.root.glob("runs/*-gate-*/metrics.json"), key=lambda path: path.stat().st_mtime_ns)
    metrics.write_text(metrics.read_text().replace('"candidate_auc": 0.1', '"candidate_auc": 0.9'))
    assert stderr_of(tiny.samebook("promote", run_of(tiny, 1), "delay"), 6) == refused_first
    promote(tiny, 3)
    assert promoted_bundle(tiny)["promoted"]["gate"]["metrics"]["candidate_auc"] == 0.3


def test_uncommitted_gate_does_not_count(tiny: Tiny) -> None:
    """A gate whose notebook is not committed lets nothing pass."""
    promote(tiny, 3)
    path = tiny.root / "notebooks" / "gate.ipynb"
    path.write_text(path.read_text().replace("value / 10", "9.9"))
    assert "it was not compared with the champion" in stderr_of(tiny.samebook("promote", run_of(tiny, 2), "delay"), 6)


def test_gate_without_champion_refused(tiny: Tiny) -> None:
    """A gate that does not say how good the champion is lets nothing pass."""
    promote(tiny, 5)
    path = tiny.root / "notebooks" / "gate.ipynb"
    path.write_text(path.read_text().replace("champion_auc", "rival_auc"))
    git(tiny, "commit", "--quiet", "--all", "-m", "gate")
    message = stderr_of(tiny.samebook("promote", run_of(tiny, 3), "delay"), 6)
    assert "the notebook gate did not log champion_auc" in message


def test_branch_that_moves_is_left(tiny: Tiny) -> None:
    """Nothing is committed on a branch that was switched to while the gate runs."""
    path = tiny.root / "notebooks" / "gate.ipynb"
    path.write_text(path.read_text().replace("import samebook", "import samebook, time; time.sleep(3)", 1))
    git(tiny, "commit", "--quiet", "--all", "-m", "slow gate")
    git(tiny, "branch", "other")
    promotion = tiny.start("promote", run_of(tiny, 3), "delay")
    wait_until(lambda: list(tiny.root.glob("runs/.partial/*-gate-*")))
    git(tiny, "switch", "--quiet", "other")
    _, message = promotion.communicate(timeout=PATIENCE)
    assert promotion.returncode == 2
    assert "git moved on from main" in message
    assert git(tiny, "log", "--all", "--format=%s", "-1") == "slow gate"


def test_unreadable_bundle_is_not_committed(tiny: Tiny) -> None:
    """A run whose reference.json is not as log_reference writes it can't become a bundle."""
    cells = promoting.TRAIN.replace('write_bytes(json_bytes({"rows": 3}))', 'write_text("{}  ")')
    tiny.notebook("train", parameters=promoting.LEVEL, work=cells)
    git(tiny, "commit", "--quiet", "--all", "-m", "other reference")
    assert tiny.samebook("run", "train").code == 0
    attest(tiny, 3, run=tiny.last.name)
    message = refused(tiny, tiny.last.name, "delay", "--env", "preprod", code=2)
    assert "what it says of outputs/reference.json" in message


def test_workspace_in_a_folder_refused(tiny: Tiny, tmp_path: Path) -> None:
    """A workspace that is a folder of a larger repository is refused before a wrong file is committed."""
    outer = Tiny(tmp_path / "outer")
    outer.root.mkdir()
    git(outer, "init", "--quiet", "--initial-branch", "main")
    inner = promoting.copy(tiny, outer.root / "inner")
    shutil.rmtree(inner.root / ".git")
    git(outer, "add", "--all")
    git(outer, "commit", "--quiet", "-m", "outer")
    variables = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.c"}
    message = stderr_of(inner.samebook("promote", run_of(inner, 3), "delay", **variables), 2)
    assert "is the folder inner/ of a repository" in message


def test_metric_writes_no_trailer() -> None:
    """A metric's name adds no line to the commit's message, so that it can't sign it off."""
    source = bundle.Source.model_construct(commit="a" * 40)
    candidate = bundle.Bundle.model_construct(
        name="delay",
        metrics={"auc\n\nSigned-off-by: Chief <chief@x>": 0.5},
        source=source,
        receipt=bundle.Receipt.model_construct(run="1"),
        data={},
        promoted=bundle.Promotion.model_construct(why=""),
    )
    text = verb.message(candidate, None)
    command = ["git", "interpret-trailers", "--parse"]
    trailers = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    assert trailers.splitlines() == ["Run: 1", f"Commit: {'a' * 40}"]
    assert not any(line.startswith("Signed-off-by") for line in text.splitlines())
