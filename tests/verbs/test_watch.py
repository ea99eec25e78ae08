"""The watcher: each complete file is taken in once, whatever is killed; a wrong file goes aside with the reason."""

import datetime
import json
import math
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from promoting import stderr_of
from tiny import HELD, PATIENCE, Tiny, wait_until

from samebook.core import signing_key
from samebook.core.errors import DataRejected
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.settings import Settings
from samebook.pipelines import inbox, rounds
from samebook.pipelines.inbox import Inbox
from samebook.pipelines.watcher import Watcher

SETTINGS = "watch: {settle: 0.2, inbox: {rows: daily}}\n"
PARAMETERS = "from datetime import date\nday: date = date(2013, 1, 1)\nsource: str = ''"
INTAKE = """
from pathlib import Path
import pandas as pd
import samebook
frame = pd.read_csv(samebook.find_artifact(source, Path(source).name))
if list(frame) != ["n"]:
    raise samebook.DataRejected(f"columns: found {list(frame)}; expected n")
samebook.write_partition("rows", day, frame)
"""
SCORE = """
import pandas
import samebook
samebook.write_partition("scores", day, samebook.read_dataset("rows", day, day) * 2)
"""
YAML = """
parameters: {day: today, source: null}
steps:
  intake: {parameters: {day: $day, source: $source}}
  score: {needs: [intake], parameters: {day: $day}}
"""


@pytest.fixture
def tiny(tiny: Tiny) -> Tiny:
    """Files of `rows` are taken in and scored."""
    (tiny.root / "environments" / "dev.yml").write_text(SETTINGS)
    tiny.notebook("intake", parameters=PARAMETERS, work=INTAKE)
    tiny.notebook("score", parameters=PARAMETERS.rpartition("\n")[0], work=SCORE)
    (tiny.root / "environments" / "pipelines").mkdir()
    (tiny.root / "environments" / "pipelines" / "daily.yml").write_text(YAML)
    (tiny.root / "data" / "inbox").mkdir(parents=True)
    return tiny


def arrive(tiny: Tiny, name: str = "rows-2013-01-05.csv", content: str = "n\n1\n2\n") -> Path:
    """Put a file into the inbox as a careful writer does: under another name, then renamed."""
    path = tiny.root / "data" / "inbox" / name
    path.with_name(f"{name}.part").write_text(content)
    return path.with_name(f"{name}.part").rename(path)


def names(tiny: Tiny, folder: str) -> list[str]:
    return sorted(path.name for path in (tiny.root / "data" / folder).rglob("*") if path.is_file())


def scores(tiny: Tiny, day: str = "2013-01-05") -> list[int]:
    import pandas as pd

    return pd.read_parquet(tiny.root / "data" / "scores" / f"day={day}" / "part-0.parquet")["n"].tolist()


def test_file_is_taken_in_once(tiny: Tiny) -> None:
    """A file runs its pipeline and goes to the archive; the same again changes nothing, another is a version."""
    arrive(tiny)
    assert tiny.samebook("watch", "--once").code == 0
    assert scores(tiny) == [2, 4]
    arrive(tiny)
    assert tiny.samebook("watch", "--once").code == 0
    assert len(list(tiny.root.glob("runs/*-score-*/receipt.json"))) == 1
    arrive(tiny, content="n\n7\n")
    assert tiny.samebook("watch", "--once").code == 0
    assert scores(tiny) == [14]
    assert len(names(tiny, "scores/.versions")) == 1
    assert names(tiny, "inbox") == []
    assert len(names(tiny, "archive")) == 2


@pytest.mark.usefixtures("alone")
def test_many_files_are_taken_in_warm(tiny: Tiny) -> None:
    """Imports for the files of many days happen once, and leave memory when all files are taken in."""
    for day in range(10, 20):
        arrive(tiny, f"rows-2013-01-{day}.csv")
    process = tiny.start("watch")
    wait_until(lambda: names(tiny, "inbox") == [])
    wait_until(lambda: not tiny.kernels())
    arrive(tiny)
    wait_until(lambda: names(tiny, "inbox") == [])
    process.terminate()
    process.communicate(timeout=PATIENCE)
    warm = ['"warm": "started"' in (run / "receipt.json").read_text() for run in tiny.runs]
    assert sum(warm) > 10
    assert warm[-2:] == [False, False]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows-2013-01-05.csv", "m\n1\n", "columns: found ['m']; expected n"),
        ("rows-2013-01-05.csv", "", "rows-2013-01-05.csv is empty"),
        ("rows-2013-02-30.csv", "n\n1\n", "2013-02-30 is not a day"),
        ("rows-2013-01-05.xlsx", "n\n1\n", "expected a name like orders-2013-07-01.csv"),
        ("rose-2013-01-05.csv", "n\n1\n", "no dataset 'rose' is taken in; did you mean rows?"),
    ],
)
def test_wrong_file_goes_aside(name: str, content: str, reason: str, tiny: Tiny) -> None:
    """A file that breaks its schema, is empty, or has no usable name goes aside with the reason."""
    arrive(tiny, name, content)
    assert tiny.samebook("watch", "--once").code == 1
    kept, report = names(tiny, "quarantine")
    assert report == f"{kept}.report.txt"
    assert reason in (tiny.root / "data" / "quarantine" / report).read_text()
    assert (tiny.root / "data" / "quarantine" / kept).read_text() == content
    assert names(tiny, "inbox") == names(tiny, "archive") == []
    assert not (tiny.root / "data" / "scores").exists()


def test_corrected_file_is_not_taken_for_the_wrong_one(tiny: Tiny) -> None:
    """A good file that comes while the wrong one is judged is taken in; the wrong one alone goes aside."""
    arrive(tiny, content="m\n1\n")
    process = tiny.start("watch")
    wait_until(lambda: list(tiny.root.glob("runs/.partial/*-intake-*")))
    arrive(tiny)
    wait_until(lambda: (tiny.root / "data" / "scores").is_dir() and not names(tiny, "inbox"))
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert scores(tiny) == [2, 4]
    kept, _ = names(tiny, "quarantine")
    assert (tiny.root / "data" / "quarantine" / kept).read_text() == "m\n1\n"


def test_one_file_stops_no_other(tiny: Tiny) -> None:
    """Files with a name that is not text, or very long, go aside; the file beside them is taken in."""
    arrive(tiny, content="n\n1\n")
    inbox = os.fsencode(tiny.root / "data" / "inbox")
    for name in (b"fl\xfcge.csv", b"a" * 250 + b".csv"):
        Path(os.fsdecode(inbox + b"/" + name)).write_bytes(b"x")
    assert tiny.samebook("watch", "--once").code == 1
    assert scores(tiny) == [2]
    assert len(list((tiny.root / "data" / "quarantine").iterdir())) == 4
    assert names(tiny, "inbox") == []


def test_unfinished_file_waits(tiny: Tiny) -> None:
    """A file that is still being written is not touched, under a working name or its own, until it is at rest."""
    (tiny.root / "data" / "inbox" / "rows-2013-01-06.csv.part").write_text("n\n1\n")
    process = tiny.start("watch", SAMEBOOK_WATCH__SETTLE="4")
    path = tiny.root / "data" / "inbox" / "rows-2013-01-05.csv"
    with path.open("w", buffering=1) as stream:
        stream.write("n\n")
        for number in range(1, 5):
            stream.write(f"{number}\n")
            subprocess.run(("sleep", "0.7"), check=True)
    wait_until(lambda: not path.exists())
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert scores(tiny) == [2, 4, 6, 8]
    assert names(tiny, "inbox") == ["rows-2013-01-06.csv.part"]


def test_once_leaves_unfinished_files(tiny: Tiny) -> None:
    """A file that is being written is left alone by --once too, until the next call finds it at rest."""
    waiting = Inbox(Workspace(tiny.root), 1)
    path = arrive(tiny, content="n\n")
    with path.open("a", buffering=1) as stream:
        writer = threading.Timer(0.2, stream.write, ("1\n",))
        writer.start()
        assert waiting.come_to_rest() == [path]
        writer.join()
    assert waiting.complete() == []
    assert waiting.come_to_rest() == []
    assert waiting.complete() == [path]


def test_link_is_not_followed(tiny: Tiny) -> None:
    """A link in the inbox goes aside as a link: nothing of the file that it shows is read or kept."""
    secret = tiny.root / "secret.csv"
    secret.write_text("n\n1\n")
    link = tiny.root / "data" / "inbox" / "rows-2013-01-05.csv"
    link.symlink_to(secret)
    with pytest.raises(DataRejected, match="is a link") as rejected:
        inbox.arrival(link, ["rows"])
    kept = inbox.reject(Workspace(tiny.root), link, str(rejected.value))
    assert kept.readlink() == secret
    assert secret.is_file()
    assert not link.is_symlink()


def test_one_watcher(tiny: Tiny) -> None:
    """A second watcher names the first one; once the first has ended, in whatever way, the next may start."""
    process = tiny.start("watch")
    wait_until(lambda: (tiny.root / "runs" / ".watch" / "holder").is_file())
    message = stderr_of(tiny.samebook("watch", "--once"), 2)
    assert f"another watcher runs: process {process.pid} on " in message
    process.kill()
    process.communicate()
    assert tiny.samebook("watch", "--once").code == 0


@pytest.mark.parametrize("step", ["intake", "score"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_goes_on_after_a_kill(signum: int, step: str, tiny: Tiny) -> None:
    """After a kill in any step, the next watcher does the rest: one published partition, made by one finished run."""
    tiny.notebook("score", parameters=PARAMETERS.rpartition("\n")[0], work=SCORE + HELD)
    (tiny.root / "hold").touch()
    arrive(tiny)
    process = tiny.start("watch")
    wait_until(lambda: list(tiny.root.glob(f"runs/.partial/*-{step}-*/notebook.ipynb")))
    os.kill(process.pid, signum)
    process.communicate(timeout=PATIENCE)
    (tiny.root / "hold").unlink()
    assert names(tiny, "inbox") == ["rows-2013-01-05.csv"]
    assert tiny.samebook("watch", "--once").code == 0
    assert scores(tiny) == [2, 4]
    assert len(list(tiny.root.glob("runs/*-score-*/receipt.json"))) == 1
    assert names(tiny, "inbox") == names(tiny, "quarantine") == []
    wait_until(lambda: not tiny.kernels())


def test_other_failure_is_tried_again(tiny: Tiny) -> None:
    """A failure not caused by the file leaves it in the inbox for another try; so does a later step's rejection."""
    tiny.notebook("score", parameters=PARAMETERS.rpartition("\n")[0], work="import samebook\nraise ValueError('away')")
    arrive(tiny)
    ended = tiny.samebook("watch", "--once")
    assert ended.code == 1
    assert "failed rows-2013-01-05.csv, time 1; again in 2 s" in ended.stderr
    tiny.notebook(
        "score", parameters=PARAMETERS.rpartition("\n")[0], work="import samebook\nraise samebook.DataRejected('x')"
    )
    assert tiny.samebook("watch", "--once").code == 1
    assert names(tiny, "inbox") == ["rows-2013-01-05.csv"]
    tiny.notebook("score", parameters=PARAMETERS.rpartition("\n")[0], work=SCORE)
    assert tiny.samebook("watch", "--once").code == 0
    assert scores(tiny) == [2, 4]


def test_older_days_first(tiny: Tiny) -> None:
    """Of the files that wait together, those of older days are taken in first, whatever their datasets' names."""
    (tiny.root / "environments" / "dev.yml").write_text("watch: {inbox: {rows: daily, later: daily}}\n")
    arrive(tiny)
    arrive(tiny, "later-2013-01-06.csv")
    arrive(tiny, "rows-2013-01-07.csv")
    message = tiny.samebook("watch", "--once").stderr
    assert re.findall(r"(\S+)\.csv: done", message) == ["rows-2013-01-05", "later-2013-01-06", "rows-2013-01-07"]


def test_nothing_to_watch_told(tiny: Tiny) -> None:
    """Settings that name nothing to watch, or an unknown pipeline, are refused."""
    (tiny.root / "environments" / "dev.yml").write_text("{}\n")
    assert "names nothing to watch" in stderr_of(tiny.samebook("watch", "--once"), 2)
    (tiny.root / "environments" / "dev.yml").write_text("watch: {inbox: {rows: dayly}}\n")
    assert "no pipeline 'dayly'; did you mean daily?" in stderr_of(tiny.samebook("watch", "--once"), 2)


def test_warehouse_is_asked(tiny: Tiny) -> None:
    """A new day in the warehouse runs the pipeline once; a day whose rows change runs it again."""
    import duckdb

    (tiny.root / "environments" / "dev.yml").write_text(
        "warehouse: {url: 'duckdb:///w.duckdb'}\nwatch: {warehouse: {pipeline: fresh}}\n"
    )
    (tiny.root / "environments" / "pipelines" / "fresh.yml").write_text(
        "parameters: {day: today}\nsteps: {fresh: {parameters: {day: $day}}}"
    )
    tiny.notebook("fresh", parameters=PARAMETERS.rpartition("\n")[0], work="day")
    (tiny.root / "notebooks" / "queries").mkdir()
    (tiny.root / "notebooks" / "queries" / "days.sql").write_text("SELECT day, count(*) AS version FROM t GROUP BY day")
    with duckdb.connect(str(tiny.root / "w.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT DATE '2013-01-05' AS day UNION ALL SELECT DATE '2013-01-06'")
    assert tiny.samebook("watch", "--once").code == 0
    assert tiny.samebook("watch", "--once").code == 0
    assert len(list(tiny.root.glob("runs/*-fresh-*/receipt.json"))) == 2
    with duckdb.connect(str(tiny.root / "w.duckdb")) as connection:
        connection.execute("INSERT INTO t VALUES (DATE '2013-01-07')")
    assert "2013-01-07 fresh: done" in tiny.samebook("watch", "--once").stderr
    tiny.notebook("fresh", parameters=PARAMETERS.rpartition("\n")[0], work="assert day.day != 5")
    (tiny.root / "runs" / ".watch" / "warehouse.json").unlink()
    ended = tiny.samebook("watch", "--once")
    assert "failed 2013-01-05" in ended.stderr
    assert "2013-01-07 fresh: done" in ended.stderr


def test_schedule_is_kept(tiny: Tiny) -> None:
    """Where the settings say so, the watcher runs each due job, once for each time."""
    (tiny.root / "environments" / "dev.yml").write_text(
        "watch: {schedule: true}\nschedule: {due: '* * * * *', later: '0 0 29 2 *'}\n"
    )
    for name in ("due", "later"):
        (tiny.root / "environments" / "pipelines" / f"{name}.yml").write_text(f"steps: {{{name}: {{}}}}")
        tiny.notebook(name, work="1")
    workspace = Workspace(tiny.root)
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=90)
    env_settings = settings.load(workspace, "dev")
    watcher = Watcher(workspace, "dev", env_settings, print, Inbox(workspace, 0), since=since)
    for _ in range(2):
        rounds.run_schedule(watcher)
    assert len(list(tiny.root.glob("runs/*-due-*/receipt.json"))) == 1
    assert not list(tiny.root.glob("runs/*-later-*"))


def test_candidate_without_a_key_is_left_out(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A due job whose candidate the policy wants signed is not run without a key, and the story says so; others are."""
    policy = "promotion: {signed: true, gate: {notebook: gate, metric: auc}}\n"
    (tiny.root / "environments" / "dev.yml").write_text(
        f"{policy}watch: {{schedule: true}}\nschedule: {{candidate: '* * * * *', due: '* * * * *'}}\n"
    )
    folder = tiny.root / "environments" / "pipelines"
    (folder / "candidate.yml").write_text("steps: {train: {}, gate: {needs: [train]}}")
    (folder / "due.yml").write_text("steps: {due: {}}")
    for name in ("train", "gate", "due"):
        tiny.notebook(name, work="1")
    workspace, said = Workspace(tiny.root), list[str]()
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=90)

    def run_round() -> list[str]:
        loaded = settings.load(workspace, "dev")
        rounds.run_schedule(Watcher(workspace, "dev", loaded, said.append, Inbox(workspace, 0), since=since))
        return sorted(path.parent.name.split("-")[1] for path in tiny.root.glob("runs/*Z-*/receipt.json"))

    assert run_round() == ["due"]
    assert "candidate is left out: the policy wants its candidate signed, and this watcher has no key" in said
    assert "candidate is left out" in tiny.samebook("log").stdout
    pem = subprocess.check_output(["openssl", "genpkey", "-algorithm", "ed25519"])
    monkeypatch.setattr(signing_key, "_key", signing_key.SigningKey("me", pem))
    assert run_round() == ["due", "gate", "train"]


def test_due_while_down_is_not_lost(tiny: Tiny) -> None:
    """A job that came due while no watcher ran is run by the next one, in this environment and no other."""
    workspace, now = Workspace(tiny.root), datetime.datetime.now(datetime.UTC)
    env_settings = Settings.model_validate({"watch": {"schedule": True}, "schedule": {"due": "0 0 1 1 *"}})
    assert rounds.last_time(workspace, "dev") >= now
    rounds.run_schedule(Watcher(workspace, "dev", env_settings, print, Inbox(workspace, 0)))
    stopped = rounds.last_time(workspace, "dev")
    assert now <= stopped < datetime.datetime.now(datetime.UTC)
    assert rounds.last_time(workspace, "prod") > stopped
    ahead = {"dev": (now + datetime.timedelta(days=999)).isoformat()}
    (tiny.root / "runs" / ".watch" / "schedule.json").write_text(json.dumps(ahead))
    assert rounds.last_time(workspace, "dev") <= datetime.datetime.now(datetime.UTC)


def test_each_environment_has_its_memory(tiny: Tiny) -> None:
    """A day that one environment's watcher has run is new to another's: its warehouse is another one."""
    (tiny.root / "environments" / "prod.yml").write_text("{}\n")
    (tiny.root / "environments" / "pipelines" / "nothing.yml").write_text(
        "parameters: {day: today, x: ''}\nsteps: {intake: {when: $x}}"
    )
    workspace, days = Workspace(tiny.root), {"2013-01-05": "1"}
    env_settings = Settings.model_validate({"watch": {"warehouse": {"pipeline": "nothing"}}})
    ran: list[str] = []
    for env in ("dev", "prod", "dev"):
        watcher = Watcher(workspace, env, env_settings, print, Inbox(workspace, 0))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rounds, "_days", lambda *_: days)
            patch.setattr(Watcher, "run", lambda self, *_: ran.append(self.env))
            rounds.run(watcher)
    assert ran == ["dev", "prod"]


def test_watchers_keep_each_others_memory(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher that remembers a day puts back nothing that another environment's has remembered meanwhile."""
    (tiny.root / "environments" / "prod.yml").write_text("{}\n")
    workspace, ran = Workspace(tiny.root), list[str]()
    env_settings = Settings.model_validate({"watch": {"warehouse": {"pipeline": "nothing"}}})
    dev, prod = (Watcher(workspace, env, env_settings, print, Inbox(workspace, 0)) for env in ("dev", "prod"))

    def run(watcher: Watcher, *_: object) -> None:
        ran.append(watcher.env)
        if watcher is dev:
            rounds.run(prod)

    monkeypatch.setattr(rounds, "_days", lambda *_: {"2013-01-05": "1"})
    monkeypatch.setattr(Watcher, "run", run)
    for watcher in (dev, dev, prod):
        watcher.last_query = -math.inf
        rounds.run(watcher)
    assert ran == ["dev", "prod"]
