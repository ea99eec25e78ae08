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
# Without the registry's host, which stands last.
LOGIN = 'printf %s "$REGISTRY_PASSWORD" | docker login --username "$REGISTRY_USER" --password-stdin'
AUTHOR = "git config user.name samebook && git config user.email samebook@localhost"
# The branches of environments that are called otherwise.
BRANCHES = {"dev": "main"}
# GitLab checks a commit out without a branch, and a commit needs one.
BRANCH = 'git checkout --quiet -B main "$CI_COMMIT_SHA"'
GITLAB = """\
# Jobs of samebook in env {env}: include this file in .gitlab-ci.yml. The runner needs git, make, and Docker or Python.
# Build > Pipeline schedules starts each job, in UTC, on the branch {branch}, with the variable JOB:
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


def signed(pipelines: Mapping[str, Pipeline], conditions: Promotion) -> set[str]:
    """The jobs that have the gate judge a candidate, where the policy wants it signed: unsigned it is refused later."""
    if not (conditions.signed and conditions.gate):
        return set()
    gate = conditions.gate.notebook
    return {
        job
        for job, pipeline in pipelines.items()
        if any((step.notebook or name) == gate for name, step in pipeline.steps.items() if step.verb == "run")
    }


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


def branch(env: str) -> str:
    """The branch that has an environment: what is scheduled there is of its commit."""
    return BRANCHES.get(env, env)


def key(secret: str) -> str:
    """The command that writes a private key from a secret into GitHub's temporary folder."""
    return f'install -m 600 /dev/null "{GITHUB_KEY}" && printenv {secret} > "{GITHUB_KEY}"'


def reproduction(candidate: Candidate, key_file: str) -> str:
    """The command of the other builder. Where it signs, the notebook runs in a container, which has not the key."""
    return f"{signing(key_file)}make reproduce RUN={candidate.notebook}{engine(key_file)}"


def signing(key_file: str) -> str:
    """What stands before a command that signs, as a shell reads it."""
    return f'SIGNING_KEY="{key_file}" ' if key_file else ""


def engine(key_file: str) -> str:
    return " ENGINE=docker" if key_file else ""


def promotion(candidate: Candidate, env: str) -> str:
    """The command that promotes the candidate, by a commit; it refuses where run or reproduction lack something."""
    return f"{AUTHOR} && make promote RUN={candidate.notebook} MODEL={candidate.model} ENV={env}"


def github_proposal(branch: str, base: str = "$GITHUB_REF_NAME") -> tuple[str, ...]:
    """The commands that push HEAD as a branch on GitHub, and open a pull request of it. A branch of that name is what
    an earlier attempt of this job has pushed.
    """
    return (
        f'git -c "{HEADER}" push --quiet "$URL" +HEAD:refs/heads/{branch}',
        f'gh pr create --repo "$GITHUB_REPOSITORY" --base "{base}" --head {branch}'
        ' --title "$(git log -1 --format=%s)" --body "$(git log -1 --format=%b)"',
    )


def gitlab_proposal(branch: str) -> tuple[str, ...]:
    """The command that pushes HEAD as a branch on GitLab, which makes a merge request of it."""
    options = '-o merge_request.create -o merge_request.target="$CI_COMMIT_BRANCH"'
    server = "https://oauth2:$PUSH_TOKEN@$CI_SERVER_HOST/$CI_PROJECT_PATH.git"
    return (f'git push --quiet {options} "{server}" +HEAD:refs/heads/{branch}',)


def github(jobs: Jobs, candidate: Candidate, checkout: dict[str, Any], *, is_signed: bool, shared: bool) -> str:
    """The two jobs after a candidate's, as a part of a workflow; `checkout` is the step that checks its commit out."""
    tail, begin = _tail(jobs), {"runs-on": "ubuntu-24.04", "timeout-minutes": 360}
    pull, push = ([{"run": f"make {verb} {tail}"}] if shared else [] for verb in ("pull", "push"))
    signing = [{"env": {REPRODUCTION_KEY: _secret(REPRODUCTION_KEY)}, "run": key(REPRODUCTION_KEY)}]
    outputs = f"needs.{candidate.job}.outputs"
    checkout = {**checkout, "env": {**checkout["env"], "COMMIT": f"${{{{ {outputs}.commit }}}}"}}
    reproduce = {
        **begin,
        "needs": [candidate.job],
        # Its own environment, so that no other job gets its key.
        "environment": f"samebook-{jobs.env}-reproduction",
        "env": _variables(jobs, f"${{{{ github.repository }}}}/{candidate.job}-reproduce"),
        "steps": [
            checkout,
            _runs(DOWNLOAD, candidate.job),
            *login(jobs),
            *pull,
            *(signing if is_signed else []),
            {"run": reproduction(candidate, GITHUB_KEY if is_signed else "")},
            _runs(UPLOAD, f"{candidate.job}-reproduced"),
        ],
    }
    proposal = "\n".join(github_proposal(f"{candidate.job}-$GITHUB_RUN_ID", "$BASE")) + "\n"
    own = {"GH_TOKEN": checkout["env"]["TOKEN"], "BASE": f"${{{{ {outputs}.branch }}}}"}
    promote = {
        **begin,
        "needs": [candidate.job, f"{candidate.job}-reproduce"],
        "environment": f"samebook-{jobs.env}",
        "permissions": {"contents": "write", "pull-requests": "write"},
        "env": _variables(jobs, f"${{{{ github.repository }}}}/{candidate.job}-promote"),
        "steps": [
            checkout,
            _runs(DOWNLOAD, f"{candidate.job}-reproduced"),
            *login(jobs),
            *pull,
            {"run": promotion(candidate, jobs.env)},
            *push,
            *([] if shared else [{"uses": UPLOAD, "with": {"name": f"{candidate.job}-store", "path": "store"}}]),
            {"env": {**checkout["env"], **own}, "run": proposal},
        ],
    }
    named = {f"{candidate.job}-reproduce": reproduce, f"{candidate.job}-promote": promote}
    lines = yaml_file.dump(named).splitlines()
    return "".join(f"  {line}\n" for line in lines)


def login(jobs: Jobs) -> list[dict[str, Any]]:
    """The step by which Docker may pull the image that the settings name, where its registry asks who pulls."""
    if not jobs.registry:
        return []
    secrets = {name: _secret(name) for name in ("REGISTRY_USER", "REGISTRY_PASSWORD")}
    return [{"name": "Log in to the registry, where that is asked for", "env": secrets, "run": _login(jobs.registry)}]


def _login(registry: str) -> str:
    return f'[ -z "$REGISTRY_USER" ] || {LOGIN} {registry}'


def upload(candidate: Candidate) -> str:
    """The last step of a candidate's job: its runs, for the job that reproduces."""
    return f"      - uses: {UPLOAD}\n        with: {{name: {candidate.job}, path: runs}}\n"


def gitlab(jobs: Jobs, candidates: list[Candidate], *, is_signed: bool, shared: bool) -> dict[str, str]:
    """The jobs for GitLab, as one file; a candidate is followed by its reproduction and its promotion."""
    times = "\n".join(f"#   {job}: {when}" for job, when in jobs.when.items())
    named = {name: job for job in jobs.when for name, job in _gitlab(jobs, job, candidates, is_signed, shared)}
    head = GITLAB.format(env=jobs.env, branch=branch(jobs.env), times=times)
    return {f"samebook-{jobs.env}.gitlab-ci.yml": head + yaml_file.dump(named)}


def _gitlab(
    jobs: Jobs, job: str, candidates: list[Candidate], is_signed: bool, shared: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    tail, name = _tail(jobs), f"samebook-{jobs.env}-{job}"
    begun = [_login(jobs.registry)] if jobs.registry else []
    pull, push = ([f"make {verb} {tail}"] if shared else [] for verb in ("pull", "push"))
    candidate = next((candidate for candidate in candidates if candidate.job == job), None)
    begin = {
        "rules": [{"if": f'$CI_PIPELINE_SOURCE == "schedule" && $JOB == "{job}"'}],
        "timeout": "6h",
        "resource_group": name,
    }
    handed = {"artifacts": {"paths": ["runs/", *([] if shared else ["store/"])], "expire_in": "30 days"}}
    # Without the variable the job ends: unsigned, its work would be refused hours later.
    run_key, other_key = (
        f"${{{variable}:?}}" if candidate and is_signed else "" for variable in (RUN_KEY, REPRODUCTION_KEY)
    )
    run = [*begun, *pull, f"{signing(run_key)}make pipeline NAME={job} {tail}{engine(run_key)}", *push]
    builder = "urn:samebook:builder:$CI_PROJECT_PATH/$CI_JOB_NAME"
    common = {**begin, **_environment(f"samebook-{jobs.env}")}
    common |= {"variables": {"GIT_DEPTH": "0", "SAMEBOOK_BUILDER": builder}}
    yield name, {**common, "script": run, **(handed if candidate else {})}
    if candidate:
        again = {"needs": [name], "script": [*begun, *pull, reproduction(candidate, other_key)]}
        # Its own environment, so that no other job gets its key.
        yield f"{name}-reproduce", {**common, **_environment(f"samebook-{jobs.env}-reproduction"), **again, **handed}
        proposal = gitlab_proposal(f"{job}-$CI_PIPELINE_ID")
        script = [BRANCH, *begun, *pull, promotion(candidate, jobs.env), *push, *proposal]
        yield f"{name}-promote", {**common, "needs": [f"{name}-reproduce"], "script": script, **handed}


def _environment(name: str) -> dict[str, Any]:
    return {"environment": {"name": name, "action": "access"}}


def _tail(jobs: Jobs) -> str:
    return f"ENV={jobs.env}" + (f' SECRETS="{" ".join(jobs.secrets)}"' if jobs.secrets else "")


def _secret(name: str) -> str:
    return f"${{{{ secrets.{name} }}}}"


def _variables(jobs: Jobs, builder: str) -> dict[str, str]:
    return {"SAMEBOOK_BUILDER": f"urn:samebook:builder:{builder}", **{name: _secret(name) for name in jobs.secrets}}


def _runs(action: str, name: str) -> dict[str, Any]:
    return {"uses": action, "with": {"name": name, "path": "runs"}}
