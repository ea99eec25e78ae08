"""Show when jobs are due, or write the schedule for cron, systemd, Kubernetes, Airflow, GitHub or GitLab."""

import datetime
import re
from dataclasses import dataclass, field, replace

from samebook.cluster.frame import Frame
from samebook.core import cron
from samebook.core.errors import UsageError
from samebook.core.text import align
from samebook.core.workspace import Workspace
from samebook.environment import machine, settings
from samebook.pipelines import airflow, candidates, definition, git_use, manifests, timers
from samebook.pipelines.git_use import Clone
from samebook.pipelines.timers import Jobs

FORMS = ("cron", "systemd", "kubernetes", "airflow", "airflow-kubernetes", "github", "gitlab")
# The forms whose jobs start in a checkout on this machine.
LOCAL = {"cron", "systemd"}
# The forms whose jobs may work in a clone of the repository.
IN_PODS = {"kubernetes", "airflow-kubernetes"}


@dataclass(frozen=True)
class ScheduleRequest:
    """The environment whose schedule is written, the form (one of FORMS), and of Kubernetes' jobs image and limits, and
    the repository for those that need it.
    """

    env: str
    form: str
    image: str = ""
    memory: str = ""
    cores: str = ""
    clone: Clone = field(default_factory=Clone)


def schedule(workspace: Workspace, request: ScheduleRequest) -> dict[str, str]:
    """The schedule's files, content by name.

    Raises UsageError where no job is scheduled, a job's pipeline is unusable, or the form can't express the schedule.
    """
    env_settings = settings.load(workspace, request.env)
    if not env_settings.schedule:
        raise UsageError(
            unscheduled(request.env),
            mend=f'write `schedule: {{daily: "30 4 * * *"}}` in environments/{request.env}.yml',
        )
    _check_promotions(workspace, env_settings, request)
    when = {job: cron.parse(line) for job, line in env_settings.schedule.items()}
    published = env_settings.published.runtime if env_settings.published else ""
    secrets = tuple(sorted(env_settings.secret_names()))
    registry = published.partition("/")[0]
    jobs = Jobs(workspace.root, request.env, when, secrets, registry=registry, project=workspace.project)
    _check(jobs, request)
    match request.form:
        case "cron":
            return timers.crontab(jobs)
        case "systemd":
            return timers.systemd(jobs)
        case "kubernetes":
            return manifests.cron_jobs(jobs, _frames(workspace, jobs, env_settings, request))
        case "airflow-kubernetes":
            return airflow.pods(jobs, _frames(workspace, jobs, env_settings, request))
        case "airflow":
            _check_without_git(workspace, jobs, env_settings)
            return airflow.docker(jobs, Frame(request.env, request.image, jobs.secrets, project=jobs.project))
        case _:
            return _in_ci(workspace, jobs, env_settings, request.form)


def _in_ci(workspace: Workspace, jobs: Jobs, env_settings: settings.Settings, form: str) -> dict[str, str]:
    """The jobs of a CI; where the policy asks for a reproduction, a candidate's is followed by another builder's."""
    conditions, shared = env_settings.promotion, bool(env_settings.store.url)
    pipelines = {job: definition.read(workspace, job) for job in jobs.when}
    found = candidates.find(pipelines, conditions)
    write = candidates.gitlab if form == "gitlab" else manifests.github
    return write(jobs, found, is_signed=conditions.signed, shared=shared)


def _frames(
    workspace: Workspace, jobs: Jobs, env_settings: settings.Settings, request: ScheduleRequest
) -> dict[str, Frame]:
    """The frame of each job of Kubernetes: with the repository where it needs that, with the key of runs where the
    policy asks for signatures, and with the shared store in the place of claims where the settings name one.
    """
    conditions = env_settings.promotion
    pipelines = {job: definition.read(workspace, job) for job in jobs.when}
    limits = (request.memory, request.cores)
    common = Frame(request.env, request.image, jobs.secrets, *limits, project=jobs.project)
    candidates_signed = candidates.signed(pipelines, conditions)
    frames: dict[str, Frame] = {}
    for job, pipeline in pipelines.items():
        git_use.check_in_a_pod(job, pipeline)
        is_written = git_use.promotes(pipeline)
        reasons = git_use.reasons(pipeline, env_settings.ab_test)
        is_signed = (conditions.signed and is_written) or job in candidates_signed
        frames[job] = replace(
            common,
            # Runs come back from the shared store without their signatures.
            is_shared=bool(env_settings.store.url) and not is_signed,
            signing_key=candidates.RUN_KEY if is_signed else "",
            repository=request.clone.repository(workspace, job, reasons, is_written=is_written),
        )
    return frames


def _check_without_git(workspace: Workspace, jobs: Jobs, env_settings: settings.Settings) -> None:
    """Raise UsageError for a job that needs the git repository: a container of the image alone has none."""
    for job in jobs.when:
        pipeline = definition.read(workspace, job)
        git_use.check_in_a_pod(job, pipeline)
        if reasons := git_use.reasons(pipeline, env_settings.ab_test):
            raise UsageError(
                f"{job} needs the git repository, which no image has: {reasons[0]}",
                mend=f"make schedule AS=airflow-kubernetes ENV={jobs.env} IMAGE=… REPOSITORY=ssh://git@host/path.git",
            )


def _check_promotions(workspace: Workspace, env_settings: settings.Settings, request: ScheduleRequest) -> None:
    """Raise UsageError for a job that promotes where its policy must refuse that, or its commit would be lost."""
    for job in env_settings.schedule:
        pipeline = definition.read(workspace, job)
        if not git_use.promotes(pipeline):
            continue
        mend = (
            f"edit environments/pipelines/{job}.yml: end it with the gate, and once its run is reproduced: make promote"
        )
        if env_settings.promotion.reproduced:
            raise UsageError(
                f"{job} promotes what it has made itself, and the policy of {request.env} asks for another builder",
                mend=mend,
            )
        if request.form not in LOCAL | IN_PODS:
            raise UsageError(
                f"{job} promotes, which is a commit; in {request.form} it would be lost with the job's copy", mend=mend
            )


def unscheduled(env: str) -> str:
    """The message for an environment without a schedule."""
    return f"nothing is scheduled in env {env}: environments/{env}.yml has no `schedule`"


def _check(jobs: Jobs, request: ScheduleRequest) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", jobs.env):
        raise UsageError(
            f"env {jobs.env!r} can't name a job: expected letters, digits, - and _",
            mend=f"git mv environments/{jobs.env}.yml environments/NAME.yml",
        )
    if request.form in LOCAL and machine.engine() == "docker":
        raise UsageError(
            f"the schedule of {request.form} needs the path of a checkout, which is not known inside the image",
            mend=f"make schedule AS={request.form} ENV={jobs.env}",
        )
    if request.form in LOCAL and not str(jobs.root).isprintable():
        raise UsageError(
            f"the checkout's path {str(jobs.root)!r} has a character that can't stand in a line; expected others",
            mend=f"mv {str(jobs.root)!r} ../samebook",
        )


def table(env_settings: settings.Settings, now: datetime.datetime) -> str:
    """The schedule as text: each job with its cron line, and the time when it is due next."""
    rows = [("job", "minute hour day month weekday", "next, UTC")]
    for job, line in env_settings.schedule.items():
        moment = cron.next_due(line, now)
        rows.append((job, line, f"{moment:%Y-%m-%d %H:%M %a}" if moment else "never"))
    return "\n".join(align(rows))
