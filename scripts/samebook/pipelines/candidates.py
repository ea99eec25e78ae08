"""The jobs of a CI that follow a scheduled candidate: another builder reproduces it, then it is promoted on a branch.

The policy refuses the promotion of a run that only its builder has made. Each job hands its runs to the next one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from samebook.environment import yaml_file
from samebook.environment.model_sections import Promotion
from samebook.pipelines.definition import REFERENCE, Pipeline
from samebook.pipelines.timers import Jobs

# GitHub's own actions, by commit: nothing else hands files from a job to the next one.
UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02"  # v4.6.2
DOWNLOAD = "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093"  # v4.3.0
HEADER = "http.extraheader=Authorization: Basic $(printf 'x-access-token:%s' \"$TOKEN\" | base64 -w0)"
GITHUB_KEY = "$RUNNER_TEMP/key.pem"
# The secrets with the private keys: of the run, and of another owner for its reproduction.
RUN_KEY, REPRODUCTION_KEY = "RUN_KEY", "REPRODUCTION_KEY"
AUTHOR = "git config user.name samebook && git config user.email samebook@localhost"
# GitLab checks a commit out without a branch, and a commit needs one.
BRANCH = 'git checkout --quiet -B main "$CI_COMMIT_SHA"'
GITLAB = """\
# Jobs of samebook in env {env}: include this file in .gitlab-ci.yml. The runner needs git, make, and Docker or Python.
# Build > Pipeline schedules starts each job, in UTC, with the variable JOB:
{times}
"""


@dataclass(frozen=True)
class Candidate:
    """A scheduled pipeline that compares a run with a champion: the job, the run's notebook, and the model's name."""

    job: str
    notebook: str
    model: str


def find(pipelines: Mapping[str, Pipeline], conditions: Promotion) -> list[Candidate]:
    """The candidates of the scheduled pipelines, where the policy asks for a reproduction."""
    found = (_candidate(job, pipeline, conditions) for job, pipeline in pipelines.items() if conditions.reproduced)
    return [candidate for candidate in found if candidate]


def _candidate(job: str, pipeline: Pipeline, conditions: Promotion) -> Candidate | None:
    for name, step in pipeline.steps.items():
        if conditions.gate is None or (step.notebook or name) != conditions.gate.notebook:
            continue
        source, champion = (_name(step.parameters.get(key)) for key in ("candidate", "champion"))
        if source in pipeline.steps and (model := pipeline.parameters.get(champion)):
            return Candidate(job, pipeline.steps[source].notebook or source, str(model))
    return None


def _name(text: object) -> str:
    reference = REFERENCE.fullmatch(str(text))
    return reference[1] if reference else ""


def key(secret: str) -> str:
    """The command that writes a private key from a secret into GitHub's temporary folder."""
    return f'install -m 600 /dev/null "{GITHUB_KEY}" && printenv {secret} > "{GITHUB_KEY}"'


def reproduction(candidate: Candidate, key_file: str) -> str:
    """The command of the other builder."""
    return f"{f'SIGNING_KEY="{key_file}" ' if key_file else ''}make reproduce RUN={candidate.notebook}"


def promotion(candidate: Candidate, env: str) -> str:
    """The command that promotes the candidate, by a commit; it refuses where run or reproduction lack something."""
    return f"{AUTHOR} && make promote RUN={candidate.notebook} MODEL={candidate.model} ENV={env}"


def github_proposal(branch: str) -> tuple[str, ...]:
    """The commands that push HEAD as a branch on GitHub, and open a pull request of it."""
    return (
        f'git -c "{HEADER}" push --quiet "$URL" HEAD:refs/heads/{branch}',
        f'gh pr create --repo "$GITHUB_REPOSITORY" --base "$GITHUB_REF_NAME" --head {branch}'
        ' --title "$(git log -1 --format=%s)" --body "$(git log -1 --format=%b)"',
    )


def gitlab_proposal(branch: str) -> tuple[str, ...]:
    """The command that pushes HEAD as a branch on GitLab, which makes a merge request of it."""
    options = '-o merge_request.create -o merge_request.target="$CI_COMMIT_BRANCH"'
    server = "https://oauth2:$PUSH_TOKEN@$CI_SERVER_HOST/$CI_PROJECT_PATH.git"
    return (f'git push --quiet {options} "{server}" HEAD:refs/heads/{branch}',)


def github(jobs: Jobs, candidate: Candidate, checkout: dict[str, Any], *, is_signed: bool, shared: bool) -> str:
    """The two jobs after a candidate's, as a part of a workflow; `checkout` is the step that checks the commit out."""
    tail, begin = _tail(jobs), {"runs-on": "ubuntu-24.04", "timeout-minutes": 360}
    pull, push = ([{"run": f"make {verb} {tail}"}] if shared else [] for verb in ("pull", "push"))
    signing = [{"env": {REPRODUCTION_KEY: _secret(REPRODUCTION_KEY)}, "run": key(REPRODUCTION_KEY)}]
    reproduce = {
        **begin,
        "needs": candidate.job,
        # Its own environment, so that no other job gets its key.
        **({"environment": f"samebook-{jobs.env}-reproduction"} if is_signed else {}),
        "env": _variables(jobs, f"${{{{ github.repository }}}}/{candidate.job}-reproduce"),
        "steps": [
            checkout,
            _runs(DOWNLOAD, candidate.job),
            *pull,
            *(signing if is_signed else []),
            {"run": reproduction(candidate, GITHUB_KEY if is_signed else "")},
            _runs(UPLOAD, f"{candidate.job}-reproduced"),
        ],
    }
    proposal = "\n".join(github_proposal(f"{candidate.job}-$GITHUB_RUN_ID")) + "\n"
    promote = {
        **begin,
        "needs": f"{candidate.job}-reproduce",
        "permissions": {"contents": "write", "pull-requests": "write"},
        "env": _variables(jobs, f"${{{{ github.repository }}}}/{candidate.job}-promote"),
        "steps": [
            checkout,
            _runs(DOWNLOAD, f"{candidate.job}-reproduced"),
            *pull,
            {"run": promotion(candidate, jobs.env)},
            *push,
            *([] if shared else [{"uses": UPLOAD, "with": {"name": f"{candidate.job}-store", "path": "store"}}]),
            {"env": {**checkout["env"], "GH_TOKEN": checkout["env"]["TOKEN"]}, "run": proposal},
        ],
    }
    named = {f"{candidate.job}-reproduce": reproduce, f"{candidate.job}-promote": promote}
    lines = yaml_file.dump(named).splitlines()
    return "".join(f"  {line}\n" for line in lines)


def upload(candidate: Candidate) -> str:
    """The last step of a candidate's job: its runs, for the job that reproduces."""
    return f"      - uses: {UPLOAD}\n        with: {{name: {candidate.job}, path: runs}}\n"


def gitlab(jobs: Jobs, candidates: list[Candidate], *, is_signed: bool, shared: bool) -> dict[str, str]:
    """The jobs for GitLab, as one file; a candidate is followed by its reproduction and its promotion."""
    times = "\n".join(f"#   {job}: {when}" for job, when in jobs.when.items())
    named = {name: job for job in jobs.when for name, job in _gitlab(jobs, job, candidates, is_signed, shared)}
    head = GITLAB.format(env=jobs.env, times=times)
    return {f"samebook-{jobs.env}.gitlab-ci.yml": head + yaml_file.dump(named)}


def _gitlab(
    jobs: Jobs, job: str, candidates: list[Candidate], is_signed: bool, shared: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    tail, name = _tail(jobs), f"samebook-{jobs.env}-{job}"
    pull, push = ([f"make {verb} {tail}"] if shared else [] for verb in ("pull", "push"))
    candidate = next((candidate for candidate in candidates if candidate.job == job), None)
    begin = {
        "rules": [{"if": f'$CI_PIPELINE_SOURCE == "schedule" && $JOB == "{job}"'}],
        "timeout": "6h",
        "resource_group": name,
    }
    handed = {"artifacts": {"paths": ["runs/", *([] if shared else ["store/"])], "expire_in": "30 days"}}
    sign = f'SIGNING_KEY="${RUN_KEY}" ' if candidate and is_signed else ""
    run = [*pull, f"{sign}make pipeline NAME={job} {tail}", *push]
    builder = "urn:samebook:builder:$CI_PROJECT_PATH/$CI_JOB_NAME"
    common = {**begin, "variables": {"GIT_DEPTH": "0", "SAMEBOOK_BUILDER": builder}}
    yield name, {**common, "script": run, **(handed if candidate else {})}
    if candidate:
        again = reproduction(candidate, f"${REPRODUCTION_KEY}" if is_signed else "")
        yield f"{name}-reproduce", {**common, "needs": [name], "script": [*pull, again], **handed}
        proposal = gitlab_proposal(f"{job}-$CI_PIPELINE_ID")
        script = [BRANCH, *pull, promotion(candidate, jobs.env), *push, *proposal]
        yield f"{name}-promote", {**common, "needs": [f"{name}-reproduce"], "script": script, **handed}


def _tail(jobs: Jobs) -> str:
    return f"ENV={jobs.env}" + (f' SECRETS="{" ".join(jobs.secrets)}"' if jobs.secrets else "")


def _secret(name: str) -> str:
    return f"${{{{ secrets.{name} }}}}"


def _variables(jobs: Jobs, builder: str) -> dict[str, str]:
    return {"SAMEBOOK_BUILDER": f"urn:samebook:builder:{builder}", **{name: _secret(name) for name in jobs.secrets}}


def _runs(action: str, name: str) -> dict[str, Any]:
    return {"uses": action, "with": {"name": name, "path": "runs"}}
