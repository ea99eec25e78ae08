"""Indexed Jobs in a cluster of Kubernetes: calls of samebook are sent there, followed, and their results taken."""

import os
import platform
import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.cluster import kubectl, kubernetes
from samebook.cluster.frame import Frame
from samebook.cluster.index_program import Calls
from samebook.cluster.kubectl import Object
from samebook.cluster.program import failure
from samebook.cluster.results import Results, digest_of
from samebook.core import file_lock
from samebook.core.digest import sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.core.processes import ProcessResult
from samebook.core.text import Say
from samebook.execution.workers import Failure

# Seconds between two looks at the Jobs; how long an API server may be silent meanwhile; after which a pod that has not
# started is spoken of.
POLL, SILENCE, SLOW = 2.0, 120, 20
# A Job that nobody follows any more goes after a day, and its ConfigMap with it.
KEPT = 86_400
# The label by which a checkout finds its Jobs again.
CHECKOUT = "samebook/checkout"
JOB, OF_INDEX = "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"
LACK_OF_MEMORY = "OOMKilled"
AGAIN = "the same command goes on from there"

type Call = tuple[str, ...]
# The name of a Job, and an index in it.
type Place = tuple[str, int]
type Taken = Generator[tuple[Call, list[Path] | Failure]]


@dataclass(frozen=True)
class IndexedJobs:
    """The sender of calls; at most `parallel` pods of a Job run at a time. `title` is a part of the Jobs' names."""

    results: Results
    frame: Frame
    title: str
    parallel: int
    say: Say

    def map(self, calls: Sequence[Call]) -> Taken:
        """Each call with the folders of its runs, its own first, or with its failure, as they are done.

        What is in the shared store already is taken from there, and what an earlier command of this checkout has left
        running is followed. When the iterator is closed, or the command stopped, the Jobs are deleted that no other
        command follows.
        """
        waiting = {self._digest(call): call for call in calls}
        under_way = self._under_way(waiting)  # first: whether there is a kubectl, and a cluster
        with ExitStack() as followed:
            for job in {job for job, _ in under_way.values()}:
                followed.enter_context(file_lock.share(self._lock(job)))
            yield from self._taken(waiting, under_way, followed)

    def _taken(self, waiting: dict[str, Call], under_way: dict[str, Place], followed: ExitStack) -> Taken:
        try:
            for digest, call in list(waiting.items()):
                if digest not in under_way and (receipts := self.results.receipts(digest)):
                    del waiting[digest]
                    yield call, self.results.taken(receipts)
            if rest := {digest: call for digest, call in waiting.items() if digest not in under_way}:
                under_way |= self._send(rest, followed)
            if waiting:
                yield from self._follow(waiting, under_way)
        except (GeneratorExit, KeyboardInterrupt):
            followed.close()
            jobs = {job for job, _ in under_way.values()}
            self._delete([job for job in jobs if not file_lock.is_held(self._lock(job))])
            raise

    def _lock(self, job: str) -> Path:
        """The file that each command of this checkout shares that follows a Job."""
        return self.results.workspace.runs / ".jobs" / job

    def _digest(self, call: Call) -> str:
        return digest_of(self.results.workspace, self.frame.image, self.frame.variables, call)

    def _under_way(self, waiting: Mapping[str, Call]) -> dict[str, Place]:
        """The place of each call that an earlier command of this checkout has sent and left."""
        label = f"{CHECKOUT}={self._checkout}"
        jobs = {job["metadata"]["name"] for job in kubectl.get("job", label) if not _is_ended(job)}
        maps = kubectl.get("configmap", label) if jobs else []
        digests = {
            each["metadata"]["name"]: Calls.parse(each["data"][kubernetes.CALLS].encode()).digests for each in maps
        }
        return {
            digest: (job, index)
            for job in jobs & digests.keys()
            for index, digest in enumerate(digests[job])
            if digest in waiting
        }

    @property
    def _checkout(self) -> str:
        """A short digest of this checkout's place."""
        return sha256(f"{platform.node()} {self.results.workspace.root}".encode())[:16]

    def _send(self, calls: Mapping[str, Call], followed: ExitStack) -> dict[str, Place]:
        """Create a Job for these calls, and the ConfigMap that holds them, which goes with the Job."""
        content = Calls.of(self.results.workspace, self.frame, [*calls.values()])
        title = kubernetes.name(self.frame.project, self.frame.env, self.title, sha256(os.urandom(8))[:8])
        followed.enter_context(file_lock.share(self._lock(title)))
        job = kubernetes.job_of_calls(self.frame, title, len(calls), self.parallel, kubernetes.SENT)
        calls_map = kubernetes.calls_map(title, content.text, len(calls))
        for manifest in (job, calls_map):
            manifest["metadata"]["labels"] = {CHECKOUT: self._checkout}
        job["spec"]["ttlSecondsAfterFinished"] = KEPT
        try:
            # First, as a Job without its calls would wait for them for ever. It goes with the Job that owns it.
            kubectl.create(calls_map)
            owner = {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": title,
                "uid": kubectl.create(job)["metadata"]["uid"],
            }
            kubectl.merge("configmap", title, {"metadata": {"ownerReferences": [owner]}})
        except BaseException:
            self._delete([title])
            with suppress(SamebookError):
                kubectl.delete("configmap", [title])
            raise
        self.say(f"kubernetes: job {title}, {len(calls)} indexes, {job['spec']['parallelism']} at a time")
        return {digest: (title, index) for index, digest in enumerate(calls)}

    def _delete(self, jobs: Collection[str]) -> None:
        """Delete Jobs, if there are any: their pods end, and their ConfigMaps go."""
        if jobs:
            with suppress(SamebookError):  # where no API server answers, there is nothing else to do
                kubectl.delete("job", sorted(jobs))

    def _follow(self, waiting: dict[str, Call], under_way: Mapping[str, Place]) -> Taken:
        total, watch = len(waiting), _Watch(self.say)
        while waiting:
            jobs = watch.jobs(f"{CHECKOUT}={self._checkout}", f"{total - len(waiting)} of {total} done")
            for digest, (job, index) in under_way.items():
                if jobs is not None and digest in waiting and (ended := self._ended(jobs, digest, job, index)):
                    watch.moved()
                    yield waiting.pop(digest), ended
            if waiting:
                watch.say_why({under_way[digest][0] for digest in waiting})
                time.sleep(POLL)

    def _ended(self, jobs: Mapping[str, Object], digest: str, job: str, index: int) -> list[Path] | Failure | None:
        """The result of an index, or its failure; None where it has not ended."""
        if job not in jobs:
            raise SamebookError(f"job {job} has been deleted before it was done; {AGAIN}", mend="kubectl get jobs")
        status = jobs[job].get("status", {})
        if index in _indexes(status.get("completedIndexes", "")):
            receipts = self.results.receipts(digest)
            return self.results.taken(receipts)
        if index in _indexes(status.get("failedIndexes", "")) or _is_ended(jobs[job]):
            return _failure(job, index)
        return None


class _Watch:
    """The looks at Jobs: an API server may be silent for a while, and pods that do not start are spoken of once."""

    def __init__(self, say: Say) -> None:
        self._say, self._said = say, set[str]()
        self._answered = self._moved = time.monotonic()

    def moved(self) -> None:
        self._moved = time.monotonic()

    def jobs(self, label: str, done: str) -> dict[str, Object] | None:
        """The Jobs with a label, by name; None where the API server did not answer this time."""
        try:
            jobs = {job["metadata"]["name"]: job for job in kubectl.get("job", label)}
        except UsageError as error:
            if time.monotonic() - self._answered < SILENCE:
                return None
            raise SamebookError(f"{error}\n  {done}; the runs go on there; {AGAIN}", mend=error.mend) from None
        self._answered = time.monotonic()
        return jobs

    def say_why(self, jobs: Collection[str]) -> None:
        """Say why pods of these Jobs do not start, after a while without a result."""
        if time.monotonic() - self._moved < SLOW:
            return
        self.moved()
        with suppress(UsageError):
            reasons = {
                reason for pod in kubectl.get("pod", f"{JOB} in ({','.join(jobs)})") for reason in _obstacles(pod)
            }
            for reason in sorted(reasons - self._said):
                self._said.add(reason)
                self._say(f"kubernetes: a pod waits: {reason}")


def _obstacles(pod: Object) -> Iterator[str]:
    """The reasons for which a pod does not start, in the words of Kubernetes."""
    for condition in pod["status"].get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield condition.get("message", "it is not scheduled")
    for container in pod["status"].get("containerStatuses", ()):
        waits = container.get("state", {}).get("waiting", {})
        if waits.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            yield f"{waits['reason']}: {waits.get('message', '')}"


def _failure(job: str, index: int) -> Failure:
    """The failure of an index, as its last pod has it."""
    pods = kubectl.get("pod", f"{JOB}={job},{OF_INDEX}={index}")
    ended = [pod for pod in pods if _terminated(pod) or pod["status"].get("phase") == "Failed"]
    if not ended:
        return Failure(SamebookError.exit_code, f"index {index} of job {job} has failed, and none of its pods is left")
    last = max(ended, key=lambda pod: pod["metadata"]["creationTimestamp"])
    state = _terminated(last)
    reason = state.get("reason") or last["status"].get("reason", "")
    if reason == LACK_OF_MEMORY:
        return Failure(
            SamebookError.exit_code, f"{len(ended)} pods were ended for lack of memory: again, with MEMORY=4Gi"
        )
    code, message = state.get("exitCode", SamebookError.exit_code), state.get("message", "")
    if not message:
        return Failure(code, " ".join(filter(None, ("its pod has ended:", reason, last["status"].get("message", "")))))
    return failure(ProcessResult(code, "", message))


def _terminated(pod: Object) -> Object:
    """The end of a pod's container; empty where it has not ended, or did not start."""
    (container,) = pod["status"].get("containerStatuses") or ({},)
    return container.get("state", {}).get("terminated", {})


def _is_ended(job: Object) -> bool:
    """Whether a Job has ended, or is about to be deleted."""
    conditions = job.get("status", {}).get("conditions", ())
    ends = any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)
    return ends or "deletionTimestamp" in job["metadata"]


def _indexes(text: str) -> set[int]:
    """The numbers in Kubernetes' short form of many: 0-2,5."""
    spans = (part.split("-") for part in text.split(",") if part)
    return {index for span in spans for index in range(int(span[0]), int(span[-1]) + 1)}
