"""Pods that have a git repository: what needs one, who has a key, and what is refused before a manifest is written."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from promoting import stderr_of
from tiny import Tiny, git

from samebook.cluster.frame import VOLUMES
from samebook.cluster.repository import SCRIPT
from samebook.core.make import clean_environment

IMAGE = f"registry.example.com/samebook@sha256:{'0' * 64}"
GIT_IMAGE = f"registry.example.com/git@sha256:{'1' * 64}"
ADDRESS = "ssh://git@git.example.com:2222/team/flights.git"
PROMOTING = "steps: {train: {}, promote: {needs: [train], promote: {run: $train, model: m}}}\n"
SETTINGS = 'schedule: {daily: "30 4 * * *", weekly: "0 5 * * 1"}\npromotion: {signed: true}\n'


@pytest.fixture
def scheduled(tiny: Tiny) -> Tiny:
    """A committed workspace that schedules a job which promotes, and one which needs no repository."""
    tiny.notebook("train", parameters='model: str = ""', work="1")
    folder = tiny.root / "environments" / "pipelines"
    folder.mkdir()
    (folder / "weekly.yml").write_text(PROMOTING)
    (folder / "daily.yml").write_text("parameters: {day: today}\nsteps: {train: {}}\n")
    (tiny.root / "environments" / "dev.yml").write_text(SETTINGS)
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "--message", "work")
    return tiny


def rendered(tiny: Tiny, *options: str) -> dict[str, dict[str, Any]]:
    """The manifests by kind and name."""
    ended = tiny.samebook("kubernetes", "render", "--image", IMAGE, *options)
    assert ended.code == 0, ended.stderr
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in yaml.safe_load_all(ended.stdout)}


def pod(cron_job: dict[str, Any]) -> dict[str, Any]:
    return cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_only_what_promotes_has_keys(scheduled: Tiny) -> None:
    """A job that promotes is cloned before and pushed after, with a key each; the run's container and other jobs have
    none, and the manifest has the text of none.
    """
    found = rendered(scheduled, "--repository", ADDRESS, "--git-image", GIT_IMAGE)
    assert set(found) == {
        "ConfigMap/samebook-dev-git-script",
        "CronJob/samebook-dev-daily",
        "CronJob/samebook-dev-weekly",
    }
    daily, weekly = (pod(found[f"CronJob/samebook-dev-{job}"]) for job in ("daily", "weekly"))
    assert "initContainers" not in daily
    clone, samebook = weekly["initContainers"]
    (push,) = weekly["containers"]
    assert [each["name"] for each in (clone, samebook, push)] == ["clone", "samebook", "push"]
    assert [each["image"] for each in (clone, samebook, push)] == [GIT_IMAGE, IMAGE, GIT_IMAGE]
    assert samebook["args"][-2:] == ["--promotions", "/handed/promotion.bundle"]
    secrets = {each["name"]: each["secret"]["secretName"] for each in weekly["volumes"] if "secret" in each}
    assert secrets == {"git-key": "samebook-dev-git-key", "git-writing-key": "samebook-dev-git-writing-key"}
    mounted = [{mount["name"] for mount in each["volumeMounts"]} & secrets.keys() for each in (clone, samebook, push)]
    assert mounted == [{"git-key"}, set(), {"git-writing-key"}]
    for each in (clone, samebook, push):
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    written = [{mount["name"] for mount in each["volumeMounts"] if not mount.get("readOnly")} for each in (clone, push)]
    assert written == [{"checkout", "clone-tmp"}, {"push-tmp"}]  # where no notebook has left a file
    fixed = {mount["mountPath"] for mount in samebook["volumeMounts"] if mount.get("readOnly")}
    assert fixed == {"/workspace/environments", "/workspace/notebooks", "/workspace/scripts"}  # what runs after it
    commit = git(scheduled, "rev-parse", "HEAD").strip()
    assert {"name": "COMMIT", "value": commit} in clone["env"]


def test_signed_policy_has_its_key(scheduled: Tiny) -> None:
    """Where the policy asks for signatures, the job that promotes signs, by a key from the environment's Secret."""
    found = rendered(scheduled, "--repository", ADDRESS)
    reference = {"secretKeyRef": {"name": "samebook-dev", "key": "RUN_KEY"}}
    signing = {"name": "SIGNING_KEY", "valueFrom": reference}
    assert signing in pod(found["CronJob/samebook-dev-weekly"])["initContainers"][1]["env"]
    assert signing not in pod(found["CronJob/samebook-dev-daily"])["containers"][0]["env"]


def test_signatures_stay_in_a_claim(scheduled: Tiny) -> None:
    """With a shared store, a job that signs keeps its runs in a claim: from the store they come without signatures."""
    store = "store: {url: 's3://bucket/a', access_key: KEY_ID, secret_key: KEY}\n"
    (scheduled.root / "environments" / "dev.yml").write_text(SETTINGS + store)
    found = rendered(scheduled, "--repository", ADDRESS)
    for job, kept in (("daily", ["data"]), ("weekly", list(VOLUMES))):
        volumes = pod(found[f"CronJob/samebook-dev-{job}"])["volumes"]
        assert [each["name"] for each in volumes if "persistentVolumeClaim" in each] == kept


def test_model_of_a_branch_is_cloned(scheduled: Tiny) -> None:
    """A run that reads a model of a branch has the repository, read alone; one of this branch's has none."""
    (own,) = rendered(scheduled, "--notebook", "train", "-p", "model=churn").values()
    assert "initContainers" not in own["spec"]["template"]["spec"]
    script, job = rendered(
        scheduled, "--notebook", "train", "-p", "model=churn@ab-test-x", "--repository", ADDRESS
    ).values()
    spec = job["spec"]["template"]["spec"]
    assert [each["name"] for each in (*spec["initContainers"], *spec["containers"])] == ["clone", "samebook"]
    assert script["data"]["repository.sh"].startswith("#")
    exits = [rule.get("onExitCodes", {}).get("containerName") for rule in job["spec"]["podFailurePolicy"]["rules"]]
    assert exits == [None, "samebook", "clone"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "weekly needs the git repository, which no image has: step promote promotes"),
        (["--repository", "ssh://git:secret@host/a.git"], "expected one of SSH or HTTPS, without a password"),
        (["--repository", "https://user:secret@host/a.git"], "expected one of SSH or HTTPS, without a password"),
        (["--repository", "ext::sh -c x"], "expected one of SSH or HTTPS, without a password"),
        (["--repository", "-oProxyCommand=x"], "expected one of SSH or HTTPS, without a password"),
        (["--repository", "https://git.example.com/a.git"], "is pushed by a deploy key"),
        (["--repository", ADDRESS, "--git-image", "alpine/git"], "--git-image 'alpine/git' has no digest"),
        (["--name", "weekly", "--from", "2013-07-01", "--to", "2013-07-02"], "step promote has to promote"),
    ],
)
def test_bad_input(scheduled: Tiny, options: list[str], message: str) -> None:
    """What could not be cloned, or not be pushed, and a password in an address, are refused."""
    ended = scheduled.samebook("kubernetes", "render", "--image", IMAGE, *options)
    assert message in stderr_of(ended, 2)


def test_reproduction_needs_another_builder(scheduled: Tiny) -> None:
    """A job that reproduces its own run is refused: its pod is on the builder that made it."""
    steps = "steps: {train: {}, reproduce: {needs: [train], reproduce: $train}}\n"
    (scheduled.root / "environments" / "pipelines" / "weekly.yml").write_text(steps)
    ended = scheduled.samebook("kubernetes", "render", "--image", IMAGE)
    assert "is no other builder's word" in stderr_of(ended, 2)


def test_promotions_are_handed_over(scheduled: Tiny, tmp_path: Path) -> None:
    """A pipeline writes the commit of its promotion into a bundle of git's, and none where nothing is promoted."""
    (scheduled.root / "environments" / "dev.yml").write_text("promotion: {}\n")
    scheduled.notebook("train", work='import samebook\nsamebook.output_path("m.txt").write_text("m")')
    (scheduled.root / ".gitignore").write_text("/runs/\n/store/\n/data/\n/.samebook/\n")
    git(scheduled, "add", "--all")
    git(scheduled, "commit", "--quiet", "--message", "train")
    before, file = git(scheduled, "rev-parse", "HEAD").strip(), tmp_path / "promotion.bundle"
    for _ in range(2):
        ended = scheduled.samebook("pipeline", "weekly", "--promotions", str(file))
        assert ended.code == 0, ended.stderr
        promoted = git(scheduled, "rev-parse", "HEAD").strip()
        assert git(scheduled, "bundle", "list-heads", str(file)).split() == [promoted, "HEAD"]
    assert git(scheduled, "rev-parse", "HEAD^").strip() == before
    file.unlink()
    assert scheduled.samebook("pipeline", "daily", "--promotions", str(file)).code == 0
    assert not file.exists()


def pushed(tmp_path: Path, promotion: Callable[[Tiny, Path], None]) -> tuple[subprocess.CompletedProcess[str], str]:
    """The push of what a job has left in its folder, after a commit of its own; its end, and the branch's changes."""
    job, server, handed = Tiny(tmp_path / "job"), tmp_path / "server.git", tmp_path / "handed"
    (job.root / "models").mkdir(parents=True)
    handed.mkdir()
    (job.root / "models" / "m.json").write_text("{}\n")
    (job.root / "code.py").write_text("1\n")
    git(job, "init", "--quiet")
    git(job, "add", "--all")
    git(job, "commit", "--quiet", "--message", "work")
    git(job, "tag", "promotion")  # a tag of the repository's own, and it is no matter
    git(job, "clone", "--quiet", "--bare", ".", str(server))
    commit = git(job, "rev-parse", "HEAD").strip()
    (job.root / "models" / "m.json").write_text('{"auc": 1}\n')
    git(job, "commit", "--quiet", "--all", "--message", "promote")
    promotion(job, handed / "promotion.bundle")
    (tmp_path / "tmp").mkdir()
    text = SCRIPT.replace("/tmp/", f"{tmp_path}/tmp/").replace("/handed/", f"{handed}/")
    variables = {"REPOSITORY": str(server), "COMMIT": commit, "SECRET": "key", "KEY": "/key", "BRANCH": "pod-1"}
    ended = subprocess.run(
        ["sh", "-c", text, "push", "push"],
        env={**clean_environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    branches = git(job, "--git-dir", str(server), "branch", "--list", "pod-1")
    changes = git(job, "--git-dir", str(server), "diff", "--name-only", commit, "pod-1") if branches else ""
    return ended, changes


def bundled(tiny: Tiny, file: Path, *refs: str) -> None:
    git(tiny, "bundle", "create", "--quiet", str(file), "HEAD", *refs, "^HEAD~2" if refs else "^HEAD~1")


def with_code(tiny: Tiny, file: Path) -> None:
    """A commit of code, and a tag by which only the commit before it would be looked at."""
    git(tiny, "tag", "--force", "promotion")
    (tiny.root / "code.py").write_text("2\n")
    git(tiny, "commit", "--quiet", "--all", "--message", "code")
    bundled(tiny, file, "refs/tags/promotion")


def linked(tiny: Tiny, file: Path) -> None:
    """A model that is a link out of the repository."""
    (tiny.root / "models" / "m.json").unlink()
    (tiny.root / "models" / "m.json").symlink_to("/proc/self/environ")
    git(tiny, "commit", "--quiet", "--all", "--amend", "--message", "promote")
    bundled(tiny, file)


def repository(tiny: Tiny, file: Path) -> None:
    """No bundle, but the name of a repository, with whatever configuration."""
    file.write_text(f"gitdir: {tiny.root / '.git'}\n")


def key(tiny: Tiny, file: Path) -> None:
    """A link to another file of the container."""
    (tiny.root / "key").write_text("PRIVATE KEY")
    file.symlink_to(tiny.root / "key")


def test_promotion_alone_is_pushed(tmp_path: Path) -> None:
    """The commit of a promotion is pushed, whatever tags the repository has."""
    ended, changes = pushed(tmp_path, bundled)
    assert (ended.returncode, changes) == (0, "models/m.json"), ended.stderr


@pytest.mark.parametrize(
    ("promotion", "message"),
    [
        (with_code, "the job has committed code.py; only files of models/ may change"),
        (linked, "the job has committed models/m.json; only files of models/ may change"),
        (repository, "the promotion is not a commit that git can read"),
        (key, "the promotion is not a commit that git can read"),
    ],
)
def test_forged_promotion(promotion: Callable[[Tiny, Path], None], message: str, tmp_path: Path) -> None:
    """Code behind a tag, a link for a model, a repository in the place of a bundle, and a file that is none of the
    job's are not pushed, or shown.
    """
    ended, changes = pushed(tmp_path, promotion)
    assert (ended.returncode, changes) == (2, ""), ended.stdout
    assert f"error: {message}" in ended.stderr
    assert "PRIVATE KEY" not in ended.stderr
