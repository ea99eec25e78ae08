"""The jobs as a file of GitLab's. Its runner has checked the commit out, and has git, make, and Docker or Python."""

from collections.abc import Iterable
from typing import Any

from samebook.environment import yaml_file
from samebook.forge import jobs
from samebook.forge.job import MODELS, Job, Project, Step, When, Words
from samebook.pipelines import candidates

FILE = ".gitlab-ci.yml"
# The files that make schedule AS=gitlab writes.
SCHEDULES = "samebook-*.gitlab-ci.yml"
HEAD = """\
# Written by make ci AS=gitlab. The runners have git, make, and Docker or Python; their variables are listed in
# docs/how-to/ci.md.
"""
# A base that anybody may push to would judge its own merge requests, with the secrets of reproductions.
REQUEST = '$CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED == "true"'
PUSH = '$CI_PIPELINE_SOURCE == "push"'
WORDS = Words(
    commit="$CI_COMMIT_SHA",
    number="$CI_PIPELINE_ID",
    engine="$ENGINE",
    key=f"${jobs.KEY}",
    proposal=candidates.gitlab_proposal,
)
BASE = 'git fetch --quiet origin "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME" && git checkout --quiet -B base FETCH_HEAD'


def files(project: Project, schedules: Iterable[str] = ()) -> dict[str, str]:
    """The file of a project, content by path; `schedules` are the names of the files that it includes."""
    table = (*jobs.ci(WORDS), *jobs.reproduction(WORDS, project), *jobs.publication(WORDS, project))
    pushed = [f'{PUSH} && $CI_COMMIT_BRANCH == "{name}"' for name in project.protected]
    rules = [REQUEST, '$CI_PIPELINE_SOURCE == "schedule"', *pushed]
    head = {
        **({"include": [{"local": f"/{name}"} for name in schedules]} if schedules else {}),
        "workflow": {"rules": [{"if": rule} for rule in rules]},
        "variables": {"GIT_DEPTH": "0"},
    }
    return {FILE: "\n".join((HEAD + yaml_file.dump(head), "\n".join(map(job_text, table))))}


def job_text(job: Job) -> str:
    """A job as a part of the file, with what it is for in its first lines."""
    lines = yaml_file.dump({job.name: job_content(job)}).splitlines()
    return "".join(f"{line}\n" for line in (f"# {job.why}", *lines))


def job_content(job: Job) -> dict[str, Any]:
    """A job as GitLab's YAML has it."""
    content: dict[str, Any] = {"rules": [_rule(job, rule) for rule in _rules(job)], "timeout": f"{job.minutes} minutes"}
    content |= {"needs": list(job.needs)} if job.needs else {}
    content |= {"environment": _environment(job)} if job.environment else {}
    content |= {"resource_group": job.name} if job.when is When.PUSH else {}
    content |= {"tags": [job.machine]} if job.machine else {}
    content |= {"parallel": {"matrix": [{"ENGINE": list(job.engines)}]}} if job.engines else {}
    builder = f"urn:samebook:builder:$CI_PROJECT_PATH/{job.name}"
    content |= {"variables": {"SAMEBOOK_BUILDER": builder}} if job.when is When.MODEL else {}
    content |= {"script": [BASE if job.is_of_base else candidates.BRANCH, *map(_script, job.steps)]}
    return content | ({"artifacts": _artifacts(job)} if job.gives or job.keeps else {})


def _rules(job: Job) -> list[str]:
    if job.when is When.PUSH:
        return [f'{PUSH} && $CI_COMMIT_BRANCH == "{job.branch}" && ${job.switch}']
    return [REQUEST, f'{PUSH} && $CI_COMMIT_BRANCH == "main"'] if job.when is When.CHANGE else [REQUEST]


def _rule(job: Job, rule: str) -> dict[str, Any]:
    return {"if": rule, **({"changes": [MODELS]} if job.when is When.MODEL else {})}


def _environment(job: Job) -> dict[str, str]:
    """The environment whose variables a job gets. Only a job of a machine deploys something there."""
    return {"name": job.environment, **({} if job.machine else {"action": "access"})}


def _script(step: Step) -> str:
    return "\n".join(step.lines) + ("\n" if len(step.lines) > 1 else "")


def _artifacts(job: Job) -> dict[str, Any]:
    shown = {"expose_as": "Review"} if job.gives == jobs.REVIEW else {}
    return {
        **shown,
        "when": "always",
        "paths": [*([job.gives] if job.gives else []), *job.keeps],
        "expire_in": "30 days",
    }
