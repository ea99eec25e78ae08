"""A kubelet's way of starting the containers of a pod, by the engine: user, root, mounts, rights, variables, limits."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from containers import Start
from docker.models.images import Image

from samebook.cluster import kubernetes

type Object = dict[str, Any]

# Bytes of the units in which Kubernetes takes memory.
UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}


@dataclass
class Node:
    """The folder of a pod's volumes, and the images and objects that its manifest names."""

    folder: Path
    images: Mapping[str, Image]
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # What the cluster gives and no manifest says, such as a network.
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self, start: Start, pod: Object, **more: str) -> Iterator[tuple[str, int, str]]:
        """The name, the exit code and the output of each container, one after the other up to the first that fails."""
        sources = {volume["name"]: self._source(volume) for volume in pod["volumes"]}
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            started = start(self.images[container["image"]], **self._options(pod, container, sources, more))
            code = started.wait(timeout=900)["StatusCode"]
            yield container["name"], code, started.logs().decode()
            if code:
                return

    def _options(self, pod: Object, container: Object, sources: Mapping[str, Path], more: Mapping[str, str]) -> Object:
        rights, own = pod["securityContext"], container["securityContext"]
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}  # the engine's, too
        assert own["allowPrivilegeEscalation"] is False
        # The outer one first, as a kubelet mounts them.
        mounts = sorted(container["volumeMounts"], key=lambda mount: mount["mountPath"].count("/"))
        limits = container["resources"]["limits"]
        command = container.get("command", ["samebook"]) + container.get("args", [])
        return {
            "entrypoint": command,
            "user": f"{rights['runAsUser']}:{rights['runAsGroup']}",
            "group_add": [str(rights["fsGroup"])],
            "read_only": own["readOnlyRootFilesystem"],
            "cap_drop": own["capabilities"]["drop"],
            "security_opt": ["no-new-privileges"],
            "tmpfs": {},
            "volumes": [
                f"{sources[mount['name']] / mount.get('subPath', '')}:{mount['mountPath']}"
                f":{'ro' if mount.get('readOnly') else 'rw'}"
                for mount in mounts
            ],
            "mem_limit": int(limits["memory"][:-2]) * UNITS[limits["memory"][-2:]],
            "nano_cpus": int(limits["cpu"]) * 10**9,
            "environment": self._variables(container) | more,
            **self.options,
        }

    def _variables(self, container: Object) -> dict[str, str]:
        texts: dict[str, str] = {}
        for item in container.get("env", ()):
            text = item.get("value") or self._reference(item["valueFrom"])
            texts[item["name"]] = re.sub(r"\$\((\w+)\)", lambda name: texts[name[1]], text)
        return texts

    def _reference(self, source: Object) -> str:
        if "fieldRef" in source:
            fields = {"spec.nodeName": "node-1", "metadata.name": "weekly-1", "metadata.labels['job-name']": "weekly"}
            return fields[source["fieldRef"]["fieldPath"]]
        return self.secrets[source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]]

    def _source(self, volume: Object) -> Path:
        """The folder of a volume: a claim's is what it was; the others are filled by what the manifest says."""
        path = self.folder / volume["name"]
        if "emptyDir" in volume:
            shutil.rmtree(path, ignore_errors=True)
        path.mkdir(exist_ok=True)
        if "persistentVolumeClaim" in volume or "emptyDir" in volume:
            os.chown(path, 0, kubernetes.USER)
            path.chmod(0o2777)
            return path
        files, mode = self.config_maps.get(volume.get("configMap", {}).get("name", ""), {}), 0o644
        if "secret" in volume:
            files, mode = self.secrets[volume["secret"]["secretName"]], volume["secret"]["defaultMode"]
        for name, text in files.items():
            (path / name).unlink(missing_ok=True)
            (path / name).write_text(text)
            os.chown(path / name, 0, kubernetes.USER)
            (path / name).chmod(mode)
        return path
