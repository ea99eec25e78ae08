"""Receipts of strangers, which run and read nothing unasked."""

import os
import resource
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from reproducing import commit, make_repository
from tiny import Tiny, git

from samebook.api import artifacts, context
from samebook.core.digest import sha256
from samebook.core.errors import NotReproduced, SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.reads import origin
from samebook.reads.pins import Pins
from samebook.records import receipt
from samebook.records.comparison import Verdict
from samebook.records.schema import Dependency
from samebook.reproduction import isolation, original, rerun
from samebook.reproduction.rerun import Site
from samebook.store import objects, own_patches
from samebook.verbs import reproduce, verify
from samebook.verbs.reproduce import ReproduceRequest

pytestmark = [pytest.mark.host, pytest.mark.forger]

PATCH = b"diff --git a/Makefile b/Makefile\n--- a/Makefile\n+++ b/Makefile\n"
# Changes that git applies as well: without a header, and with a name in quotes.
HIDDEN = b"""\
diff --git a/readme b/readme
--- a/readme
+++ b/readme
@@ -1 +1 @@
-a
+b
--- a/notes.txt
+++ b/notes.txt
@@ -1 +1 @@
-a
+b
diff --git "a/r\\165n.py" "b/r\\165n.py"
new file mode 100644
--- /dev/null
+++ "b/r\\165n.py"
@@ -0,0 +1 @@
+x
"""
PINNED, OTHER = (f"python:3.13@sha256:{digit * 64}" for digit in "ab")


@pytest.fixture
def repository(tmp_path: Path) -> Tiny:
    return make_repository(tmp_path / "workspace")


def site_of(tiny: Tiny) -> Site:
    return Site(Workspace(tiny.root), "local", lambda _: None, tiny.root)


def commit_of(annotations: dict[str, Any], digest: str = "0" * 40) -> dict[str, Any]:
    return {"name": "commit", "digest": {"gitCommit": digest}, "annotations": annotations}


def test_patch_is_not_applied_unasked(repository: Tiny) -> None:
    """A patch that came with a receipt is applied only where the user says so; the refusal names what it changes."""
    (repository.root / "uncommitted.patch").write_bytes(PATCH)
    source, site = commit_of({"dirty": True, "patch": sha256(PATCH)}), site_of(repository)
    with pytest.raises(UsageError, match="changes to Makefile, and they would run here"):
        rerun._patch(site, source)
    assert rerun._patch(replace(site, trusts_patch=True), source) == PATCH
    own_patches.put(site.workspace, repository.root / "uncommitted.patch")  # as a run on this machine does
    assert rerun._patch(site, source) == PATCH


def test_patch_that_came_into_the_store(repository: Tiny) -> None:
    """A patch in the store may have come from a bucket, or from a stranger's commit as a result: it is not trusted."""
    digest, site = objects.local_store(Workspace(repository.root)).put(PATCH), site_of(repository)
    with pytest.raises(UsageError, match="changes to Makefile, and they would run here") as refusal:
        rerun._patch(site, commit_of({"dirty": True, "patch": digest}))
    assert digest in (refusal.value.mend or "")
    assert rerun._patch(replace(site, trusts_patch=True), commit_of({"dirty": True, "patch": digest})) == PATCH


def test_patch_of_an_input_needs_its_own_word(repository: Tiny) -> None:
    """The word for a receipt's patch is none for the patch of a run that made an input: nobody was shown that one."""
    site, digest = site_of(repository), objects.local_store(Workspace(repository.root)).put(PATCH)
    source = commit_of({"dirty": True, "patch": digest}, git(repository, "rev-parse", "HEAD"))
    built = receipt.built_from(receipt.plan({"commit": source, "notebook": "a", "parameters": {}, "env": "dev"}))
    with pytest.raises(UsageError, match="changes to Makefile, and they would run here") as refusal:
        rerun._rebuild(replace(site, trusts_patch=True), "x.csv", "0" * 64, built)
    assert "the receipt of the run with these changes" in (refusal.value.mend or "")


def test_patch_names_all_that_it_changes(repository: Tiny) -> None:
    """The refusal names each file that git would change, in whatever form the patch has it."""
    digest = objects.local_store(Workspace(repository.root)).put(HIDDEN)
    with pytest.raises(UsageError, match=r"changes to notes\.txt, readme, run\.py, and they"):
        rerun._patch(site_of(repository), commit_of({"dirty": True, "patch": digest}))


def test_name_in_a_mend_is_no_command(repository: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that a stranger has chosen is one word of the command that mends: a person may copy it into a shell."""
    monkeypatch.chdir(repository.root)
    run = "20130101T000000Z-$(touch x)-abcdef"
    output = repository.root / "runs" / run / "outputs" / "a`touch x`.csv"
    output.parent.mkdir(parents=True)
    output.write_text("1")
    repository.receipt(run)
    output.write_text("2")
    path = output.parents[1] / "receipt.json"
    for check in (verify.verify, partial(original.read, Workspace(repository.root))):
        with pytest.raises(NotReproduced) as refusal:
            check(path)
        command = (refusal.value.mend or "").rpartition(": ")[2]
        assert {str(path), f"RUN={run}"} & {*shlex.split(command)}


def test_notebook_of_many_levels(repository: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A canonical notebook beside a receipt that is nested too deeply to be read is no traceback."""
    monkeypatch.chdir(repository.root)
    run = "20130101T000000Z-sum-abcdef"
    output = repository.root / "runs" / run / "outputs" / "notebook.canonical.json"
    output.parent.mkdir(parents=True)
    output.write_text("[" * 100_000 + "]" * 100_000)
    repository.receipt(run)
    path = output.parents[1] / "receipt.json"
    path.write_text(path.read_text().replace("outputs/notebook", "notebook"))
    output.rename(path.with_name(output.name))
    assert "notebook.canonical.json" in verify.verify(path).subjects


def test_place_of_the_verdict(repository: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no verdict can be written beside a receipt, as on a read-only medium, nothing runs in vain."""
    monkeypatch.chdir(repository.root)
    run = repository.root / "runs" / "20130101T000000Z-sum-abcdef"
    (run / "outputs").mkdir(parents=True)
    (run / "outputs" / "sum.txt").write_text("6")
    repository.receipt(run.name)
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != run)
    with pytest.raises(UsageError, match="can't be written, and the verdict would stay there"):
        reproduce.reproduce(ReproduceRequest(str(run / "receipt.json")), lambda _: None)


def test_full_disk_keeps_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full at the end, the error says the verdict, and no half of an attestation stays."""
    monkeypatch.delenv("SIGNING_KEY", raising=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # to the process, a disk of ten bytes
    try:
        with pytest.raises(SamebookError, match="the verdict is DIFFERENT, and no attestation could be kept"):
            reproduce._attest(tmp_path, b"{}" * 100, Verdict.DIFFERENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_unpatched_changes_are_named(repository: Tiny) -> None:
    """The refusal of a run on changes that no patch holds says which, on a terminal that they can't command."""
    source = commit_of({"dirty": True, "unpatched": ["big\x1b[2J.csv: 60 MB"]})
    with pytest.raises(UsageError, match=r"no patch holds: 'big\\x1b\[2J.csv: 60 MB'"):
        rerun._patch(site_of(repository), source)


def test_patch_on_a_clean_commit(repository: Tiny) -> None:
    """A receipt that names a clean commit and a patch on it contradicts itself."""
    (repository.root / "uncommitted.patch").write_bytes(PATCH)
    with pytest.raises(UsageError, match="contradicts itself"):
        rerun._patch(site_of(repository), commit_of({"dirty": False, "patch": sha256(PATCH)}))


def test_commit_of_no_branch_is_not_run(repository: Tiny) -> None:
    """An input is made again only by a commit in the past of this branch, or of the run that was asked for."""
    git(repository, "checkout", "--quiet", "-b", "stranger")
    (repository.root / "Makefile").write_text("environment:\n\ttouch ran\n")
    commit(repository)
    source = commit_of({"dirty": False}, git(repository, "rev-parse", "HEAD"))
    git(repository, "checkout", "--quiet", "-")
    built = receipt.built_from(receipt.plan({"commit": source, "notebook": "a", "parameters": {}, "env": "dev"}))
    with pytest.raises(UsageError, match="neither in this branch nor in the run's past"):
        rerun._rebuild(site_of(repository), "x.csv", "0" * 64, built)
    assert not list(repository.root.rglob("ran"))


def test_input_is_made_with_its_numerics(monkeypatch: pytest.MonkeyPatch, repository: Tiny) -> None:
    """An input is made again with the numerics of the run that made it, or else with those of the run that read it."""
    plans = list[receipt.Json]()

    @contextmanager
    def new_run(_: Site, plan: receipt.Json) -> Iterator[Path]:
        plans.append(plan)
        yield repository.root

    monkeypatch.setattr(rerun, "new_run", new_run)
    monkeypatch.setattr(rerun.head, "is_in_past", lambda *_: True)
    made = receipt.plan({"commit": commit_of({"dirty": False}), "notebook": "a", "parameters": {}, "env": "dev"})
    reader = {"numerics": "fast", "threads": {"openmp": 8, "blas": 8}}
    for numerics in ({"numerics": "fast", "threads": {"openmp": 4, "blas": 1}}, {}):
        made["predicate"]["buildDefinition"]["internalParameters"] = numerics
        annotations = {"input": True, "builtFrom": receipt.built_from(made)}
        item = {"name": "x.csv", "digest": {"sha256": "0" * 64}, "annotations": annotations}
        with pytest.raises(NotReproduced):
            rerun._content(site_of(repository), item, reader)
        assert Dependency.model_validate(item)
    assert [isolation.numerics(plan)["OPENBLAS_NUM_THREADS"] for plan in plans] == ["1", "8"]


@pytest.mark.parametrize(("uri", "is_taken"), [(PINNED, True), ("evil:latest", False), (OTHER, False)])
def test_base_image_is_the_dockerfiles(tmp_path: Path, uri: str, is_taken: bool) -> None:
    """A receipt's base image is used only by a digest that the commit's own Dockerfile names, in any encoding."""
    (tmp_path / "Dockerfile").write_bytes(
        f"# caf\xe9\nARG BASE_IMAGE={PINNED}\nFROM ${{BASE_IMAGE}}\n".encode("latin-1")
    )
    statement = {"predicate": {"buildDefinition": {"resolvedDependencies": [{"name": "base image", "uri": uri}]}}}
    assert isolation.base_image(statement, tmp_path) == ({"BASE_IMAGE": uri} if is_taken else {})


def test_files_of_the_machine_are_not_read(repository: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a reproduction, a parameter of the receipt can't have a file outside the workspace read."""
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(repository.root))
    monkeypatch.setenv(*next(iter(Pins({}).write(repository.root / "pins.json").items())))
    monkeypatch.setenv("SAMEBOOK_RUN", str(repository.root / "runs" / ".partial" / "1"))
    for cached in (context.current_workspace, context.run, context.pinned):
        cached.cache_clear()
    with pytest.raises(UsageError, match="reads no file outside the workspace"):
        artifacts.find_artifact("/proc/self/environ", "environ")
    for cached in (context.current_workspace, context.run, context.pinned):
        cached.cache_clear()


@pytest.mark.parametrize("name", ["/dev/zero", "../pipe", "../nothing"])
def test_device_is_not_read(tmp_path: Path, name: str) -> None:
    """The name of an undeclared file in a receipt may be a device without an end, or a pipe: it is not read."""
    os.mkfifo(tmp_path / "pipe")
    assert origin.current_digest(Workspace(tmp_path / "workspace"), name) == ""


def test_name_stays_in_its_folder(repository: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of an artifact leads nowhere else."""
    monkeypatch.setattr(context, "run", lambda: repository.root / "runs" / "1")
    with pytest.raises(UsageError, match="without a way out"):
        artifacts._copy("../../../x", b"x")
