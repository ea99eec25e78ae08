"""Manifests of Kubernetes for calls of samebook in its image: a Job for one, an indexed Job for many, and their pod.

All pods run as one user without rights, on a read-only root, and write into three claims for volumes alone.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError

type Manifest = dict[str, Any]

# The length of a name that also names pods: https://kubernetes.io/docs/concepts/overview/working-with-objects/names
LONGEST = 63
VOLUMES = ("runs", "store", "data")
# What is empty in each pod where results come back through the shared store.
OWN_VOLUMES = ("runs", "store")
# The only other folder that can be written to.
TEMPORARY = "tmp"
USER = 1000
# A tag may be moved to another image, a digest can't.
IMAGE = re.compile(r"[\w./:-]+@sha256:[0-9a-f]{64}")
QUANTITY = re.compile(r"[1-9][0-9]*(m|Ki|Mi|Gi|Ti)?")
# The program of a pod that has one call of many: it becomes the call, or sends its result to the shared store.
INDEXED, SENT = "samebook.cluster.indexed", "samebook.cluster.index_program"
# The folder of a ConfigMap with the calls of an indexed Job, and the most bytes that one holds.
CALLS_FOLDER, CALLS, MOST_BYTES = "/etc/samebook", "calls.json", 1_000_000
# What another try would only repeat: exit codes that say what is wrong with notebook, parameters, data or policy.
FINAL = [1, 2, 3, 4, 5, 6]
HEAD = """\
# Jobs of samebook in env {env}: kubectl apply -f this file. Before it: the claims {claims}{secret}.
"""
# Tries after the first one, for a pod that is evicted, out of memory, or on a node that died.
TRIES = 2


@dataclass(frozen=True)
class Frame:
    """What all pods of an environment have in common. `memory` (2Gi) and `cores` (2) are limits, "" for none.

    With `is_shared`, results go to the shared store, and only data/ is a claim's. `variables` are a pod's, with texts.
    """

    env: str
    image: str
    secrets: tuple[str, ...] = ()
    memory: str = ""
    cores: str = ""
    is_shared: bool = False
    variables: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not IMAGE.fullmatch(self.image):
            raise UsageError(
                f"--image {self.image!r} has no digest; expected NAME@sha256:… with 64 digits, which can't be moved",
                mend="docker image inspect --format '{{index .RepoDigests 0}}' IMAGE",
            )

        for option, quantity in (("--memory", self.memory), ("--cores", self.cores)):
            if quantity and not QUANTITY.fullmatch(quantity):
                raise UsageError(
                    f"{option} {quantity!r} is no quantity of Kubernetes'; expected one like 2Gi or 2",
                    mend="again, with MEMORY=2Gi CORES=2",
                )

    @property
    def of_env(self) -> str:
        """The name of the environment's Secret."""
        return f"samebook-{self.env}"

    @property
    def claims(self) -> tuple[str, ...]:
        """The volumes that are claims: what a pod writes there outlives it."""
        return tuple(volume for volume in VOLUMES if not (self.is_shared and volume in OWN_VOLUMES))


def text(manifests: Sequence[Manifest], frame: Frame) -> str:
    """The text of a file with these manifests, and what must be there before it."""
    secret = f", and the secret {frame.of_env} with {', '.join(frame.secrets)}" if frame.secrets else ""
    claims = ", ".join(f"samebook-{volume}" for volume in frame.claims)
    head = HEAD.format(env=frame.env, claims=claims, secret=secret)
    return head + yaml.safe_dump_all(manifests, sort_keys=False, width=118, allow_unicode=True)


def name(*parts: str, longest: int = LONGEST) -> str:
    """The name of an object, of these parts. Raises UsageError where Kubernetes allows none like it."""
    text = "-".join(("samebook", *parts)).lower()
    text = re.sub(r"[_/.]", "-", text)
    if len(text) > longest or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", text):
        raise UsageError(
            f"Kubernetes can't call a job {text}: expected at most {longest} letters, digits and inner -",
            mend=f"git mv {parts[-1]} to a name that fits",
        )
    return text


def job(frame: Frame, notebook: str, arguments: Sequence[str]) -> list[Manifest]:
    """The Job of one call. Its name holds a digest of the call, so that the same one is not applied twice."""
    spec = {
        "backoffLimit": TRIES,
        "podFailurePolicy": _failures("FailJob"),
        "template": {"spec": pod(frame, {"args": [*arguments]})},
    }
    return [_object("batch/v1", "Job", name(frame.env, notebook, _digest(frame, [arguments])), spec)]


def indexed_job(frame: Frame, notebook: str, calls: Sequence[Sequence[str]], parallel: int) -> list[Manifest]:
    """The ConfigMap with many calls, and the Job with an index for each; `parallel` of them run at a time.

    A call that fails stops no other. Raises UsageError for more calls than a ConfigMap holds.
    """
    text = json.dumps([list(call) for call in calls], ensure_ascii=False)
    title = name(frame.env, notebook, _digest(frame, calls))
    return [calls_map(title, text, len(calls)), job_of_calls(frame, title, len(calls), parallel, INDEXED)]


def calls_map(title: str, text: str, count: int) -> Manifest:
    """The ConfigMap with the text of so many calls. Raises UsageError for a longer one than it can hold."""
    if len(text.encode()) > MOST_BYTES:
        raise UsageError(
            f"{count} runs take {len(text.encode()):,} bytes; a ConfigMap holds {MOST_BYTES:,}",
            mend="again, with fewer SETS at a time",
        )
    metadata = {"name": title}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {CALLS: text}, "immutable": True}


def job_of_calls(frame: Frame, title: str, count: int, parallel: int, program: str) -> Manifest:
    """The Job with an index for each of so many calls, which `program` reads in the ConfigMap of the same name."""
    command = ["python", "-m", program, f"{CALLS_FOLDER}/{CALLS}"]
    spec = {
        "completions": count,
        "parallelism": min(parallel, count),
        "completionMode": "Indexed",
        "backoffLimitPerIndex": TRIES,
        "podFailurePolicy": _failures("FailIndex"),
        "template": {"spec": pod(frame, {"command": command}, calls=title)},
    }
    return _object("batch/v1", "Job", title, spec)


def pod(frame: Frame, program: Manifest, *, calls: str = "") -> Manifest:
    """The specification of a pod for a program (`args`, `command`); `calls` names a ConfigMap that it reads."""
    empty: Manifest = {}
    volumes: list[Manifest] = [
        *({"name": each, "persistentVolumeClaim": {"claimName": f"samebook-{each}"}} for each in frame.claims),
        *({"name": each, "emptyDir": empty} for each in (*VOLUMES, TEMPORARY) if each not in frame.claims),
        *([{"name": "calls", "configMap": {"name": calls}}] if calls else []),
    ]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(frame, program, has_calls=bool(calls))],
        "volumes": volumes,
    }


def _container(frame: Frame, program: Manifest, *, has_calls: bool) -> Manifest:
    variables: list[Manifest] = [{"name": variable, "value": text} for variable, text in frame.variables]
    variables += [
        {"name": secret, "valueFrom": {"secretKeyRef": {"name": frame.of_env, "key": secret}}}
        for secret in frame.secrets
    ]
    limits = {kind: limit for kind, limit in (("cpu", frame.cores), ("memory", frame.memory)) if limit}
    mounts: list[Manifest] = [
        *({"name": each, "mountPath": f"/workspace/{each}"} for each in VOLUMES),
        {"name": TEMPORARY, "mountPath": f"/{TEMPORARY}"},
        *([{"name": "calls", "mountPath": CALLS_FOLDER, "readOnly": True}] if has_calls else []),
    ]
    return {
        "name": "samebook",
        "image": frame.image,
        **program,
        **({"env": variables} if variables else {}),
        **({"resources": {"requests": limits, "limits": limits}} if limits else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # The last lines that a failed program has printed are kept with its pod.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def _failures(action: str) -> Manifest:
    """What happens after a pod has failed: this action for an exit code that is final, another try for others."""
    codes = {"containerName": "samebook", "operator": "In", "values": FINAL}
    conditions = [{"type": "DisruptionTarget", "status": "True"}]
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": conditions},
            {"action": action, "onExitCodes": codes},
        ]
    }


def _object(version: str, kind: str, title: str, spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": title}, "spec": spec}


def _digest(frame: Frame, calls: Sequence[Sequence[str]]) -> str:
    return sha256(json_bytes([frame.image, [list(call) for call in calls]]))[:8]
