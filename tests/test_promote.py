"""Promotion: what the policy asks, all of it at once, and one commit or nothing."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import promoting
import pytest
from promoting import attest, promote, promoted, run_of, told
from test_signing import key
from tiny import Tiny, git

from samebook import signing

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
    said = told(tiny.samebook("promote", *arguments), code)
    assert state(tiny) == before
    return said


def test_promotion_is_one_commit(tiny: Tiny) -> None:
    """A promotion is one commit of one file, with the metrics, old and new, and why, in its message."""
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
    found = promoted(tiny)
    assert found["metrics"] == {"auc": 0.3}
    assert found["artifacts"]["outputs/model.txt"]["size"] == 1
    assert found["source"]["parameters"] == {"level": 3}
    assert found["monitoring"] == {"rows": 3}
    assert found["promoted"]["by"] == "a <a@b.c>"
    assert found["promoted"]["gate"]["metrics"] == {"baseline_auc": 0.15, "candidate_auc": 0.3}
    assert [each["builder"] for each in found["reproductions"]] == ["urn:other"]


def test_what_is_staged_stays(tiny: Tiny) -> None:
    """What the user has changed, staged or not, is neither committed nor lost."""
    (tiny.root / "staged.txt").write_text("staged")
    git(tiny, "add", "staged.txt")
    (tiny.root / "Makefile").write_text("changed")
    promote(tiny, 3)
    assert git(tiny, "status", "--porcelain").splitlines() == ["M Makefile", "A  staged.txt"]


def test_all_conditions_listed(tiny: Tiny) -> None:
    """A refusal names every condition that is not met, each with the command that meets it."""
    (tiny.root / "environments" / "prod.yml").write_text(
        "promotion: {pinned_image: true, reproduced: true, signed: true, gate: {notebook: gate}}"
    )
    said = refused(tiny, run_of(tiny, 3), "delay", "--env", "prod")
    for condition in ("in an image", "reproduced by nobody", "not signed", "not compared with the champion"):
        assert condition in said
    assert said.count("->") == 5


def test_own_reproduction_does_not_count(tiny: Tiny) -> None:
    """A reproduction by who made the run, or one that differs, is none; another builder's is."""
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
    assert "auc 0.3 is more than 0.05 worse than the champion's 0.5" in told(
        tiny.samebook("promote", run_of(tiny, 3), "delay"), 6
    )
    assert "auc 0.1 is not better than the baseline's 0.15" in told(
        tiny.samebook("promote", run_of(tiny, 1), "other"), 6
    )
    assert promoting.level(tiny) == 5


def test_comparison_is_not_repeated(tiny: Tiny) -> None:
    """A comparison of the same two is used again; with another champion it is made anew."""
    for level, gates in ((3, 1), (1, 2), (1, 2), (5, 3), (1, 4)):
        tiny.samebook("promote", run_of(tiny, level), "delay")
        assert len(list(tiny.root.glob("runs/*-gate-*"))) == gates


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "Delay"), "model 'Delay': expected lower-case letters"),
        (("train", "../x"), "model '../x'"),
        (("train", "train"), "train is a notebook; expected another name"),
        (("nothing", "delay"), "no run, notebook or receipt 'nothing'"),
        (("train", "delay", "--env", "prd"), "no environment 'prd'"),
    ],
)
def test_bad_call_named(tiny: Tiny, arguments: tuple[str, ...], said: str) -> None:
    """A wrong name of run, model or environment is refused as such."""
    assert said in refused(tiny, *arguments, code=2)


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
    ("spoil", "said"),
    [
        (_dirty, "it ran on changes that are not committed"),
        (_drifted, "it ran in an environment that is not the lock's: not-installed"),
        (_changed, "its files are not what its receipt says: outputs/model.txt"),
        (_unknown_commit, "is not in this repository"),
    ],
)
def test_spoilt_run_refused(tiny: Tiny, spoil: Callable[[Tiny], None], said: str) -> None:
    """A dirty, drifted or changed run, or one of an unknown commit, is never promoted."""
    spoil(tiny)
    assert said in refused(tiny, tiny.last.name, "delay")


def test_failed_run_refused(tiny: Tiny) -> None:
    """A failed run left nothing to promote."""
    tiny.samebook("run", "score")
    tiny.notebook("broken", work="1 / 0")
    tiny.samebook("run", "broken")
    assert "failed: it left no receipt" in refused(tiny, tiny.last.name, "delay", code=2)


def test_dry_run_changes_nothing(tiny: Tiny) -> None:
    """--dry-run says what would be committed, or what is not met, and changes nothing."""
    before = state(tiny)
    assert "not compared" in told(tiny.samebook("promote", run_of(tiny, 3), "delay", "--dry-run"), 6)
    attest(tiny, 3)
    ended = tiny.samebook("promote", run_of(tiny, 3), "delay", "--env", "preprod", "--dry-run")
    assert "every condition is met; nothing changed" in ended.stdout
    assert state(tiny) == before


def test_two_at_once(tiny: Tiny) -> None:
    """Two promotions at once are two commits, or one and a refusal: never a mixture."""
    attest(tiny, 3)
    attest(tiny, 5)
    calls = [tiny.start("promote", run_of(tiny, level), "delay", "--env", "preprod") for level in (3, 5)]
    assert [call.wait(60) for call in calls] == [0, 0]
    for call in calls:
        call.communicate()
    assert git(tiny, "log", "--format=%s").count("Promote delay from") == 2
    assert git(tiny, "status", "--porcelain") == ""
    assert tiny.samebook("run", "score").code == 0


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (("checkout", "--quiet", "--detach"), "no branch is checked out"),
        (("config", "user.email", ""), "git does not know who you are"),
    ],
)
def test_unfit_repository_refused(tiny: Tiny, prepare: tuple[str, ...], said: str) -> None:
    """Where a commit would be lost, or nobody's, it is refused before anything is written."""
    git(tiny, *prepare)
    variables = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "", "EMAIL": ""}
    before = state(tiny)
    assert said in told(tiny.samebook("promote", run_of(tiny, 3), "delay", **variables), 2)
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
    assert "not today" in told(tiny.samebook("promote", run_of(tiny, 3), "delay"), 2)
    assert git(tiny, "rev-parse", "HEAD") == head
    assert git(tiny, "status", "--porcelain") == ""


def test_signed_run_is_promoted(tiny: Tiny, tmp_path: Path) -> None:
    """Where the policy asks for signatures, a run and a reproduction signed by a trusted key pass, others don't."""
    trusted = tiny.root / "environments" / "trusted-keys"
    trusted.mkdir()
    (trusted / "me.pem").write_bytes(key(tmp_path / "me.pem"))
    (tiny.root / "environments" / "prod.yml").write_text("promotion: {signed: true, reproduced: true}")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "prod")
    assert tiny.samebook("run", "train", SIGNING_KEY=str(tmp_path / "me.pem")).code == 0
    attestation = attest(tiny, 3, run=tiny.last.name)
    assert "reproduction-1.json: reproduction-1.json carries no signature" in refused(
        tiny, tiny.last.name, "delay", "--env", "prod"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNING_KEY", str(tmp_path / "me.pem"))
        signing.sign(attestation)
    assert tiny.samebook("promote", tiny.last.name, "delay", "--env", "prod").code == 0
    found = promoted(tiny)
    assert found["receipt"]["envelope"]
    assert found["reproductions"][0]["envelope"]


def test_full_store_changes_nothing(tiny: Tiny) -> None:
    """On a store whose disk is full, a promotion ends with words, before anything is committed."""
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
