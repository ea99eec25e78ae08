"""Pods that have a git repository: what needs one, who has a key, and what is refused before a manifest is written."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from promoting import stderr_of
from tiny import Tiny, git

from samebook.cluster.frame import VOLUMES

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
