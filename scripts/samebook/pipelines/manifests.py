"""A schedule for machines without a checkout: CronJobs of Kubernetes, a workflow of GitHub."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from samebook.core.errors import UsageError
from samebook.core.text import repeated_name
from samebook.pipelines import candidates as following
from samebook.pipelines.candidates import Candidate
from samebook.pipelines.timers import Jobs

# The length of a CronJob's name, whose jobs get eleven characters more: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs
LONGEST = 52
VOLUMES = ("runs", "store", "data")
# The only other folder that can be written to.
TEMPORARY = "tmp"
USER = 1000
KUBERNETES = """\
# Jobs of samebook in env {env}: kubectl apply -f this file. Before it: the claims {claims}{secret}.
"""
WORKFLOW = """\
# Jobs of samebook in env {env}: .github/workflows/samebook-{env}.yml. Times are UTC; GitHub may be some minutes late.
name: samebook {env}
on:
  schedule:
{times}
  workflow_dispatch:
    inputs:
      job: {{description: The job to run now, type: choice, required: true, options: [{jobs}]}}

# Reading is all that it takes.
permissions:
  contents: read

jobs:
"""
JOB = """\
  {job}:
    if: github.event.schedule == '{time}' || inputs.job == '{job}'
    runs-on: ubuntu-24.04
    timeout-minutes: 360
    concurrency: {{group: samebook-{env}-{job}, cancel-in-progress: false}}
{secrets}    steps:
"""
CHECKOUT = """\
      - name: Check out the commit
        # No third-party action runs here.
        env:
          TOKEN: ${{{{ github.token }}}}
          URL: ${{{{ github.server_url }}}}/${{{{ github.repository }}}}
        run: |
          git init --quiet .
          git -c http.extraheader="Authorization: Basic $(printf 'x-access-token:%s' "$TOKEN" | base64 -w0)" \\
            fetch --quiet "$URL" "$GITHUB_SHA"
          git checkout --quiet -B main FETCH_HEAD
"""
STEP = """\
      - name: {name}
{always}        run: {command}
"""


def kubernetes(jobs: Jobs, image: str) -> dict[str, str]:
    """A CronJob for each job, as one file. Raises UsageError for a job whose name Kubernetes does not allow."""
    names = [_name(jobs.env, job) for job in jobs.when]
    if name := repeated_name(names):
        raise UsageError(
            f"two jobs would both be called {name}: Kubernetes' names have no _",
            mend="git mv one of the two pipelines to another name",
        )
    secret = f", and the secret samebook-{jobs.env} with {', '.join(jobs.secrets)}" if jobs.secrets else ""
    head = KUBERNETES.format(env=jobs.env, claims=", ".join(f"samebook-{name}" for name in VOLUMES), secret=secret)
    manifests = yaml.safe_dump_all([_cron_job(jobs, job, image) for job in jobs.when], sort_keys=False, width=118)
    return {f"samebook-{jobs.env}.yaml": head + manifests}


def _name(env: str, job: str) -> str:
    name = f"samebook-{env}-{job}".lower().replace("_", "-")
    if len(name) > LONGEST or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        raise UsageError(
            f"Kubernetes can't call a job {name}: expected at most {LONGEST} letters, digits and inner -",
            mend="git mv the pipeline to a name that fits",
        )
    return name


def _cron_job(jobs: Jobs, job: str, image: str) -> dict[str, Any]:
    empty: dict[str, Any] = {}
    pod = {
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
        "containers": [_container(jobs, job, image)],
        "volumes": [
            *({"name": name, "persistentVolumeClaim": {"claimName": f"samebook-{name}"}} for name in VOLUMES),
            {"name": TEMPORARY, "emptyDir": empty},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": _name(jobs.env, job)},
        "spec": {
            "schedule": str(jobs.when[job]),
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
        },
    }


def _container(jobs: Jobs, job: str, image: str) -> dict[str, Any]:
    of = f"samebook-{jobs.env}"
    secrets = [{"name": name, "valueFrom": {"secretKeyRef": {"name": of, "key": name}}} for name in jobs.secrets]
    mounts = {**{name: f"/workspace/{name}" for name in VOLUMES}, TEMPORARY: f"/{TEMPORARY}"}
    return {
        "name": "samebook",
        "image": image,
        "args": ["pipeline", job, "--env", jobs.env],
        **({"env": secrets} if secrets else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }


def github(jobs: Jobs, candidates: Sequence[Candidate], *, is_signed: bool, shared: bool) -> dict[str, str]:
    """A workflow, as one file. With a shared store it brings what a job needs from there, and sends what it made."""
    times = "\n".join(f'    - cron: "{time}"' for time in dict.fromkeys(map(str, jobs.when.values())))
    head = WORKFLOW.format(env=jobs.env, times=times, jobs=", ".join(jobs.when))
    checkout = yaml.safe_load(CHECKOUT.format())[0]
    by_job = {candidate.job: candidate for candidate in candidates}
    parts: list[str] = []
    for job in jobs.when:
        candidate = by_job.get(job)
        parts.append(_job(jobs, job, candidate, is_signed=is_signed, shared=shared))
        parts += [following.github(jobs, candidate, checkout, is_signed=is_signed, shared=shared)] if candidate else []
    return {f"samebook-{jobs.env}.yml": head + "\n".join(parts)}


def _job(jobs: Jobs, job: str, candidate: Candidate | None, *, is_signed: bool, shared: bool) -> str:
    names = [*jobs.secrets, *([following.RUN_KEY] if candidate and is_signed else [])]
    lines = [f"      {name}: ${{{{ secrets.{name} }}}}\n" for name in names]
    secrets = "".join(["    env:\n", *lines]) if lines else ""
    head = JOB.format(job=job, env=jobs.env, time=jobs.when[job], secrets=secrets) + CHECKOUT.format()
    return head + "".join(_steps(jobs, job, candidate, is_signed=is_signed, shared=shared))


def _steps(jobs: Jobs, job: str, candidate: Candidate | None, *, is_signed: bool, shared: bool) -> Iterator[str]:
    secrets = f' SECRETS="{" ".join(jobs.secrets)}"' if jobs.secrets else ""
    tail, sign = f"ENV={jobs.env}{secrets}", ""
    if shared:
        yield STEP.format(name="Bring what is in the shared store", always="", command=f"make pull {tail}")
    if candidate and is_signed:
        sign = f'SIGNING_KEY="{following.GITHUB_KEY}" '
        yield STEP.format(name="Write the key of runs", always="", command=following.key(following.RUN_KEY))
    yield STEP.format(name=f"Run {job}", always="", command=f"{sign}make pipeline NAME={job} {tail}")
    if shared:
        always = "        if: ${{ !cancelled() }}\n"
        yield STEP.format(name="Send what it made", always=always, command=f"make push {tail}")
    if candidate:
        yield following.upload(candidate)
