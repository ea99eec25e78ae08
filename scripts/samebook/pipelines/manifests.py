"""A schedule for machines without a checkout: CronJobs of Kubernetes, a workflow of GitHub."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from samebook.cluster import kubernetes
from samebook.cluster.frame import Frame
from samebook.core.errors import UsageError
from samebook.core.text import repeated_name
from samebook.environment import yaml_file
from samebook.pipelines import candidates as following
from samebook.pipelines.candidates import Candidate
from samebook.pipelines.definition import JOB_NAME
from samebook.pipelines.timers import Jobs

# The length of a CronJob's name, whose jobs get eleven characters more: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs
LONGEST = 52
# Seconds after which a job ends: one that waits for an image or a volume that never comes would hold all later ones.
LONGEST_RUN = 24 * 3600
# The program of a job whose result goes to the shared store.
SCHEDULED = "samebook.pipelines.scheduled"
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
    # Its secrets are those of this environment: let only the default branch have them.
    environment: samebook-{env}
    concurrency: {{group: samebook-{env}-{job}, cancel-in-progress: false}}
    outputs: {{commit: "${{{{ steps.branch.outputs.commit }}}}", branch: "${{{{ steps.branch.outputs.branch }}}}"}}
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
# GitHub's clock starts the default branch's workflow; what it runs is of the branch that has the environment.
BRANCH = """\
      - name: Check out the branch of {env}
        id: branch
        env:
          TOKEN: ${{{{ github.token }}}}
          URL: ${{{{ github.server_url }}}}/${{{{ github.repository }}}}
        run: |
          git init --quiet .
          access="http.extraheader=Authorization: Basic $(printf 'x-access-token:%s' "$TOKEN" | base64 -w0)"
          if git -c "$access" ls-remote --exit-code "$URL" refs/heads/{branch} >/dev/null; then
            branch={branch} commit=refs/heads/{branch}
          else
            [ $? -eq 2 ] || exit 1
            branch=$GITHUB_REF_NAME commit=$GITHUB_SHA
          fi
          git -c "$access" fetch --quiet "$URL" "$commit"
          git checkout --quiet -B main FETCH_HEAD
          printf 'branch=%s\\ncommit=%s\\n' "$branch" "$(git rev-parse HEAD)" >>"$GITHUB_OUTPUT"
"""
STEP = """\
      - name: {name}
{always}        run: {command}
"""


def cron_jobs(jobs: Jobs, frames: Mapping[str, Frame]) -> dict[str, str]:
    """A CronJob for each job, with its frame, as one file. Raises UsageError for a job whose name Kubernetes does not
    allow.
    """
    names = [kubernetes.name(jobs.project, jobs.env, job, longest=LONGEST) for job in jobs.when]
    if name := repeated_name(names):
        raise UsageError(
            f"two jobs would both be called {name}: Kubernetes' names have no _",
            mend="git mv one of the two pipelines to another name",
        )
    text = kubernetes.text([_cron_job(jobs, job, frames[job]) for job in jobs.when], *frames.values())
    return {f"{jobs.name}.yaml": text}


def pod(jobs: Jobs, job: str, frame: Frame) -> dict[str, Any]:
    """The specification of a scheduled job's pod."""
    program: dict[str, Any] = {"args": ["pipeline", job, "--env", jobs.env]}
    if frame.is_shared:
        program = {"command": ["python", "-P", "-m", SCHEDULED], "args": [job, jobs.env]}
    return kubernetes.pod(frame, program)


def _cron_job(jobs: Jobs, job: str, frame: Frame) -> dict[str, Any]:
    spec = pod(jobs, job, frame)
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    own = next(container for container in containers if container["name"] == kubernetes.SAMEBOOK)
    own["env"].append({"name": JOB_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['job-name']"}}})
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": kubernetes.name(jobs.project, jobs.env, job, longest=LONGEST)},
        "spec": {
            "schedule": str(jobs.when[job]),
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "jobTemplate": {"spec": {"activeDeadlineSeconds": LONGEST_RUN, **kubernetes.tried_again(frame, spec)}},
        },
    }


def github(jobs: Jobs, candidates: Sequence[Candidate], *, is_signed: bool, shared: bool) -> dict[str, str]:
    """A workflow, as one file. With a shared store it brings what a job needs from there, and sends what it made."""
    times = "\n".join(f'    - cron: "{time}"' for time in dict.fromkeys(map(str, jobs.when.values())))
    head = WORKFLOW.format(env=jobs.env, times=times, jobs=", ".join(jobs.when))
    # By those after it, so that they work on the same commit.
    checkout = yaml.safe_load(CHECKOUT.format().replace("GITHUB_SHA", "COMMIT"))[0]
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
    head = JOB.format(job=job, env=jobs.env, time=jobs.when[job], secrets=secrets)
    head += BRANCH.format(env=jobs.env, branch=following.branch(jobs.env))
    return head + "".join(_steps(jobs, job, candidate, is_signed=is_signed, shared=shared))


def _steps(jobs: Jobs, job: str, candidate: Candidate | None, *, is_signed: bool, shared: bool) -> Iterator[str]:
    secrets = f' SECRETS="{" ".join(jobs.secrets)}"' if jobs.secrets else ""
    tail, key_file = f"ENV={jobs.env}{secrets}", following.GITHUB_KEY if candidate and is_signed else ""
    yield from map(_text, following.login(jobs))
    if shared:
        yield STEP.format(name="Bring what is in the shared store", always="", command=f"make pull {tail}")
    if key_file:
        yield STEP.format(name="Write the key of runs", always="", command=following.key(following.RUN_KEY))
    command = f"{following.signing(key_file)}make pipeline NAME={job} {tail}{following.engine(key_file)}"
    yield STEP.format(name=f"Run {job}", always="", command=command)
    if shared:
        always = "        if: ${{ !cancelled() }}\n"
        yield STEP.format(name="Send what it made", always=always, command=f"make push {tail}")
    if candidate:
        yield following.upload(candidate)


def _text(step: dict[str, Any]) -> str:
    """A step as a part of a workflow."""
    return "".join(f"      {line}\n" for line in yaml_file.dump({"steps": [step]}).splitlines()[1:])
