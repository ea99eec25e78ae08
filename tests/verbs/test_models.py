"""Promoted models in use: checked before a run, loaded from any branch, put into folders, made again where needed."""

import shutil
import subprocess
import sys
from pathlib import Path

import promoting
import pytest
from promoting import promote, run_of, stderr_of
from s3 import S3
from tiny import Tiny, git

from samebook.core import git as commits
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.models import bundle, lookup
from samebook.reproduction.rerun import Site
from samebook.verbs import models

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with the model of level 2 on main and of level 3 on `prod`, each with its files in the store."""
    tiny = promoting.create(tmp_path_factory.mktemp("models") / "workspace", 2, 3)
    promote(tiny, 2)
    git(tiny, "switch", "--quiet", "--create", "prod")
    promote(tiny, 3)
    git(tiny, "switch", "--quiet", "main")
    return tiny


@pytest.fixture
def tiny(trained: Tiny, tmp_path: Path) -> Tiny:
    return promoting.copy(trained, tmp_path / "workspace")


def object_of(tiny: Tiny, name: str = "outputs/model.txt") -> Path:
    digest = promoting.promoted_bundle(tiny)["artifacts"][name]["sha256"]
    return tiny.root / "store" / digest[:2] / digest[2:4] / digest


def scored(tiny: Tiny, *options: str) -> str:
    ended = tiny.samebook("run", "score", *options)
    assert ended.code == 0, ended.stderr
    return (tiny.last / "outputs" / "score.txt").read_text()


def test_run_takes_promoted_model(tiny: Tiny) -> None:
    """A notebook scores with the model promoted here, or on another branch, tag or commit, without a checkout."""
    git(tiny, "tag", "v3", "prod")
    commit = git(tiny, "rev-parse", "prod")
    assert scored(tiny) == "2"
    assert {scored(tiny, "-p", f"model=delay@{ref}") for ref in ("prod", "v3", commit, commit[:10])} == {"3"}


def test_model_is_an_input(tiny: Tiny) -> None:
    """The receipt names the model's file and its bundle by hash, and how the model was made."""
    scored(tiny, "-p", "model=delay@prod")
    text = (tiny.last / "receipt.json").read_text()
    assert '"name": "delay@prod/model.txt"' in text
    assert '"name": "bundle delay@prod"' in text
    assert promoting.promoted_bundle(tiny, "prod")["source"]["commit"] in text


def test_scoring_run_is_reproduced(tiny: Tiny) -> None:
    """A run that used a branch's model is IDENTICAL later, though the branch has moved on and the store is gone."""
    scored(tiny, "-p", "model=delay@prod")
    git(tiny, "branch", "--force", "prod", "main")
    git(tiny, "tag", "keep", git(tiny, "rev-parse", "prod@{1}"))
    shutil.rmtree(tiny.root / "store")
    ended = tiny.samebook("reproduce", tiny.last.name)
    assert ended.code == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-p", "model=delay@prd"), "no branch, tag or commit 'prd'"),
        (("-p", "model=dealy@prod"), "there is no models/dealy.json at prod"),
        (("-p", "model=nothing"), "no model.txt from 'nothing'"),
        (("-p", "model="), "parameter model: found ''"),
    ],
)
def test_unknown_model_named(tiny: Tiny, options: tuple[str, ...], message: str) -> None:
    """A model, or a branch, that isn't there is named."""
    assert message in tiny.samebook("run", "score", *options).stderr


def test_incomplete_store_stops_run(tiny: Tiny) -> None:
    """A run whose model lacks a file, or has a damaged one, does not start, and names the command that mends it."""
    object_of(tiny).chmod(0o644)
    object_of(tiny).write_text("9")
    runs = len(tiny.runs)
    assert "outputs/model.txt is not in the store" in stderr_of(tiny.samebook("run", "score"), 2)
    object_of(tiny, "metrics.json").unlink()
    assert "make models MODEL=delay" in stderr_of(tiny.samebook("run", "score"), 2)
    assert len(tiny.runs) == runs


def test_missing_file_runs_no_code(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a branch's model that is nowhere is not made again by itself: that would run the branch's code."""
    digest = promoting.promoted_bundle(tiny, "prod")["artifacts"]["outputs/model.txt"]["sha256"]
    (tiny.root / "store" / digest[:2] / digest[2:4] / digest).unlink()
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    program = "import samebook; samebook.find_artifact('delay@prod', 'model.txt')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=tiny.root, capture_output=True, text=True, check=False)
    assert "model.txt is not in the store" in ended.stderr
    assert "running" not in ended.stderr


def test_hand_edit_stops_run(tiny: Tiny) -> None:
    """A bundle that was edited by hand stops the run before it starts."""
    path = tiny.root / "models" / "delay.json"
    path.write_text(path.read_text().replace('"auc": 0.2', '"auc": 0.9'))
    assert "it was edited by hand" in stderr_of(tiny.samebook("run", "score"), 2)


def test_receipt_overrules_bundle(tiny: Tiny) -> None:
    """A bundle that names another model's file than its receipt does is refused, though its own hashes hold."""
    path = tiny.root / "models" / "delay.json"
    promoted_bundle, other = bundle.parse(path.read_bytes(), "delay"), lookup.read(Workspace(tiny.root), "delay@prod")
    files = {**promoted_bundle.artifacts, "outputs/model.txt": other.artifacts["outputs/model.txt"]}
    path.write_bytes(promoted_bundle.model_copy(update={"artifacts": files}).sealed().content())
    assert "can't be trusted: its receipt has other files" in stderr_of(tiny.samebook("run", "score"), 2)


@pytest.mark.forger
def test_link_of_a_branch_is_not_written_through(tiny: Tiny, tmp_path: Path) -> None:
    """A link in the place of the models' folders, which a branch may bring, leads no file out of the checkout."""
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(tiny.root / "models" / ".files", ignore_errors=True)
    (tiny.root / "models" / ".files").symlink_to(tmp_path / "elsewhere")
    assert "models/.files is a link to" in stderr_of(tiny.samebook("models", "delay"), 2)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_policy_holds_for_merged_models(tiny: Tiny) -> None:
    """A model that was promoted under a weaker policy doesn't run under a stricter one until it meets that."""
    assert "has reproduced it" in stderr_of(tiny.samebook("run", "score", "--env", "preprod"), 6)
    promoting.attest(tiny, 2)
    promote(tiny, 2, "--env", "preprod")
    assert tiny.samebook("run", "score", "--env", "preprod").code == 0


def test_renamed_bundle_refused(tiny: Tiny) -> None:
    """A bundle under another model's name is refused."""
    git(tiny, "mv", "models/delay.json", "models/other.json")
    assert "models/other.json is the bundle of delay" in stderr_of(
        tiny.samebook("run", "score", "-p", "model=other"), 2
    )


def test_models_are_folders(tiny: Tiny) -> None:
    """`samebook models` makes read-only folders of the promoted models, and updates them on another branch."""
    files = tiny.root / "models" / ".files"
    assert stderr_of(tiny.samebook("models"), 0) == ""
    assert (files / "delay" / "model.txt").read_text() == "2"
    assert (files / "delay" / "model.txt").stat().st_mode & 0o222 == 0
    assert tiny.samebook("models", "delay@prod").code == 0
    assert (files / "delay@prod" / "model.txt").read_text() == "3"
    git(tiny, "switch", "--quiet", "prod")
    assert tiny.samebook("models").code == 0
    assert {path.name: (path / "model.txt").read_text() for path in files.glob("d*")} == {
        "delay": "3",
        "delay@prod": "3",
    }


def test_version_before_is_kept(tiny: Tiny) -> None:
    """The version before stays, for a container that has it mounted; older ones are removed."""
    versions = tiny.root / "models" / ".files" / ".versions"
    assert tiny.samebook("models").code == 0
    first = (versions.parent / "delay").resolve()
    git(tiny, "switch", "--quiet", "prod")
    assert tiny.samebook("models").code == 0
    assert (first / "model.txt").read_text() == "2"
    assert len(list(versions.iterdir())) == 2
    assert tiny.samebook("rollback", "delay").code == 0
    assert tiny.samebook("models").code == 0
    assert len(list(versions.iterdir())) == 2


def test_folder_follows_promotion(tiny: Tiny) -> None:
    """A promotion and a rollback update the model's folder where there is one, and make none where there isn't."""
    folder = tiny.root / "models" / ".files" / "delay"
    promote(tiny, 3)
    assert not folder.exists()
    assert tiny.samebook("models").code == 0
    assert tiny.samebook("rollback", "delay").code == 0
    assert (folder / "model.txt").read_text() == "2"
    promote(tiny, 3)
    assert (folder / "model.txt").read_text() == "3"


def test_folder_keeps_its_policy(tiny: Tiny) -> None:
    """A promotion in another environment brings no model into a folder whose own environment refuses it."""
    folder = tiny.root / "models" / ".files" / "delay"
    promoting.attest(tiny, 2)
    promote(tiny, 2, "--env", "preprod")
    models.models(Site(Workspace(tiny.root), "local", lambda _: None), ["delay"], "preprod")
    ended = tiny.samebook("promote", promoting.run_of(tiny, 3), "delay")
    assert "does not meet the policy of preprod" in stderr_of(ended, 6)
    assert "committed" in ended.stdout
    assert (folder / "model.txt").read_text() == "2"


def test_versions_do_not_pile_up(tmp_path: Path) -> None:
    """Two versions of a model stay, in whatever order they came: the one in use and the one before it."""
    for name in ("aa", "bb", "aa", "cc", "cc"):
        version = tmp_path / models.VERSIONS / name
        version.mkdir(parents=True, exist_ok=True)
        models._link(tmp_path / "delay", version)
        models._drop_versions(tmp_path)
    assert {path.name for path in (tmp_path / models.VERSIONS).iterdir()} == {"aa", "cc"}
    assert (tmp_path / "delay").resolve().name == "cc"


def test_branch_may_have_a_slash(tiny: Tiny) -> None:
    """The model of a branch like feature/x has one folder, in whose name the slash is quoted."""
    git(tiny, "branch", "feature/x", "prod")
    ended = tiny.samebook("models", "delay@feature/x")
    assert ended.code == 0, ended.stderr
    assert "models/.files/delay@feature%2Fx " in ended.stdout
    assert (tiny.root / "models" / ".files" / "delay@feature%2Fx" / "model.txt").read_text() == "3"


def test_changed_files_are_put_right(tiny: Tiny) -> None:
    """Files that were changed, added or removed in the folder are put right; none is a link to the store's object."""
    assert tiny.samebook("models").code == 0
    folder = tiny.root / "models" / ".files" / "delay"
    (folder / "model.txt").chmod(0o644)
    (folder / "model.txt").write_text("changed")
    (folder / "more.txt").write_text("more")
    (folder / "reference.json").unlink()
    assert tiny.samebook("models").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["model.txt", "reference.json"]
    assert (folder / "model.txt").read_text() == object_of(tiny).read_text() == "2"


def test_git_alone_is_enough(tiny: Tiny, tmp_path: Path) -> None:
    """A machine that has the repository alone makes the model again, checks its hash, and scores with it."""
    other = promoting.clone(tiny, tmp_path / "other")
    message = stderr_of(other.samebook("models"), 0)
    assert "running notebooks/train.ipynb again" in message
    assert (other.root / "models" / ".files" / "delay" / "model.txt").read_text() == "2"
    assert scored(other) == "2"
    loaded = other.samebook("models", "delay@prod")
    assert loaded.code == 0, loaded.stderr


def test_git_and_bucket_are_enough(tiny: Tiny, tmp_path: Path, s3: S3) -> None:
    """Two machines that share only git and a bucket both predict: pushed files are fetched before the run starts."""
    shared = {"SAMEBOOK_STORE__URL": s3.url, "SAMEBOOK_STORE__ENDPOINT": s3.endpoint}
    shared |= {"SAMEBOOK_STORE__ACCESS_KEY": "S3_KEY", "SAMEBOOK_STORE__SECRET_KEY": "S3_TEXT"}
    assert tiny.samebook("store", "push", **shared).code == 0
    other = promoting.clone(tiny, tmp_path / "other")
    ended = other.samebook("run", "score", **shared)
    assert ended.code == 0, ended.stderr
    assert (other.last / "outputs" / "score.txt").read_text() == "2"
    assert "again" not in stderr_of(other.samebook("models", **shared), 0)
    assert other.samebook("store", "pull", **shared).code == 0
    assert other.samebook("reproduce", "delay", **shared).code == 0


def test_denying_bucket_is_told(tiny: Tiny, tmp_path: Path, s3: S3) -> None:
    """Where the bucket denies, a run says so and how to go on; models then makes the model again."""
    s3.allow()
    shared = {"SAMEBOOK_STORE__URL": s3.url, "SAMEBOOK_STORE__ENDPOINT": s3.endpoint}
    shared |= {"SAMEBOOK_STORE__ACCESS_KEY": "S3_KEY", "SAMEBOOK_STORE__SECRET_KEY": "S3_TEXT"}
    other = promoting.clone(tiny, tmp_path / "other")
    message = stderr_of(other.samebook("run", "score", **shared), 2)
    assert "denies" in message
    assert "make models MODEL=delay" in message
    assert "running notebooks/train.ipynb again" in stderr_of(other.samebook("models", **shared), 0)


def test_other_bytes_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    """A bundle whose source gives other bytes, and whose objects are nowhere, is an error; no folder appears."""
    path = tiny.root / "models" / "delay.json"
    promoted_bundle = bundle.parse(path.read_bytes(), "delay")
    forged = {**promoted_bundle.artifacts, "outputs/model.txt": bundle.Artifact(sha256="ab" * 32, size=1)}
    path.write_bytes(promoted_bundle.model_copy(update={"artifacts": forged}).sealed().content())
    git(tiny, "commit", "--quiet", "--all", "-m", "forged")
    other = promoting.clone(tiny, tmp_path / "other")
    assert "was made again and differs: outputs/model.txt" in stderr_of(other.samebook("models"), 3)
    assert not (other.root / "models" / ".files" / "delay").exists()


def test_nothing_promoted_is_told(tiny: Tiny) -> None:
    """Without a promoted model, `models` names the command that promotes one, and removes the old folder."""
    assert tiny.samebook("models").code == 0
    git(tiny, "rm", "--quiet", "models/delay.json")
    assert "make promote RUN=" in stderr_of(tiny.samebook("models"), 0)
    assert list((tiny.root / "models" / ".files").glob("[a-z]*")) == []
    shutil.rmtree(tiny.root / "models" / ".files")
    assert "no model is promoted on this branch" in stderr_of(tiny.samebook("models"), 0)


def test_model_is_reproduced_by_name(tiny: Tiny) -> None:
    """`reproduce delay` runs the model's own run again, by the receipt in the store."""
    shutil.rmtree(tiny.root / "runs")
    ended = tiny.samebook("reproduce", "delay@prod")
    assert ended.code == 0, ended.stderr
    assert "IDENTICAL: 4 of 4" in ended.stdout
    assert list(tiny.root.glob("runs/.received/*/reproduction-1.json"))


def test_gc_keeps_all_versions(tiny: Tiny) -> None:
    """Objects that a model of any branch needs, or needed, stay in the store when its runs are removed."""
    shutil.rmtree(tiny.root / "runs")
    kept = {path for path in (tiny.root / "store").rglob("*") if path.is_file()}
    git(tiny, "merge", "--quiet", "prod")
    assert tiny.samebook("store", "gc").code == 0
    needed = {digest for ref in ("main~1", "prod") for digest in _objects(tiny, ref)}
    assert needed <= {path.name for path in kept if path.exists()}


def test_gc_refused_in_shallow_clone(tiny: Tiny, tmp_path: Path) -> None:
    """Nothing is removed where the history is missing: the needs of earlier models aren't known."""
    git(tiny, "clone", "--quiet", "--depth", "1", f"file://{tiny.root}", str(tmp_path / "shallow"))
    assert "git fetch --unshallow" in stderr_of(Tiny(tmp_path / "shallow").samebook("store", "gc"), 2)


def _objects(tiny: Tiny, ref: str) -> set[str]:
    content = f"{git(tiny, 'show', f'{ref}:models/delay.json')}\n".encode()
    return set(bundle.referenced_objects(bundle.parse(content, ref)))


def test_history_without_git(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no git, as in the image, a branch's bundle is read all the same: loose, packed, in a worktree."""
    monkeypatch.setattr(commits.shutil, "which", lambda _: None)
    expected = promoting.promoted_bundle(tiny, "prod")["digest"]
    for prepare in (("status",), ("gc", "--quiet"), ("pack-refs", "--all"), ("worktree", "add", "--quiet", "tree")):
        git(tiny, *prepare)
        assert lookup.read(Workspace(tiny.root), "delay@prod").digest == expected
    assert lookup.read(Workspace(tiny.root / "tree"), "delay@prod").digest == expected
    for reference, message in {
        "delay@nowhere": "no branch",
        "delay@prod~9": "no branch",
        "other@prod": "there is no",
    }.items():
        with pytest.raises(UsageError, match=message):
            lookup.read(Workspace(tiny.root), reference)


def test_diff_shows_both_sides(tiny: Tiny) -> None:
    """`diff` sets metrics, parameters and provenance of two branches side by side, as text or Markdown."""
    shown = tiny.samebook("diff", "main", "prod").stdout
    lines = [line.split() for line in shown.splitlines()]
    assert ["auc", "0.2", "0.3", "+0.1"] in lines
    assert ["level", "2", "3"] in lines
    assert ["run", run_of(tiny, 2), run_of(tiny, 3)] in lines
    assert "| metrics | auc | 0.2 | 0.3 | +0.1 |" in tiny.samebook("diff", "main", "prod", "--markdown").stdout
    assert "the same in main and here" in tiny.samebook("diff", "main").stdout
    assert "no branch, tag or commit 'x'" in stderr_of(tiny.samebook("diff", "x"), 2)
