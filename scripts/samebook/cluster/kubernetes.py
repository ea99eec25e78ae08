"""Manifests of Kubernetes for calls of samebook in its image: a Job for one, an indexed Job for many, and their pod.

All pods run as one user without rights, on a read-only root, and write into three claims for volumes alone.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, override

import yaml

from samebook.cluster import repository
from samebook.cluster.frame import VOLUMES, Frame
from samebook.core import signing_key
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError

type Manifest = dict[str, Any]

# The length of a name that also names pods: https://kubernetes.io/docs/concepts/overview/working-with-objects/names
LONGEST = 63
# Samebook's own container; and the only other folder that can be written to.
SAMEBOOK, TEMPORARY = "samebook", "tmp"
USER = 1000
# The program of a pod that has one call of many: it becomes the call, or sends its result to the shared store.
INDEXED, SENT = "samebook.cluster.indexed", "samebook.cluster.index_program"
# The folder of a ConfigMap with the calls of an indexed Job, and the most bytes that one holds.
CALLS_FOLDER, CALLS, MOST_BYTES = "/etc/samebook", "calls.json", 1_000_000
# What another try would only repeat: exit codes that say what is wrong with notebook, parameters, data or policy.
FINAL = [1, 2, 3, 4, 5, 6]
HEAD = "# Jobs of samebook in env {env}: kubectl apply -f this file. Before it:\n{needs}"
# The node's name, and of it the builder's.
NODE = "NODE_NAME"
BUILDER = f"urn:samebook:builder:$({NODE})"
# Tries after the first one, for a pod that is evicted, out of memory, or on a node that died.
TRIES = 2


class _Dumper(yaml.SafeDumper):
    """YAML with scripts as blocks of lines, and without anchors."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True

    def script(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if text.count("\n") > 1 else None)


_Dumper.add_representer(str, _Dumper.script)


def text(manifests: Sequence[Manifest], *frames: Frame) -> str:
    """The text of a file with these manifests of these frames, and what must be there before it."""
    env = frames[0].env
    scripts = [frame.repository.script(frame.of_env) for frame in frames if frame.repository][:1]
    needs = dict.fromkeys(need for frame in frames for need in frame.needs)
    head = HEAD.format(env=env, needs="".join(f"# - {need}\n" for need in needs))
    every = [*scripts, *manifests]
    return head + yaml.dump_all(every, Dumper=_Dumper, sort_keys=False, width=118, allow_unicode=True)


def name(*parts: str, longest: int = LONGEST) -> str:
    """The name of an object, of these parts, the project first. Raises UsageError where Kubernetes allows none such."""
    text = "-".join(parts).lower()
    text = re.sub(r"[_/.]", "-", text)
    if len(text) > longest or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", text):
        raise UsageError(
            f"Kubernetes can't call a job {text}: expected at most {longest} letters, digits and inner -",
            mend=f"git mv {max(parts, key=len)} to a shorter name",
        )
    return text


def job(frame: Frame, notebook: str, arguments: Sequence[str]) -> list[Manifest]:
    """The Job of one call. Its name holds a digest of the call, so that the same one is not applied twice."""
    spec = tried_again(frame, pod(frame, {"args": [*arguments]}))
    return [_object("batch/v1", "Job", name(frame.project, frame.env, notebook, _digest(frame, [arguments])), spec)]


def tried_again(frame: Frame, pod: Manifest) -> Manifest:
    """The specification of a Job of one pod, which is tried again where that may help."""
    return {"backoffLimit": TRIES, "podFailurePolicy": _failures(frame, "FailJob"), "template": {"spec": pod}}


def indexed_job(frame: Frame, notebook: str, calls: Sequence[Sequence[str]], parallel: int) -> list[Manifest]:
    """The ConfigMap with many calls, and the Job with an index for each; `parallel` of them run at a time.

    A call that fails stops no other. Raises UsageError for more calls than a ConfigMap holds.
    """
    text = json.dumps([list(call) for call in calls], ensure_ascii=False)
    title = _title(frame, notebook, _digest(frame, calls), len(calls))
    return [calls_map(title, text, len(calls)), job_of_calls(frame, title, len(calls), parallel, INDEXED)]


def shared_job(frame: Frame, notebook: str, text: str, digests: Sequence[str], parallel: int) -> list[Manifest]:
    """The ConfigMap with the text of calls whose results go to the shared store by these digests, and their Job."""
    title = _title(frame, notebook, _digest(frame, [digests]), len(digests))
    return [calls_map(title, text, len(digests)), job_of_calls(frame, title, len(digests), parallel, SENT)]


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
    command = ["python", "-P", "-m", program, f"{CALLS_FOLDER}/{CALLS}"]
    spec = {
        "completions": count,
        "parallelism": min(parallel, count),
        "completionMode": "Indexed",
        "backoffLimitPerIndex": TRIES,
        "podFailurePolicy": _failures(frame, "FailIndex"),
        "template": {"spec": pod(frame, {"command": command}, calls=title)},
    }
    return _object("batch/v1", "Job", title, spec)


def pod(frame: Frame, program: Manifest, *, calls: str = "") -> Manifest:
    """The specification of a pod for a program (`args`, `command`); `calls` names a ConfigMap that it reads."""
    empty: Manifest = {}
    cloned = frame.repository
    volumes: list[Manifest] = [
        *({"name": each, "persistentVolumeClaim": {"claimName": frame.name(each)}} for each in frame.claims),
        *({"name": each, "emptyDir": empty} for each in VOLUMES if each not in frame.claims),
        *([{"name": "calls", "configMap": {"name": calls}}] if calls else []),
        *(cloned.volumes(frame.of_env) if cloned else []),
    ]
    containers = [_container(frame, program, has_calls=bool(calls))]
    if cloned:
        containers.insert(0, _part(frame, cloned.container(frame.of_env, repository.CLONE), cloned.image))
    if cloned and cloned.is_written:
        containers.append(_part(frame, cloned.container(frame.of_env, repository.PUSH), cloned.image))
    volumes += [{"name": temporary(each["name"]), "emptyDir": empty} for each in containers]
    # Each of these ends well before the next one starts.
    *before, last = containers
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
        **({"initContainers": before} if before else {}),
        "containers": [last],
        "volumes": volumes,
    }


def _container(frame: Frame, program: Manifest, *, has_calls: bool) -> Manifest:
    """Samebook's own container."""
    cloned = frame.repository
    # The receipt names the image, and the node as the builder: two pods of one node are no two builders.
    texts = {"SAMEBOOK_IMAGE": frame.image, "SAMEBOOK_BUILDER": BUILDER, **dict(frame.variables)}
    references = {name: name for name in frame.secrets} | (
        {signing_key.VARIABLE: frame.signing_key} if frame.signing_key else {}
    )
    variables: list[Manifest] = [
        {"name": NODE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        *({"name": variable, "value": text} for variable, text in texts.items()),
        *(
            {"name": variable, "valueFrom": {"secretKeyRef": {"name": frame.of_env, "key": key}}}
            for variable, key in references.items()
        ),
        *(cloned.variables if cloned else []),
    ]
    mounts: list[Manifest] = [
        *(cloned.mounts if cloned else []),
        *({"name": each, "mountPath": f"/workspace/{each}"} for each in VOLUMES),
        *([{"name": "calls", "mountPath": CALLS_FOLDER, "readOnly": True}] if has_calls else []),
    ]
    program = cloned.program(program) if cloned else program
    return _part(frame, {"name": SAMEBOOK, **program, "env": variables, "volumeMounts": mounts})


def temporary(container: str) -> str:
    """The volume of a container's /tmp: none of another one, which could put a file of its own there."""
    return TEMPORARY if container == SAMEBOOK else f"{container}-{TEMPORARY}"


def _part(frame: Frame, own: Manifest, image: str = "") -> Manifest:
    """A container with what is its own, and with what all have: an image, limits, no rights, and an empty /tmp."""
    limits = {kind: limit for kind, limit in (("cpu", frame.cores), ("memory", frame.memory)) if limit}
    return {
        **own,
        "image": image or frame.image,
        **({"resources": {"requests": limits, "limits": limits}} if limits else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # The last lines that a failed program has printed are kept with its pod.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*own["volumeMounts"], {"name": temporary(own["name"]), "mountPath": f"/{TEMPORARY}"}],
    }


def _failures(frame: Frame, action: str) -> Manifest:
    """What happens after a pod has failed: this action for an exit code that is final, another try for others."""
    cloned = frame.repository
    names = [
        SAMEBOOK,
        *([repository.CLONE] if cloned else []),
        *([repository.PUSH] if cloned and cloned.is_written else []),
    ]
    codes = ({"containerName": name, "operator": "In", "values": FINAL} for name in names)
    conditions = [{"type": "DisruptionTarget", "status": "True"}]
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": conditions},
            *({"action": action, "onExitCodes": code} for code in codes),
        ]
    }


def _object(version: str, kind: str, title: str, spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": title}, "spec": spec}


def _title(frame: Frame, notebook: str, digest: str, count: int) -> str:
    """The name of a Job with an index for each of so many calls: the last index has room behind it."""
    return name(frame.project, frame.env, notebook, digest, longest=LONGEST - len(f"-{count - 1}"))


def _digest(frame: Frame, calls: Sequence[Sequence[str]]) -> str:
    """A digest of calls and limits: a Job can't be changed, so with other limits it is another one."""
    return sha256(json_bytes([frame.image, frame.memory, frame.cores, [list(call) for call in calls]]))[:8]
