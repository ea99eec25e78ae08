"""The jobs as workflows of GitHub, without anybody's action but GitHub's own, which hands files on, by its commit."""

from collections.abc import Iterable
from typing import Any

import yaml

from samebook.environment import yaml_file
from samebook.forge import jobs
from samebook.forge.job import MODELS, Job, Project, Step, When, Words
from samebook.pipelines import candidates
from samebook.pipelines.manifests import CHECKOUT

FOLDER = ".github/workflows"
HEAD = """\
# Written by make ci AS=github. No third-party action runs here.
"""
KEY_FILE = "$RUNNER_TEMP/key.pem"
CONTAINERD = """\
docker info | grep -q io.containerd.snapshotter || {
  file=/etc/docker/daemon.json
  settings=$([ ! -s "$file" ] || cat "$file")
  echo "${settings:-{\\}}" | jq '.features["containerd-snapshotter"] = true' >"$RUNNER_TEMP/daemon.json"
  sudo cp "$RUNNER_TEMP/daemon.json" "$file" && sudo systemctl restart docker
}"""
COMMENT = """\
mark='<!-- samebook review -->'
{ echo "$mark" && cat review.md; } >comment.md
own=".[] | select(.user.login == \\"github-actions[bot]\\" and (.body | startswith(\\"$mark\\"))) | .id"
# In no pipe: where the list can't be had the job ends, and writes no second comment.
all=$(gh api --paginate "$ISSUES/$NUMBER/comments" --jq "$own")
last=${all%%$'\\n'*}
gh api --silent --method "$([ "$last" ] && echo PATCH || echo POST)" \\
  "$ISSUES/${last:+comments/}${last:-$NUMBER/comments}" --field body=@comment.md"""
# What a step gets by a name of the forge's own; any other name is that of a secret.
KNOWN = {
    "GH_TOKEN": "${{ github.token }}",
    "TOKEN": "${{ github.token }}",
    "URL": "${{ github.server_url }}/${{ github.repository }}",
    "ISSUES": "repos/${{ github.repository }}/issues",
    "NUMBER": "${{ github.event.pull_request.number }}",
}
OWN = "github.event.pull_request.head.repo.full_name == github.repository"
WORDS = Words(
    commit="$GITHUB_SHA",
    number="$GITHUB_RUN_ID",
    engine="${{ matrix.engine }}",
    key='$(ls "$RUNNER_TEMP/key.pem" 2>/dev/null)',
    proposal=candidates.github_proposal,
    proposal_secrets=("TOKEN", "URL", "GH_TOKEN"),
    prepared=(Step("Use Docker's containerd image store, which makes release images", tuple(CONTAINERD.splitlines())),),
    key_steps=(
        Step(
            "Write the key of reproductions, where there is one",
            (
                f'if [ "${jobs.KEY}" ]; then',
                f'  install -m 600 /dev/null "{KEY_FILE}" && printenv {jobs.KEY} >"{KEY_FILE}"',
                "fi",
            ),
            (jobs.KEY,),
        ),
    ),
    comment=(
        Job(
            "comment",
            "By a job that runs nobody's code. A fork's token may write no comment: the summary has the review.",
            (
                Step(
                    "Write it as a comment, or over the last one",
                    tuple(COMMENT.splitlines()),
                    ("GH_TOKEN", "ISSUES", "NUMBER"),
                ),
            ),
            When.REQUEST,
            minutes=5,
            has_checkout=False,
            needs=("review",),
            takes=jobs.REVIEW,
            writes=("pull-requests",),
        ),
    ),
)
BASE = ("# The forge's commit of a pull request merges it into its base.", "git checkout --quiet -B base FETCH_HEAD^1")


def files(project: Project) -> dict[str, str]:
    """The workflows of a project, content by path.

    A base that anybody may push to would judge its own pull requests, with the secrets of reproductions.
    """
    into = {"branches": list(project.protected)}
    return {
        f"{FOLDER}/ci.yml": workflow("CI", {"push": {"branches": ["main"]}, "pull_request": into}, jobs.ci(WORDS)),
        f"{FOLDER}/reproduce.yml": workflow(
            "Reproduce", {"pull_request": {**into, "paths": [MODELS]}}, jobs.reproduction(WORDS, project)
        ),
        f"{FOLDER}/publish.yml": _publication(project),
    }


def _publication(project: Project) -> str:
    table = tuple(jobs.publication(WORDS, project))
    return workflow("Publish", {"push": {"branches": list(dict.fromkeys(job.branch for job in table))}}, table)


def workflow(name: str, events: dict[str, Any], table: Iterable[Job]) -> str:
    """A workflow as text."""
    head = yaml_file.dump({"name": name, "on": events, "permissions": {"contents": "read"}})
    # YAML 1.1 takes `on` for a truth.
    parts = [HEAD + head.replace("'on':", "on:"), "jobs:"]
    return "\n".join((*parts, "\n\n".join(job_text(job) for job in table))) + "\n"


def job_text(job: Job) -> str:
    """A job as a part of a workflow, with what it is for in its first lines."""
    lines = yaml_file.dump({job.name: job_content(job)}).splitlines()
    return "\n".join(f"  {line}".rstrip() for line in (lines[0], f"  # {job.why}", *lines[1:]))


def job_content(job: Job) -> dict[str, Any]:
    """A job as GitHub's YAML has it."""
    content: dict[str, Any] = {"needs": list(job.needs)} if job.needs else {}
    content |= {"if": condition} if (condition := _condition(job)) else {}
    content |= {"runs-on": ["self-hosted", job.machine] if job.machine else "ubuntu-24.04"}
    content |= {"timeout-minutes": job.minutes}
    content |= {"environment": job.environment} if job.environment else {}
    content |= {"permissions": dict.fromkeys(job.writes, "write")} if job.writes else {}
    content |= {"concurrency": {"group": job.name, "cancel-in-progress": False}} if job.when is When.PUSH else {}
    content |= {"strategy": {"matrix": {"engine": list(job.engines)}}} if job.engines else {}
    content |= {"outputs": {"text": "${{ steps.give.outputs.text }}"}} if job.gives else {}
    builder = f"urn:samebook:builder:${{{{ github.repository }}}}/{job.name}"
    content |= {"env": {"SAMEBOOK_BUILDER": builder}} if job.when is When.MODEL else {}
    return content | {"steps": list(_steps(job))}


def _condition(job: Job) -> str:
    parts = [f"github.ref_name == '{job.branch}'"] if job.branch else []
    parts += [f"vars.{job.switch} != ''"] if job.switch else []
    if job.when is When.REQUEST:  # the workflow has pushes, too
        parts.append(OWN if job.writes else "github.event_name == 'pull_request'")
    return " && ".join(parts)


def _steps(job: Job) -> Iterable[dict[str, Any]]:
    if job.has_checkout:
        yield _checkout(job)
    if job.takes:
        give = f"${{{{ needs.{job.needs[0]}.outputs.text }}}}"
        yield {
            "name": f"Take {job.takes}",
            "env": {"TEXT": give},
            "run": _run(f'printf %s "$TEXT" | base64 -d | gunzip >{job.takes}'),
        }
    for step in job.steps:
        yield {"name": step.name, **_env(step), "run": _run(*step.lines)}
    if job.gives:
        # As one line: no line of a branch may end the text, and give another output.
        shown = [f'cat {job.gives} >>"$GITHUB_STEP_SUMMARY"'] if job.gives == jobs.REVIEW else []
        line = f'echo "text=$(gzip -c {job.gives} | base64 -w0)" >>"$GITHUB_OUTPUT"'
        yield {"name": f"Give {job.gives}", "id": "give", "run": _run(*shown, line)}
    if job.keeps:
        kept = {
            "name": job.name,
            "path": "\n".join(job.keeps),
            "include-hidden-files": True,
            "if-no-files-found": "ignore",
        }
        yield {"if": "${{ !cancelled() }}", "uses": candidates.UPLOAD, "with": kept}


def _checkout(job: Job) -> dict[str, Any]:
    step = yaml.safe_load(CHECKOUT.format())[0]
    if job.is_of_base:
        lines = step["run"].splitlines()
        step |= {"name": "Check out the base", "run": _run(*lines[:-1], *BASE)}
    return step


def _run(*lines: str) -> str:
    return "\n".join(lines) + ("\n" if len(lines) > 1 else "")


def _env(step: Step) -> dict[str, dict[str, str]]:
    env = {name: KNOWN.get(name, f"${{{{ secrets.{name} }}}}") for name in step.secrets}
    env |= {name: f"${{{{ vars.{name} }}}}" for name in step.variables}
    return {"env": env} if env else {}
