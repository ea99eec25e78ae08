"""A schedule for the machine of the checkout: as a crontab, or as units of systemd."""

import datetime
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from samebook.core.cron import HOUR, MINUTE, MONTH, WEEK, Cron, ranges

CRONTAB = """\
# Jobs of samebook in env {env}: put this at the end of what `crontab -e` shows. Times are UTC by CRON_TZ, which cronie
# knows. Debian's own cron does not: there have the machine in UTC, or use the timers of systemd.
CRON_TZ=UTC
"""
SERVICE = """\
[Unit]
Description=samebook: the job {job} in env {env}

[Service]
Type=oneshot
{secrets}ExecStart=/usr/bin/env {command}
# make hands SIGTERM on to what it runs, which then ends what it has in hand.
KillMode=mixed
"""
TIMER = """\
[Unit]
Description=samebook: when the job {job} is due in env {env}

[Timer]
{times}
# A time at which the machine was off is made up for.
Persistent=true
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


@dataclass(frozen=True)
class Jobs:
    """The scheduled pipelines of a checkout; `secrets` are the names of the secrets that its settings refer to, and
    `registry` is the host that has the published image; "" where the settings name none. `project` is the first word of
    all names: a machine may have several projects.
    """

    root: Path
    env: str
    when: dict[str, Cron]
    secrets: tuple[str, ...] = ()
    registry: str = ""
    project: str = "samebook"

    def command(self, job: str) -> list[str]:
        secrets = [f"SECRETS={' '.join(self.secrets)}"] if self.secrets else []
        return ["make", "--silent", "-C", str(self.root), "pipeline", f"NAME={job}", f"ENV={self.env}", *secrets]

    @property
    def variables(self) -> str:
        """The file, below the user's home, that sets the secrets: NAME=value, a line each."""
        return f".config/{self.project}/{self.env}.env"

    @property
    def name(self) -> str:
        return f"{self.project}-{self.env}"


def crontab(jobs: Jobs) -> dict[str, str]:
    """The crontab, as one file. Cron takes a bare % for the end of the command."""
    begin = f'set -a && . "$HOME/{jobs.variables}" && ' if jobs.secrets else ""
    note = f"# The secrets {' '.join(jobs.secrets)} come from ~/{jobs.variables}.\n" if jobs.secrets else ""
    lines = [f"{when} {begin}{shlex.join(jobs.command(job))}".replace("%", r"\%") for job, when in jobs.when.items()]
    return {f"{jobs.name}.cron": CRONTAB.format(env=jobs.env) + note + "\n".join(lines) + "\n"}


def systemd(jobs: Jobs) -> dict[str, str]:
    """A service and a timer for each job, by file name: for ~/.config/systemd/user/."""
    secrets = f"EnvironmentFile=%h/{jobs.variables}\n" if jobs.secrets else ""
    units: dict[str, str] = {}
    for job, when in jobs.when.items():
        name, command = f"{jobs.name}-{job}", " ".join(map(quoted, jobs.command(job)))
        times = "\n".join(f"OnCalendar={time}" for time in calendar(when))
        units[f"{name}.service"] = SERVICE.format(job=job, env=jobs.env, secrets=secrets, command=command)
        units[f"{name}.timer"] = TIMER.format(job=job, env=jobs.env, times=times)
    return units


def calendar(when: Cron) -> Iterator[str]:
    """The times in systemd's form. It combines day and weekday by `and`, cron by `or`: then there are two lines."""
    hours, minutes = _numbers(when.hours, HOUR.all_values), _numbers(when.minutes, MINUTE.all_values)
    months, time = _numbers(when.months, MONTH.all_values), f"{hours}:{minutes}:00 UTC"
    if when.days or not when.weekdays:
        yield f"*-{months}-{_numbers(when.days, ())} {time}"
    if when.weekdays:
        yield f"{ranges(sorted(day or WEEK for day in when.weekdays), '..', _weekday)} *-{months}-* {time}"


def _numbers(values: tuple[int, ...], every: tuple[int, ...]) -> str:
    return "*" if values == every else ranges(values, "..", "{:02}".format)


def _weekday(number: int) -> str:
    return datetime.date.fromisocalendar(2000, 1, number).strftime("%a")


def quoted(text: str) -> str:
    """A word of a command line, quoted for systemd."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(escaped) & set(" \t'\"\\;") else escaped
