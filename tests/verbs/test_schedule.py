"""The schedule in the forms of cron, systemd, Kubernetes and GitHub: the same jobs at the same times."""

import re
import shlex
import shutil
import subprocess
import sysconfig
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest
import yaml
from promoting import stderr_of
from test_cron import SEEDED
from tiny import CHECKOUT, Tiny, image_python

from samebook.cli import make_call
from samebook.cli.main import cli
from samebook.cluster import frame
from samebook.core import cron
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.pipelines import timers
from samebook.pipelines.timers import Jobs
from samebook.records import receipt
from samebook.verbs.schedule import ScheduleRequest, schedule

LINES = ["30 4 * * *", "0 5 * * MON", "*/15 9-17 * * MON-FRI", "0 0 13 * FRI", "0 6 1-7,15 JAN,JUL *", "0 0 * * 0,6,7"]
SCHEDULE = 'schedule: {daily: "30 4 * * *", re-train_2: "0 5 1 * MON"}\n'
IMAGE = f"registry.example.com/samebook@sha256:{'0' * 64}"
JOBS = ("samebook-prod-daily", "samebook-prod-re-train_2")
NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
MAKEFILE = (CHECKOUT / "Makefile").read_text() + "".join(
    (CHECKOUT / name).read_text() for name in ("scripts/package.mk", "environments/docker.mk")
)
WORKFLOWS = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))
PROGRAMS = (
    "[",
    "apt-get",
    "cat",
    "docker",
    "echo",
    "export",
    "gh",
    "git",
    "gzip",
    "if",
    "install",
    "printenv",
    "printf",
    "then",
    "fi",
)
PROPOSALS = ("propose-preprod", "propose-prod")
# Steps that are programs of their own: how a machine makes images, and which commit a scheduled job is of.
PREPARED = ("Use Docker's containerd image store", "Check out the branch of ")
SYSTEMD = shutil.which("systemd-analyze")


@pytest.fixture
def scheduled(tiny: Tiny) -> Tiny:
    (tiny.root / "environments" / "prod.yml").write_text(SCHEDULE)
    tiny.notebook("train", work="1")
    for name in ("daily", "re-train_2"):
        path = tiny.root / "environments" / "pipelines" / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("steps: {train: {}}")
    return tiny


def rendered(tiny: Tiny, form: str, *options: str) -> str:
    ended = tiny.samebook("schedule", "--env", "prod", "--as", form, *options)
    assert ended.code == 0, ended.stderr
    return ended.stdout


def jobs(root: str, *secrets: str) -> Jobs:
    return Jobs(Path(root), "prod", {"daily": cron.parse("30 4 * * *")}, secrets)


def test_next_times_are_shown(scheduled: Tiny) -> None:
    """Without --as each job is shown with its line and its next time; an empty schedule says where it belongs."""
    lines = scheduled.samebook("schedule", "--env", "prod").stdout.splitlines()
    assert lines[0].split()[0] == "job"
    assert re.fullmatch(r"daily +30 4 \* \* \* +20\d\d-\d\d-\d\d 04:30 [A-Z]..", lines[1])
    ended = scheduled.samebook("schedule")
    assert (ended.code, ended.stdout[:34]) == (0, "nothing is scheduled in env dev: e")
    assert "nothing is scheduled in env dev" in stderr_of(scheduled.samebook("schedule", "--as", "cron"), 2)


def test_crontab_calls_make(scheduled: Tiny) -> None:
    """The crontab is in UTC, and each of its lines has the job's time in numbers and calls make in the checkout."""
    lines = [line for line in rendered(scheduled, "cron").splitlines() if not line.startswith("#")]
    make = f"make --silent -C {scheduled.root} pipeline"
    assert lines == [
        "CRON_TZ=UTC",
        f"30 4 * * * {make} NAME=daily ENV=prod",
        f"0 5 1 * 1 {make} NAME=re-train_2 ENV=prod",
    ]


@pytest.mark.host
def test_crontab_line_runs_a_job(scheduled: Tiny, tmp_path: Path) -> None:
    """The command of a line, as cron starts it, with a home and a short path, runs the job by make: its receipt is
    there.
    """
    for path in (CHECKOUT / "Makefile", *CHECKOUT.glob("environments/*.mk"), CHECKOUT / "environments" / "host"):
        shutil.copy(path, scheduled.root / path.relative_to(CHECKOUT))
    # In the order of their age: an environment that make takes for installed.
    for name in ("scripts/pyproject.toml", ".samebook/uv/bin/uv", ".venv/.installed"):
        (scheduled.root / name).parent.mkdir(parents=True, exist_ok=True)
        (scheduled.root / name).touch()
    (scheduled.root / ".venv" / "bin").symlink_to(sysconfig.get_path("scripts"))
    line = next(line for line in rendered(scheduled, "cron").splitlines() if "NAME=daily" in line)
    cron_gives = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "ENGINE": "local"}
    command = ["sh", "-c", line.split(" ", 5)[5].replace("\\%", "%")]
    done = subprocess.run(command, cwd=tmp_path, env=cron_gives, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    statement = receipt.read(scheduled.last / "receipt.json")
    assert receipt.notebook_name(statement) == "train"
    assert receipt.external_parameters(statement)["env"] == "prod"


ODD = '/srv/it\'s 100% $HOME; "a\\b"'


def test_crontab_keeps_an_odd_path(tmp_path: Path) -> None:
    """A path with %, quotes, $ and blanks reaches make as it is: as cron takes the line apart, and then a shell."""
    line = timers.crontab(jobs(ODD))["samebook-prod.cron"].splitlines()[-1]
    command = re.sub(r"\\%", "%", line.split(" ", 5)[5])
    assert not re.search(r"(?<!\\)%", line)
    assert shlex.split(command)[2:5] == ["-C", ODD, "pipeline"]
    shown = command.replace("make", "printf '%s\\n'", 1)
    done = subprocess.run(["sh", "-c", shown], capture_output=True, text=True, check=True)
    assert ODD in done.stdout.splitlines()
    assert not list(tmp_path.iterdir())


def test_secrets_come_from_a_file() -> None:
    """Where the settings name secrets, cron and systemd read them from a file of the user's, and make hands them on."""
    selected = jobs("/srv/flights", "A", "B")
    assert (
        '* * * set -a && . "$HOME/.config/samebook/prod.env" && make' in timers.crontab(selected)["samebook-prod.cron"]
    )
    service = timers.systemd(selected)["samebook-prod-daily.service"]
    assert "EnvironmentFile=%h/.config/samebook/prod.env\n" in service
    assert '"SECRETS=A B"' in service


def means(line: str, moment: datetime) -> bool:
    """Whether a minute matches every part of an OnCalendar line, as systemd.time(7) defines them."""
    match = re.fullmatch(r"(?:([A-Z]\S+) )?\*-(\S+)-(\S+) (\S+):(\S+):00 UTC", line)
    assert match, line
    weekdays = [moment.replace(day=1) + timedelta(days=number) for number in range(7)]
    names = {f"{day:%a}": day.isoweekday() for day in weekdays}
    days = re.sub("[A-Z]..", lambda name: str(names[name[0]]), match[1] or "*")
    values = (moment.isoweekday(), moment.month, moment.day, moment.hour, moment.minute)
    return all(has(part, value) for part, value in zip((days, *match.groups()[1:]), values, strict=True))


def has(part: str, value: int) -> bool:
    ranges = [[int(end) for end in item.split("..")] for item in part.split(",")] if part != "*" else [[value]]
    return any(span[0] <= value <= span[-1] for span in ranges)


def readable(lines: list[str]) -> list[str]:
    """The lines that match at least one time."""
    return [line for line in lines if not isinstance(_parsed(line), ValueError)]


def _parsed(line: str) -> cron.Cron | ValueError:
    try:
        return cron.parse(line)
    except ValueError as error:
        return error


def test_calendar_means_the_same() -> None:
    """Cron and OnCalendar agree at the times of random lines, and in the minutes around them."""
    for line in (*LINES, *readable(SEEDED)):
        calendar, moment = list(timers.calendar(cron.parse(line))), cron.next_due(line, NOON)
        for _ in range(20):
            assert moment is not None
            assert any(means(line, moment) for line in calendar), (line, calendar)
            following = cron.next_due(line, moment)
            between = [moment + timedelta(minutes=number) for number in (1, 17, 60, 24 * 60 + 1)]
            quiet = [time for time in between if following and time < following]
            assert not any(means(line, at) for line in calendar for at in quiet), (line, calendar)
            moment = following


def elapses(lines: list[str]) -> list[str]:
    """The next five times of all lines together, as systemd computes them."""
    base = f"--base-time={NOON:%Y-%m-%d %H:%M:%S} UTC"
    command = ["systemd-analyze", "calendar", "--iterations=5", base, *lines]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env={"TZ": "UTC", "LC_ALL": "C"}).stdout
    calendar = re.sub("Original.*|Normal.*", "", shown)
    return sorted(set(re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d):00 UTC", calendar)))[:5]


def test_systemd_elapses_then() -> None:
    """Where systemd is installed, it computes the times that cron means."""
    for line in [*LINES, *readable(SEEDED)[:20]] if SYSTEMD else []:
        moment, expected = NOON, []
        while len(expected) < 5 and (moment := cron.next_due(line, moment)):
            expected.append(f"{moment:%Y-%m-%d %H:%M}")
        assert elapses(list(timers.calendar(cron.parse(line)))) == expected


def test_units_are_right(scheduled: Tiny, tmp_path: Path) -> None:
    """Each job has a service and a timer of its name; systemd, where it is installed, finds nothing wrong in them."""
    rendered(scheduled, "systemd", "--into", str(tmp_path / "units"))
    for name, content in timers.systemd(jobs(ODD, "A", "B")).items():
        (tmp_path / "units" / f"odd-{name}").write_text(content)
    files = sorted(str(path) for path in (tmp_path / "units").iterdir())
    names = [f"{name}.{kind}" for name in ("odd-samebook-prod-daily", *JOBS) for kind in ("service", "timer")]
    assert [Path(file).name for file in files] == names
    if SYSTEMD:
        done = subprocess.run([SYSTEMD, "verify", *files], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_cron_jobs_have_no_rights(scheduled: Tiny) -> None:
    """A CronJob is in UTC, one at a time, of this image, and may nothing but write its volumes and /tmp."""
    resources = list(yaml.safe_load_all(rendered(scheduled, "kubernetes", "--image", IMAGE)))
    assert [entry["metadata"]["name"] for entry in resources] == ["samebook-prod-daily", "samebook-prod-re-train-2"]
    spec = resources[1]["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("0 5 1 * 1", "Etc/UTC", "Forbid")
    job = spec["jobTemplate"]["spec"]
    # A node that is drained costs no day; a job that waits for its image for ever does not hold those after it.
    assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (2, 86_400)
    assert [rule["action"] for rule in job["podFailurePolicy"]["rules"]] == ["Ignore", "FailJob"]
    pod = job["template"]["spec"]
    container = pod["containers"][0]
    assert (container["image"], container["args"]) == (IMAGE, ["pipeline", "re-train_2", "--env", "prod"])
    assert pod["securityContext"]["runAsNonRoot"] is container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is pod["automountServiceAccountToken"] is False
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {f"/workspace/{n}" for n in frame.VOLUMES} | {
        "/tmp"
    }
    assert {volume["name"] for volume in pod["volumes"]} == {volume["name"] for volume in container["volumeMounts"]}


@pytest.mark.parametrize("form", ["github", "gitlab"])
def test_published_image_is_pulled(scheduled: Tiny, form: str) -> None:
    """Where the settings name a published image, each job logs in to its registry first, if a user is named there."""
    image = f"registry.example.com:5000/team/tiny@sha256:{'0' * 64}"
    published = f"published: {{commit: '{'0' * 40}', runtime: '{image}'}}\n"
    content = written(scheduled, form, POLICY + published)
    for name, job in content.get("jobs", content).items():
        lines = job.get("script") or [step.get("run", "") for step in job["steps"]]
        (login,) = (at for at, line in enumerate(lines) if "docker login" in line)
        assert lines[login].startswith('[ -z "$REGISTRY_USER" ] || '), name
        assert lines[login].endswith(" registry.example.com:5000")
        assert not any(line.startswith(("make", "SIGNING_KEY")) for line in lines[:login])


def test_image_is_asked_for(scheduled: Tiny) -> None:
    """Without an image by digest there is no CronJob: a tag may be moved to another image."""
    for options in ([], ["--image", "a b"], ["--image", "samebook:runtime"]):
        error = stderr_of(scheduled.samebook("schedule", "--env", "prod", "--as", "kubernetes", *options), 2)
        assert "has no digest" in error


def test_workflow_may_only_read(scheduled: Tiny) -> None:
    """The workflow may read the repository and no more, runs no third-party action, and each job at its own time."""
    workflow = yaml.safe_load(rendered(scheduled, "github"))
    on = workflow[True]  # as YAML 1.1 reads `on`
    assert workflow["permissions"] == {"contents": "read"}
    assert on["schedule"] == [{"cron": "30 4 * * *"}, {"cron": "0 5 1 * 1"}]
    assert on["workflow_dispatch"]["inputs"]["job"]["options"] == list(workflow["jobs"]) == ["daily", "re-train_2"]
    job = workflow["jobs"]["daily"]
    assert job["if"] == "github.event.schedule == '30 4 * * *' || inputs.job == 'daily'"
    assert not any("uses" in step for step in job["steps"])
    assert job["steps"][-1]["run"] == "make pipeline NAME=daily ENV=prod"


def test_workflow_shares_the_store(scheduled: Tiny) -> None:
    """With a shared store the workflow pulls from it and pushes to it, with the secrets of the settings."""
    store = "store: {url: 's3://bucket/a', access_key: KEY_ID, secret_key: KEY}\n"
    (scheduled.root / "environments" / "prod.yml").write_text(SCHEDULE + store)
    job = yaml.safe_load(rendered(scheduled, "github"))["jobs"]["daily"]
    assert job["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in ("KEY", "KEY_ID")}
    assert job["environment"] == "samebook-prod"  # whose secrets these are
    runs = [step["run"].split(" ENV")[0] for step in job["steps"][1:]]
    assert runs == ["make pull", "make pipeline NAME=daily", "make push"]
    assert job["steps"][2]["run"].endswith('ENV=prod SECRETS="KEY KEY_ID"')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schedule: {daily: 99 99 * * *}", "schedule.daily: found '99 99 * * *'; minute 99: expected 0 to 59"),
        ("schedule: {'a;b': 0 0 * * *}", "found 'a;b'; String should match"),
        ("schedule: {'../a': 0 0 * * *}", "found '../a'; String should match"),
    ],
)
def test_wrong_schedule_is_named(text: str, message: str, scheduled: Tiny) -> None:
    """An impossible time, and a job without a plain name, are refused with the settings."""
    (scheduled.root / "environments" / "prod.yml").write_text(text)
    assert message in stderr_of(scheduled.samebook("schedule", "--env", "prod"), 2)


def test_scheduled_pipeline_is_there(scheduled: Tiny) -> None:
    """A job without a pipeline of its name is refused."""
    (scheduled.root / "environments" / "pipelines" / "daily.yml").unlink()
    assert "no pipeline 'daily'" in stderr_of(scheduled.samebook("schedule", "--env", "prod", "--as", "cron"), 2)


def test_image_knows_no_checkout(scheduled: Tiny, tmp_path: Path) -> None:
    """Inside the image a crontab is refused: its paths are not the machine's."""
    image = replace(scheduled, python=image_python(tmp_path / "image"))
    ended = image.samebook("schedule", "--env", "prod", "--as", "cron", SAMEBOOK_ENGINE="docker")
    assert "make schedule AS=cron ENV=prod" in stderr_of(ended, 2)


@pytest.mark.parametrize(
    ("policy", "form", "message"),
    [
        ("reproduced: true", "cron", "promotes what it has made itself"),
        ("reproduced: {by: 2}", "systemd", "promotes what it has made itself"),
        ("reproduced: false", "kubernetes", "needs the git repository, which no image has: step promote promotes"),
        ("reproduced: false", "github", "would be lost with the job's copy"),
        ("reproduced: false", "gitlab", "would be lost with the job's copy"),
        ("reproduced: false", "cron", ""),
    ],
)
def test_promoting_job_refused(scheduled: Tiny, policy: str, form: str, message: str) -> None:
    """A job that promotes is refused where its own policy must refuse it, and where its commit would be lost."""
    steps = "steps: {train: {}, promote: {needs: [train], promote: {run: $train, model: m}}}"
    (scheduled.root / "environments" / "pipelines" / "daily.yml").write_text(steps)
    (scheduled.root / "environments" / "prod.yml").write_text(f"{SCHEDULE}promotion: {{{policy}}}\n")
    request = ScheduleRequest("prod", form, IMAGE)
    if not message:
        assert schedule(Workspace(scheduled.root), request)
        return
    with pytest.raises(UsageError, match=message):
        schedule(Workspace(scheduled.root), request)


@pytest.mark.parametrize("form", ["cron", "kubernetes", "github", "gitlab"])
def test_own_schedule_holds(form: str) -> None:
    """What production schedules here can be written for every form."""
    assert schedule(Workspace(CHECKOUT), ScheduleRequest("prod", form, IMAGE))


CANDIDATE = """
parameters: {model: delay}
steps:
  fit: {notebook: train}
  gate: {needs: [fit], parameters: {candidate: $fit, champion: $model}}
"""
POLICY = "promotion: {reproduced: true, signed: true, gate: {notebook: gate, metric: auc, margin: 0}}\n"


def written(scheduled: Tiny, form: str, policy: str = POLICY) -> dict[str, Any]:
    """The jobs of a CI where `daily` makes a candidate, as YAML without anchors has them."""
    scheduled.notebook("gate", work="1")
    (scheduled.root / "environments" / "pipelines" / "daily.yml").write_text(CANDIDATE)
    (scheduled.root / "environments" / "prod.yml").write_text(SCHEDULE + policy)
    ((_, content),) = schedule(Workspace(scheduled.root), ScheduleRequest("prod", form)).items()
    assert not re.search(r"[&*]id\d", content)
    return yaml.safe_load(content)


def test_github_reproduces_candidate(scheduled: Tiny) -> None:
    """On GitHub another job, with a key of its own, reproduces a candidate; a third one promotes it on a branch."""
    jobs = written(scheduled, "github")["jobs"]
    assert list(jobs) == ["daily", "daily-reproduce", "daily-promote", "re-train_2"]
    again, promotion = jobs["daily-reproduce"], jobs["daily-promote"]
    assert [again["needs"], promotion["needs"]] == [["daily"], ["daily", "daily-reproduce"]]
    steps = [step["run"] for step in again["steps"] if "run" in step]
    assert steps[-1] == 'SIGNING_KEY="$RUNNER_TEMP/key.pem" make reproduce RUN=train ENGINE=docker'
    assert [job["environment"] for job in jobs.values()] == [
        *("samebook-prod", "samebook-prod-reproduction", "samebook-prod", "samebook-prod")
    ]
    assert again["env"]["SAMEBOOK_BUILDER"].endswith("/daily-reproduce")
    keys = {name: [key for key in ("RUN_KEY", "REPRODUCTION_KEY") if key in str(jobs[name])] for name in jobs}
    assert keys == {"daily": ["RUN_KEY"], "daily-reproduce": ["REPRODUCTION_KEY"]} | {
        name: [] for name in ("daily-promote", "re-train_2")
    }
    assert [name for name, job in jobs.items() if "permissions" in job] == ["daily-promote"]
    runs = [step.get("run", "") for step in promotion["steps"]]
    assert "make promote RUN=train MODEL=delay ENV=prod" in runs[2]
    pushed, opened = runs[-1].splitlines()
    assert pushed.endswith("+HEAD:refs/heads/daily-$GITHUB_RUN_ID")  # over that of an attempt that went no further
    assert "gh pr create" in opened
    assert "--head daily-$GITHUB_RUN_ID" in opened
    actions = {step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step}
    assert all(re.fullmatch(r"actions/\w+-artifact@[0-9a-f]{40}", action) for action in actions)


def calls(script: str) -> list[list[str]]:
    """The commands of a shell's script, each as its words, without the variables before it."""
    lines = script.replace("\\\n", " ").replace("&&", "\n").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [list(dropwhile(lambda word: re.match("[A-Z_]+=", word), line)) for line in words if line]


def unknown(words: list[str]) -> str:
    """The reason why a command of a workflow can't run; "" where it can."""
    if words[0] != "make":
        return "" if words[0] in PROGRAMS or (CHECKOUT / words[0]).is_file() else words[0]
    if re.search(rf"^OWN \+?= .*\b{words[1]}\b", MAKEFILE, re.MULTILINE) and not words[2:]:
        return ""
    values = dict(word.split("=", 1) for word in words[2:] if not word.startswith(">"))  # where it prints
    names = [name for name in values if name not in ("SECRETS", "ENGINE")]  # make's own
    try:
        make_call.arguments(cli, ["make", words[1], "--", *names], values)
    except (UsageError, KeyError) as error:
        return str(error)
    return "" if re.search(rf"^{words[1]}:.*##", MAKEFILE, re.MULTILINE) else words[1]


@pytest.mark.parametrize("name", ["generated", *(path.name for path in WORKFLOWS)])
def test_workflow_can_run(scheduled: Tiny, name: str) -> None:
    """Each command of a workflow exists with its variables; no job may write but the promotion's, the release's and
    that of comments, which runs nothing of the repository; actions and images are pinned.
    """
    store = "store: {url: 's3://bucket/a', access_key: KEY_ID, secret_key: KEY}\n"
    paths = {path.name: path for path in WORKFLOWS}
    workflow = (
        yaml.safe_load(paths[name].read_text()) if name in paths else written(scheduled, "github", POLICY + store)
    )
    jobs, steps = workflow["jobs"], [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert workflow["permissions"] == {"contents": "read"}
    assert {name for name, job in jobs.items() if "permissions" in job} <= {
        "daily-promote",
        "release",
        "comment",
        *PROPOSALS,
    }
    for step in jobs.get("comment", {"steps": []})["steps"]:
        assert not re.search(r"\b(make|git|samebook|uses)\b(?! review -->)", step["run"])
        steps.remove(step)
    steps = [step for step in steps if not step.get("name", "").startswith(PREPARED)]
    pinned = [step["uses"] for step in steps if "uses" in step]
    pinned += [job["container"]["image"] for job in jobs.values() if "container" in job]
    assert [name for name in pinned if not re.search("@(sha256:[0-9a-f]{64}|[0-9a-f]{40})$", name)] == []
    assert [reason for step in steps for words in calls(step.get("run", "")) if (reason := unknown(words))] == []


def test_gitlab_reproduces_candidate(scheduled: Tiny) -> None:
    """On GitLab each job comes with its schedule's variable; a candidate's is followed by the same two jobs."""
    jobs = written(scheduled, "gitlab")
    names = ["samebook-prod-daily", "samebook-prod-daily-reproduce", "samebook-prod-daily-promote"]
    assert list(jobs) == [*names, "samebook-prod-re-train_2"]
    run, again, promotion = (jobs[name] for name in names)
    assert run["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule" && $JOB == "daily"'}]
    assert run["script"] == ['SIGNING_KEY="${RUN_KEY:?}" make pipeline NAME=daily ENV=prod ENGINE=docker']
    assert again["script"] == ['SIGNING_KEY="${REPRODUCTION_KEY:?}" make reproduce RUN=train ENGINE=docker']
    environments = [jobs[name]["environment"]["name"] for name in names]
    assert environments == ["samebook-prod", "samebook-prod-reproduction", "samebook-prod"]
    assert (again["needs"], promotion["needs"]) == (names[:1], names[1:2])
    assert promotion["script"][0] == 'git checkout --quiet -B main "$CI_COMMIT_SHA"'  # no commit without a branch
    assert "make promote RUN=train MODEL=delay ENV=prod" in promotion["script"][1]
    assert "-o merge_request.create" in promotion["script"][-1]


@pytest.mark.parametrize("form", ["github", "gitlab"])
def test_no_reproduction_is_asked_for(scheduled: Tiny, form: str) -> None:
    """Where the policy asks for no reproduction, no job reproduces or promotes."""
    assert "reproduce" not in str(written(scheduled, form, POLICY.replace("reproduced: true, ", "")))
