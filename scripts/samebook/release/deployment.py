"""The files by which production runs a published image without a checkout: for compose, for systemd, for Kubernetes.

Models are a volume of their own, apart from the image: a new model needs no new image, a new image no new model.
"""

import os
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from samebook.cluster import kubernetes
from samebook.cluster.frame import VOLUMES, Frame
from samebook.core import signing_key
from samebook.core.cron import Cron
from samebook.pipelines import manifests, timers
from samebook.pipelines.candidates import RUN_KEY
from samebook.pipelines.timers import Jobs

COMPOSE = "compose.yaml"
# The models' files, read-only: a folder here, a claim of Kubernetes.
MODELS = "models"
# The folder with a file for each secret, and for the key of runs.
SECRETS = "secrets"
# The label of a deployment's objects in Kubernetes: what has it, and is in its file no more, is withdrawn.
LABEL = "samebook-deployment"
HEAD = """\
# samebook in env {env}, from the image of commit {commit}: written by make deploy ENV={env}, and not by hand.
# MODELS is the folder of the promoted models, SECRET_FILES that of a file for each secret; RUNS, STORE and DATA may be
# folders, too, in place of volumes. What is this machine's own stands in compose.override.yaml beside it.
"""
SERVICE = """\
[Unit]
Description=samebook: {title} in env {env}
Requires=docker.service
After=docker.service network-online.target

[Service]
Type={kind}
{more}ExecStart=/usr/bin/env {command}
{install}"""
INSTALL = """
[Install]
WantedBy=multi-user.target
"""
USER = 1000


@dataclass(frozen=True)
class Deployment:
    """What runs in an environment: the image by its digest, the jobs by their times, and those that wait for data.

    `secrets` are names. `folder` is the one in which the files will stand on their machine. `signed` are the jobs that
    sign what they make.
    """

    name: str
    env: str
    image: str
    commit: str
    when: dict[str, Cron]
    watched: frozenset[str]
    secrets: tuple[str, ...]
    folder: str
    signed: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        return f"{self.name}-{self.env}".replace("_", "-").lower()

    @property
    def head(self) -> str:
        return HEAD.format(env=self.env, commit=self.commit)


def compose(deployment: Deployment) -> dict[str, str]:
    """The compose file: the watcher, which runs the jobs when they are due, too; and `job` for a call by hand."""
    return {COMPOSE: _compose(deployment, is_scheduled=bool(deployment.when))}


def systemd(deployment: Deployment) -> dict[str, str]:
    """The compose file, and units that start its containers: a timer for each job, a service for the watcher."""
    files = {COMPOSE: _compose(deployment, is_scheduled=False)}
    # By its folder: a file that is named leaves compose.override.yaml out.
    compose = ["docker", "compose", "--project-directory", deployment.folder]
    for job, when in deployment.when.items():
        # The key goes in through stdin, and is no file in the container.
        key = ["--env", f"{signing_key.VARIABLE}=-"] if job in deployment.signed else []
        stdin = f"StandardInput=file:{deployment.folder}/{SECRETS}/{RUN_KEY}\n".replace("%", "%%") if key else ""
        command = [*compose, "run", "--rm", "--no-TTY", *key, "job", "pipeline", job, "--env", deployment.env]
        times = "\n".join(f"OnCalendar={time}" for time in timers.calendar(when))
        files[f"{deployment.title}-{job}.service"] = _unit(deployment, f"the job {job}", command, stdin)
        files[f"{deployment.title}-{job}.timer"] = timers.TIMER.format(job=job, env=deployment.env, times=times)
    if deployment.watched:
        files[f"{deployment.title}-watch.service"] = _unit(deployment, "the watcher", [*compose, "up", "watch"])
    return files


def on_kubernetes(deployment: Deployment, frame: Frame) -> dict[str, str]:
    """A CronJob for each job, and a Deployment for the watcher, as one file."""
    objects: list[dict[str, Any]] = []
    if deployment.when:
        jobs = Jobs(
            Path(deployment.folder), deployment.env, deployment.when, deployment.secrets, project=deployment.name
        )
        (text,) = manifests.cron_jobs(jobs, {job: _frame(deployment, frame, {job}) for job in deployment.when}).values()
        objects += yaml.safe_load_all(text)
    for each in objects:
        _mount_models(each["spec"]["jobTemplate"]["spec"]["template"]["spec"], frame)
    if deployment.watched:
        objects.append(_watcher(deployment, _frame(deployment, frame, deployment.watched)))
    for each in objects:
        each["metadata"]["labels"] = {LABEL: deployment.title}
    head = deployment.head.splitlines()[0]
    claim = f"# Before it, too: the claim {frame.name(MODELS)}, with the promoted models' files, models/*.json."
    text = kubernetes.text(objects, _frame(deployment, frame, deployment.signed))
    return {f"{deployment.title}.yaml": f"{head}\n{claim}\n{text}"}


def _frame(deployment: Deployment, frame: Frame, jobs: Set[str]) -> Frame:
    """The frame of what runs these jobs: with the key of runs where one of them signs."""
    return replace(frame, signing_key=RUN_KEY) if jobs & deployment.signed else frame


def _mount_models(pod: dict[str, Any], frame: Frame) -> dict[str, Any]:
    """The pod with the promoted models, read-only."""
    claim = {"claimName": frame.name(MODELS), "readOnly": True}
    pod["volumes"].append({"name": MODELS, "persistentVolumeClaim": claim})
    mount = {"name": MODELS, "mountPath": f"/workspace/{MODELS}", "readOnly": True}
    pod["containers"][-1]["volumeMounts"].append(mount)
    return pod


def _watcher(deployment: Deployment, frame: Frame) -> dict[str, Any]:
    """The Deployment of the watcher: one pod at a time, as one watcher holds the inbox."""
    title = kubernetes.name(deployment.name, deployment.env, "watch")
    scheduled = tuple(_scheduled(is_scheduled=False).items())
    pod = kubernetes.pod(replace(frame, variables=scheduled), {"args": _watch(deployment)})
    labels = {"app": title}
    spec = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {**_mount_models(pod, frame), "restartPolicy": "Always"}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": title}, "spec": spec}


def _scheduled(*, is_scheduled: bool) -> dict[str, str]:
    """The variable by which a watcher runs the schedule's jobs, or, where something else starts them, does not."""
    return {"SAMEBOOK_WATCH__SCHEDULE": str(is_scheduled).lower()}


def _watch(deployment: Deployment) -> list[str]:
    return ["watch", "--env", deployment.env]


def _compose(deployment: Deployment, *, is_scheduled: bool) -> str:
    """The text of the compose file. With `is_scheduled` the watcher runs the jobs of the schedule."""
    services = {"job": {**_service(deployment), "profiles": ["job"]}}
    if is_scheduled or deployment.watched:
        own = {"command": _watch(deployment), "restart": "unless-stopped", "stop_grace_period": "30s"}
        services["watch"] = {**_service(deployment, **_scheduled(is_scheduled=is_scheduled)), **own}
    content = {
        "name": deployment.title,
        "services": services,
        "volumes": dict.fromkeys(VOLUMES),
        **({"secrets": _secrets(deployment)} if deployment.secrets else {}),
    }
    return deployment.head + yaml.safe_dump(content, sort_keys=False, width=118)


def _service(deployment: Deployment, **more: str) -> dict[str, Any]:
    """What all containers have: the image by its digest, volumes, the names of secrets, and no privilege."""
    return {
        "image": deployment.image,
        # The image, for receipts; the builder, where this machine's variable names one.
        "environment": {"SAMEBOOK_IMAGE": deployment.image, "SAMEBOOK_BUILDER": None} | more,
        "user": f"${{SAMEBOOK_USER:-{USER}:{USER}}}",
        "volumes": [
            *(f"${{{volume.upper()}:-{volume}}}:/workspace/{volume}" for volume in VOLUMES),
            f"${{{MODELS.upper()}:-./{MODELS}}}:/workspace/{MODELS}:ro",
        ],
        **({"secrets": [*deployment.secrets]} if deployment.secrets else {}),
        "init": True,
        "read_only": True,
        "tmpfs": [f"{os.sep}tmp:mode=1777"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ulimits": {"core": 0},
    }


def _secrets(deployment: Deployment) -> dict[str, Any]:
    """The files of the secrets, by their names: git and this file have nothing else of them."""
    return {name: {"file": f"${{SECRET_FILES:-./{SECRETS}}}/{name}"} for name in deployment.secrets}


def _unit(deployment: Deployment, title: str, command: list[str], stdin: str = "") -> str:
    kind, more, install = ("exec", "Restart=always\n", INSTALL) if command[-1] == "watch" else ("oneshot", stdin, "")
    text = " ".join(map(timers.quoted, command))
    return SERVICE.format(title=title, env=deployment.env, kind=kind, more=more, command=text, install=install)
