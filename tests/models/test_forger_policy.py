"""Cheats against the policy itself and the keys that it trusts: both are those of HEAD."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from forging import OWNERS, TRUSTED, admit, attest, commit, findings, promote, run_of
from test_signing import key
from tiny import Tiny, git

from samebook.core import head
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.git import commit as commit_of
from samebook.core.git import file_names, show
from samebook.core.git import head as head_of
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.model_sections import Promotion
from samebook.models import policy
from samebook.records import receipt, signing
from samebook.records.signing import Purpose
from samebook.verbs import promote as promoting_verb
from samebook.verbs.promote import PromoteRequest

pytestmark = [pytest.mark.host, pytest.mark.forger]


def test_honest_work_passes(tiny: Tiny) -> None:
    """A signed run, reproduced by another owner on another builder, passes, and its model is admitted."""
    promote(tiny)
    assert findings(tiny) == ""
    admit(tiny)


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
    assert commit_of(tiny.root, "HEAD") == (tiny.root / ".git" / "refs" / "heads" / "main").read_text().strip()


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


def test_policy_of_a_workspace_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of a larger repository policy and keys are those of HEAD, too, and so is a file of another commit,
    also without git's program; in a container, which has the folder alone, the policy is refused.
    """
    git(Tiny(tmp_path), "init", "--quiet")
    tiny = Tiny.create(tmp_path / "folder", "promotion: {signed: true}\n")
    commit(tiny)
    workspace, name = Workspace(tiny.root), "environments/dev.yml"
    (tiny.root / name).write_text("promotion: {signed: false}\n")
    (tiny.root / TRUSTED).mkdir()
    (tiny.root / TRUSTED / "eve.pem").write_text("")
    assert settings.committed_promotion(workspace, "dev").signed
    assert signing.trusted_keys(workspace) == {}
    assert head.has_same(tiny.root, "HEAD", name)
    assert file_names(tiny.root, "HEAD", "environments", ".yml") == ["dev"]
    assert show(tiny.root, "HEAD", name) == head.content(tiny.root, name) == b"promotion: {signed: true}\n"
    first = head_of(tiny.root)
    git(tiny, "commit", "--quiet", "--all", "-m", "weaker")
    assert not head.has_same(tiny.root, "HEAD^", name)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda _: None)
        assert not settings.committed_promotion(workspace, "dev").signed
        names = sorted(path.name for path in (tiny.root / "environments").iterdir())
        assert head.file_names(tiny.root, "environments") == [name for name in names if name != "trusted-keys"]
        assert show(tiny.root, first, name) == b"promotion: {signed: true}\n"
        assert head.digests(tiny.root, lambda path: path == name) == {name: sha256((tiny.root / name).read_bytes())}
        for variable in ("SAMEBOOK_COMMIT", "SAMEBOOK_PATCH"):
            patch.setenv(variable, "some")
        (tmp_path / ".git").rename(tmp_path / "outside")
        with pytest.raises(UsageError, match=r"outside of the container.*a folder of a larger repository"):
            settings.committed_promotion(workspace, "dev")


def test_worktree_in_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git's program, a worktree whose repository is not there is said to be one."""
    (tmp_path / ".git").write_text("gitdir: /nowhere/.git/worktrees/tree\n")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    for variable in ("SAMEBOOK_COMMIT", "SAMEBOOK_PATCH"):
        monkeypatch.setenv(variable, "some")
    with pytest.raises(UsageError, match=r"outside of the container: it is a worktree"):
        head.content(tmp_path, "models/delay.json")


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
        (lambda keys: more(keys, "zoe: {keys: [zoe], signs: [all]}"), r"signs: \[runs, reproductions, releases\]}"),
        (lambda keys: more(keys, "ada: {keys: [ben], signs: [runs]}"), "is there already"),
        (lambda keys: (keys / "owners.yml").write_text("# nobody yet\n"), "ada.pem has no owner"),
        (lambda keys: (keys / "owners.yml").rename(keys / "owners.yaml"), "expected owners.yml"),
    ],
    ids=["same key", "no owner", "two owners", "no purpose", "unchecked purpose", "owner twice", "empty", "misnamed"],
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


def test_base_is_that_of_the_dockerfile(tiny: Tiny) -> None:
    """A base by digest counts where the Dockerfile pins it, HEAD's or that of the run's commit; not any base does.

    The command that mends it names the base that HEAD pins.
    """
    base = {"name": "base image", "uri": f"mirror/python:3.13@sha256:{'a' * 64}"}
    statement, workspace = receipt.read(run_of(tiny)), Workspace(tiny.root)
    receipt.dependencies(statement).append(base)
    assert "is not the one that the Dockerfile pins" in policy.foreign_base(workspace, statement)
    (tiny.root / "Dockerfile").write_text(f"ARG BASE_IMAGE=python:3.13@sha256:{'a' * 64}\n")
    assert policy.foreign_base(workspace, statement)
    commit(tiny)
    pinned = git(tiny, "rev-parse", "HEAD")
    assert not policy.foreign_base(workspace, statement)
    (tiny.root / "Dockerfile").write_text(f"ARG BASE_IMAGE=python:3.14@sha256:{'b' * 64}\n")
    commit(tiny)
    assert policy.foreign_base(workspace, statement)
    conditions = Promotion(pinned_image=True)
    candidate = policy.Candidate(workspace, "delay", run_of(tiny), statement, conditions, (), None, None)
    condition = policy._pinned_image(candidate)
    assert condition
    assert condition.mend.endswith(f"ENGINE=docker BASE_IMAGE=python:3.14@sha256:{'b' * 64}")
    receipt.dependencies(statement)[0]["digest"]["gitCommit"] = pinned
    assert not policy.foreign_base(workspace, statement)
    git(tiny, "checkout", "--quiet", "--orphan", "other")
    commit(tiny)
    assert policy.foreign_base(workspace, statement)
    assert not policy.foreign_base(workspace, statement, "main")


@pytest.mark.parametrize(
    ("base", "is_pinned"),
    [
        (f"python:3.13@sha256:{'a' * 64}", True),
        ("evil/sha256:latest", False),
        ("evil@sha256:a", False),
        (f"evil:sha256-{'a' * 64}", False),
        (None, False),
    ],
)
def test_pinned_is_by_digest(base: str | None, is_pinned: bool) -> None:
    """An image is pinned by a whole digest alone; a name or a tag with the word in it is not."""
    assert (policy.unpinned_image("docker", f"sha256:{'b' * 64}", base) == "") is is_pinned
