"""When jobs are due, and the same for cron, systemd, Kubernetes or GitHub, which then start them."""

import datetime
import os
import re
from dataclasses import dataclass

from samebook.core import cron
from samebook.core.errors import UsageError
from samebook.core.table import align
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.pipelines import definition, manifests, timers
from samebook.pipelines.timers import Jobs

FORMS = ("cron", "systemd", "kubernetes", "github")
# Those that start jobs in a checkout of this machine.
HERE = {"cron", "systemd"}


@dataclass(frozen=True)
class ScheduleRequest:
    """The schedule of which environment, for whom; Kubernetes needs the image that its jobs run."""

    env: str
    form: str
    image: str = ""


def schedule(workspace: Workspace, request: ScheduleRequest) -> dict[str, str]:
    """The files that say so, by name. Raises UsageError where nothing is scheduled, or can't be, or be said."""
    in_force = settings.load(workspace, request.env)
    if not in_force.schedule:
        raise UsageError(nothing(request.env))
    for job in in_force.schedule:
        definition.read(workspace, job)
    when = {job: cron.parse(line) for job, line in in_force.schedule.items()}
    jobs = Jobs(workspace.root, request.env, when, tuple(sorted(in_force.secret_names())))
    _check(jobs, request)
    match request.form:
        case "cron":
            return timers.crontab(jobs)
        case "systemd":
            return timers.systemd(jobs)
        case "kubernetes":
            return manifests.kubernetes(jobs, request.image)
        case _:
            return manifests.github(jobs, shared=bool(in_force.store.url))


def nothing(env: str) -> str:
    return f'nothing is scheduled in env {env}: environments/{env}.yml has no `schedule: {{daily: "30 4 * * *"}}`'


def _check(jobs: Jobs, request: ScheduleRequest) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", jobs.env):
        raise UsageError(f"env {jobs.env!r}: expected letters, digits, - and _ for a name that others use too")
    if request.form in HERE and os.environ.get("SAMEBOOK_ENGINE") == "docker":
        raise UsageError(
            f"inside the image nobody knows where the checkout is that {request.form} shall start jobs in",
            mend=f"make schedule AS={request.form} ENV={jobs.env}",
        )
    if request.form in HERE and not str(jobs.root).isprintable():
        raise UsageError(f"the checkout's path {str(jobs.root)!r} can't stand in a line", mend="mv it elsewhere")
    if request.form == "kubernetes" and not re.fullmatch(r"[\w./:@-]+", request.image):
        raise UsageError(
            f"the image {request.image!r} is none: Kubernetes has to know what to run",
            mend="samebook schedule --as kubernetes --image registry.example.com/samebook@sha256:…",
        )


def table(found: settings.Settings, now: datetime.datetime) -> str:
    """Each job with its line, and when it is due next."""
    lines = [("job", "minute hour day month weekday", "next, UTC")]
    for job, line in found.schedule.items():
        moment = cron.next_due(line, now)
        lines.append((job, line, f"{moment:%Y-%m-%d %H:%M %a}" if moment else "never"))
    return "\n".join(align(lines))
