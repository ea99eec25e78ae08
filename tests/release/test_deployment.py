"""Deployments without a checkout: what is written for compose, systemd and Kubernetes, and what is refused."""

from pathlib import Path
from types import ModuleType

import pytest
import yaml
from published import IMAGES, Checkout, of

from samebook.core.errors import UsageError
from samebook.verbs import deploy
from samebook.verbs.deploy import DeployRequest

SETTINGS = """\
warehouse: {url: "postgresql://churn@db/churn", password: WAREHOUSE_PASSWORD}
schedule: {daily: "30 4 * * *"}
watch: {inbox: {orders: daily}}
"""
PIPELINE = "parameters: {day: today}\nsteps:\n  train: {}\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout whose prod has a schedule, an inbox, a secret and a published image, and where a model is promoted."""
    found = Checkout(tmp_path)
    found.write("environments/prod.yml", SETTINGS)
    found.write("environments/pyproject.toml", 'name = "churn_rate-environments"\n')
    (tmp_path / "environments" / "pipelines").mkdir()
    found.write("environments/pipelines/daily.yml", PIPELINE)
    found.write("models/churn.json", "{}")
    found.publish("prod", of(found.commit()))
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "correct horse")
    return found


def written(checkout: Checkout, form: str) -> dict[str, str]:
    """The text of each file of a deployment, by its path in it."""
    folder = checkout.root.parent / f"{checkout.root.name}-{form}"
    paths = deploy.deploy(DeployRequest("prod", form, folder)).paths
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def test_compose(checkout: Checkout) -> None:
    """The watcher runs the jobs from the image by its digest, without a privilege; secrets are names; models apart."""
    files = written(checkout, "compose")
    assert files.keys() == {"compose.yaml", "models/churn.json"}
    content = yaml.safe_load(files["compose.yaml"])
    watch, job = content["services"]["watch"], content["services"]["job"]
    assert content["name"] == "churn-rate-prod"
    assert watch["command"] == ["watch", "--env", "prod"]
    assert watch["environment"]["SAMEBOOK_WATCH__SCHEDULE"] == "true"
    assert "SAMEBOOK_WATCH__SCHEDULE" not in job["environment"]
    for service in (watch, job):
        assert service["image"] == service["environment"]["SAMEBOOK_IMAGE"] == IMAGES[0]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["volumes"][-1] == "${MODELS:-./models}:/workspace/models:ro"
        assert service["secrets"] == ["WAREHOUSE_PASSWORD"]
    assert content["secrets"] == {"WAREHOUSE_PASSWORD": {"file": "${SECRET_FILES:-./secrets}/WAREHOUSE_PASSWORD"}}
    assert "correct horse" not in str(files)


def test_systemd(checkout: Checkout) -> None:
    """Timers start jobs in containers of the compose file, whose watcher then runs none of them."""
    files = written(checkout, "systemd")
    assert "SAMEBOOK_WATCH__SCHEDULE: 'false'" in files["compose.yaml"]
    folder = checkout.root.parent / f"{checkout.root.name}-systemd"
    run = f"docker compose --project-directory {folder} run --rm --no-TTY job pipeline daily --env prod"
    assert f"ExecStart=/usr/bin/env {run}\n" in files["churn-rate-prod-daily.service"]
    assert "OnCalendar=*-*-* 04:30:00 UTC" in files["churn-rate-prod-daily.timer"]
    assert "Restart=always" in files["churn-rate-prod-watch.service"]


def test_kubernetes(checkout: Checkout) -> None:
    """A CronJob for each job, and one pod that watches; both have the models read-only, and secrets by reference."""
    files = written(checkout, "kubernetes")
    job, watcher = yaml.safe_load_all(files["churn-rate-prod.yaml"])
    assert (job["kind"], watcher["kind"], watcher["spec"]["replicas"]) == ("CronJob", "Deployment", 1)
    pods = [job["spec"]["jobTemplate"]["spec"]["template"]["spec"], watcher["spec"]["template"]["spec"]]
    assert [pod["restartPolicy"] for pod in pods] == ["Never", "Always"]
    for pod in pods:
        (container,) = pod["containers"]
        assert container["image"] == IMAGES[0]
        assert {"name": "models", "mountPath": "/workspace/models", "readOnly": True} in container["volumeMounts"]
        assert "secretKeyRef" in str(container["env"])
    # By its label an object that the file has no more is removed.
    assert [each["metadata"]["labels"] for each in (job, watcher)] == [{"samebook-deployment": "churn-rate-prod"}] * 2
    request = DeployRequest("prod", "kubernetes", checkout.root.parent / "pruned")
    following = deploy.table(deploy.deploy(request), request).splitlines()[-1]
    assert "kubectl apply --prune --selector samebook-deployment=churn-rate-prod -f " in following
    assert "correct horse" not in files["churn-rate-prod.yaml"]
    assert "churn-rate-models" in files["churn-rate-prod.yaml"]


@pytest.mark.host
def test_kubernetes_valid_by_the_schemas(checkout: Checkout, schemas: ModuleType) -> None:
    """All objects of deployments are valid in three versions of the API: jobs and a watcher with secrets, a watcher and
    jobs that sign, a watcher alone, with limits.
    """
    objects = [*yaml.safe_load_all(written(checkout, "kubernetes")["churn-rate-prod.yaml"])]
    checkout.write("environments/pipelines/retrain.yml", RETRAIN)
    for settings in (SIGNED + "watch: {inbox: {orders: retrain}}\n", "watch: {inbox: {orders: daily}}\n"):
        checkout.write("environments/prod.yml", settings)
        checkout.publish("prod", of(checkout.commit()))
        folder = checkout.root.parent / "limited"
        deployed = deploy.deploy(DeployRequest("prod", "kubernetes", folder, memory="2Gi", cores="2"))
        objects += [each for path in deployed.paths for each in yaml.safe_load_all(path.read_text())]
    kinds = ["CronJob", "Deployment", "CronJob", "CronJob", "Deployment", "Deployment"]
    assert [each["kind"] for each in objects] == kinds
    schemas.check(objects)


def test_image_may_go_back(checkout: Checkout) -> None:
    """Another image leaves the models as they are, and a return to the one before gives the files from before."""
    before = written(checkout, "compose")
    checkout.publish("prod", of(checkout.git("rev-parse", "HEAD~1"), IMAGES[1]))
    assert written(checkout, "compose") == {name: text.replace(IMAGES[0], IMAGES[1]) for name, text in before.items()}
    checkout.git("revert", "--no-edit", "HEAD")
    assert written(checkout, "compose") == before


def test_nothing_of_before_stays(checkout: Checkout, tmp_path: Path) -> None:
    """The file of a withdrawn model and the units of a job that is due no more are removed and named, as what was
    started of them runs on; what is somebody else's stays, whatever a list of files says.
    """
    folder = tmp_path / "deployed"
    request = DeployRequest("prod", "systemd", folder)
    checkout.write("environments/prod.yml", SETTINGS.replace("{daily:", '{weekly: "0 5 * * 1", daily:'))
    checkout.write("environments/pipelines/weekly.yml", PIPELINE)
    checkout.publish("prod", of(checkout.commit()))
    before = {path.relative_to(folder).as_posix() for path in deploy.deploy(request).paths}
    (folder / "compose.override.yaml").write_text("services: {}\n")
    (folder / "models" / "own.json").write_text("{}")
    (tmp_path / "victim.txt").write_text("mine")
    (listed,) = folder.glob(".*.files")
    listed.write_text(listed.read_text() + "../victim.txt\nmodels/../../victim.txt\n")
    checkout.git("rm", "--quiet", "models/churn.json")
    checkout.write("environments/prod.yml", SETTINGS)
    checkout.publish("prod", of(checkout.commit()))
    written = deploy.deploy(request)
    units = {f"churn-rate-prod-weekly.{kind}" for kind in ("service", "timer")}
    assert {*written.gone} == {"models/churn.json", *units} < before
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {listed.name}
    assert left == (before - {*written.gone}) | {"compose.override.yaml", "models/own.json"}
    assert (tmp_path / "victim.txt").read_text() == "mine"
    assert "systemctl disable --now churn-rate-prod-weekly.timer\n" in deploy.table(written, request)
    again = deploy.deploy(request)
    assert again.gone == []
    # A watcher that runs has the image of before until it starts anew.
    started = "churn-rate-prod-daily.timer churn-rate-prod-watch.service"
    following = deploy.table(again, request).splitlines()[-1]
    assert following.endswith(f"systemctl enable {started} && systemctl restart {started}")
    # Where an environment has no timer, a pattern for one would end the command.
    copied = following.removeprefix("next: cp ").split(" /etc/systemd/system/ ")[0].split()
    assert {Path(name) for name in copied} == {path for path in again.paths if path.suffix in {".service", ".timer"}}


def test_refused(checkout: Checkout) -> None:
    """Nothing is written without a published digest, with nothing to run, or a job without commit or in need of git."""
    folder = checkout.root.parent / "refused"
    with pytest.raises(UsageError, match="names no published image") as error:
        deploy.deploy(DeployRequest("preprod", "compose", folder))
    assert error.value.mend
    assert error.value.mend.startswith("make publish ENV=preprod")
    checkout.publish("preprod", of(checkout.first))
    with pytest.raises(UsageError, match="neither schedules a job nor watches"):
        deploy.deploy(DeployRequest("preprod", "compose", folder))
    checkout.write("environments/pipelines/daily.yml", "parameters: {model: churn@prod}\nsteps:\n  train: {}\n")
    with pytest.raises(UsageError, match="environments has changes that are not committed"):
        deploy.deploy(DeployRequest("prod", "systemd", folder))
    checkout.publish("prod", of(checkout.commit()))
    with pytest.raises(UsageError, match=r"daily needs the git repository.*churn@prod"):
        deploy.deploy(DeployRequest("prod", "systemd", folder))
    assert not folder.exists()


def test_settings_are_the_images(checkout: Checkout) -> None:
    """Times and secrets are those of the image's commit, which it has itself; what HEAD has otherwise is named."""
    before = written(checkout, "systemd")
    later = SETTINGS.replace("30 4", "45 5").replace("WAREHOUSE_PASSWORD", "OTHER_PASSWORD")
    path = checkout.root / "environments" / "prod.yml"
    path.write_text(path.read_text().replace(SETTINGS, later))
    checkout.commit()
    assert written(checkout, "systemd") == before
    request = DeployRequest("prod", "systemd", checkout.root.parent / "later")
    text = deploy.table(deploy.deploy(request), request)
    assert "changed since, and not deployed: environments/prod.yml\n" in text
    assert "  -> make publish ENV=prod REGISTRY=registry.example.com:5000/team\n" in text
    checkout.publish("prod", of(checkout.git("rev-parse", "HEAD"), IMAGES[1]))
    after = written(checkout, "systemd")
    assert "OnCalendar=*-*-* 05:45:00 UTC" in after["churn-rate-prod-daily.timer"]
    assert "OTHER_PASSWORD" in after["compose.yaml"]
    # Back to the image of before: its times and secrets come with it.
    checkout.git("revert", "--no-edit", "HEAD")
    assert written(checkout, "systemd") == before


SIGNED = """\
promotion: {reproduced: true, signed: true, gate: {notebook: gate, metric: auc, margin: 0.002}}
schedule: {retrain: "30 4 * * 1", daily: "30 4 * * *"}
"""
RETRAIN = """\
parameters: {model: churn}
steps:
  train: {}
  gate: {needs: [train], parameters: {candidate: $train, champion: $model}}
"""


def test_candidates_are_signed(checkout: Checkout) -> None:
    """Where the policy wants candidates signed, their job gets the key, and no other: by stdin, or from the Secret."""
    checkout.write("environments/prod.yml", SIGNED)
    checkout.write("environments/pipelines/retrain.yml", RETRAIN)
    checkout.publish("prod", of(checkout.commit()))
    request = DeployRequest("prod", "compose", checkout.root.parent / "composed")
    text = deploy.table(deploy.deploy(request), request)
    assert "\nretrain is left out here: the policy wants its candidate signed" in text
    units = written(checkout, "systemd")
    folder = checkout.root.parent / f"{checkout.root.name}-systemd"
    signing, other = (units[f"churn-rate-prod-{job}.service"] for job in ("retrain", "daily"))
    assert f"StandardInput=file:{folder}/secrets/RUN_KEY\n" in signing
    assert "--no-TTY --env SIGNING_KEY=- job pipeline retrain --env prod" in signing
    assert "KEY" not in other + units["compose.yaml"]
    jobs = yaml.safe_load_all(written(checkout, "kubernetes")["churn-rate-prod.yaml"])
    pods = {job["metadata"]["name"]: job["spec"]["jobTemplate"]["spec"]["template"]["spec"] for job in jobs}
    assert ["RUN_KEY" in str(pod) for pod in pods.values()] == [True, False]
    assert [*pods] == ["churn-rate-prod-retrain", "churn-rate-prod-daily"]
    path = checkout.root / "environments" / "prod.yml"
    path.write_text(SIGNED + "watch: {inbox: {orders: retrain}}\n")
    checkout.publish("prod", of(checkout.commit()))
    with pytest.raises(UsageError, match="a watcher in systemd gets no key") as error:
        written(checkout, "systemd")
    assert str(error.value.mend).startswith("make deploy ENV=prod AS=kubernetes INTO=")
    watcher = [*yaml.safe_load_all(written(checkout, "kubernetes")["churn-rate-prod.yaml"])][-1]
    assert "RUN_KEY" in str(watcher)
    # Else it would run what the CronJobs do.
    environment = watcher["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "SAMEBOOK_WATCH__SCHEDULE", "value": "false"} in environment


@pytest.mark.parametrize("champion", ["$model", "churn"])
@pytest.mark.parametrize("is_reproduced", [True, False])
def test_any_candidate_is_signed(checkout: Checkout, champion: str, is_reproduced: bool) -> None:
    """A job signs whatever else the policy asks for, and however the champion is named."""
    settings = SIGNED.replace("reproduced: true", f"reproduced: {is_reproduced}".lower())
    checkout.write("environments/prod.yml", settings)
    checkout.write("environments/pipelines/retrain.yml", RETRAIN.replace("$model", champion))
    checkout.publish("prod", of(checkout.commit()))
    assert "RUN_KEY" in written(checkout, "systemd")["churn-rate-prod-retrain.service"]


def test_folder_has_one_deployment(checkout: Checkout, tmp_path: Path) -> None:
    """Another environment's deployment in the folder is not overwritten: its units would start the wrong image."""
    checkout.write("environments/preprod.yml", SETTINGS)
    checkout.publish("preprod", of(checkout.commit(), IMAGES[1]))
    folder = tmp_path / "deployed"
    before = deploy.deploy(DeployRequest("prod", "systemd", folder)).paths
    contents = [path.read_bytes() for path in before]
    with pytest.raises(UsageError, match=r"has the deployment churn-rate-prod, whose compose\.yaml would be replaced"):
        deploy.deploy(DeployRequest("preprod", "compose", folder))
    assert [path.read_bytes() for path in before] == contents
    deploy.deploy(DeployRequest("preprod", "kubernetes", folder))
    assert [path.read_bytes() for path in before] == contents
