"""Removal of old runs, by age and number: a run that something still needs is never removed."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import promoting
import pytest
from promoting import stderr_of
from tiny import PATIENCE, Tiny, git, image_python, wait_until

from samebook.core.workspace import Workspace
from samebook.environment import bytecode
from samebook.store import objects

OLD, OLDER, OLDEST = "20130103T000000Z-{}-cccccc", "20130102T000000Z-{}-bbbbbb", "20130101T000000Z-{}-aaaaaa"
ALL = ("--older-than", "0d", "--keep", "0")


def age(tiny: Tiny) -> None:
    """Nothing was written in the last hour."""
    for path in (entry for folder in ("runs", "store") for entry in (tiny.root / folder).rglob("*")):
        os.utime(path, (time.time() - 7200,) * 2, follow_symlinks=False)


def finished_run(tiny: Tiny, run: str, *outputs: str, read: str = "") -> Path:
    """A finished run with these outputs, in the store too, which has read the outputs of the run `read`."""
    folder = tiny.root / "runs" / run
    for name in outputs or ("a.txt",):
        (folder / "outputs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "outputs" / name).write_text(f"{name} of {run}")
    (folder / "metrics.json").write_text("{}")
    tiny.receipt(run)
    statement = json.loads((folder / "receipt.json").read_text())
    byproducts = [{"name": "made by", "annotations": {read: ["a"], "unknown": ["b"]}}] if read else []
    statement["predicate"]["runDetails"]["byproducts"] = byproducts
    (folder / "receipt.json").write_text(json.dumps(statement))
    for path in (entry for entry in folder.rglob("*") if entry.is_file()):
        objects.local_store(Workspace(tiny.root)).put(path)
    age(tiny)
    return folder


def ids(tiny: Tiny) -> list[str]:
    return [path.name for path in tiny.runs]


def three(tiny: Tiny) -> list[str]:
    """Three finished runs of train, the oldest first."""
    names = [entry.format("train") for entry in (OLDEST, OLDER, OLD)]
    for name in names:
        finished_run(tiny, name)
    return names


def test_newest_stay(tiny: Tiny) -> None:
    """The newest finished runs of each notebook stay; older ones are removed, with their objects in the store."""
    names = three(tiny)
    other = finished_run(tiny, OLDEST.format("gate")).name
    ended = tiny.samebook("gc", "--keep", "2")
    assert ended.code == 0, ended.stderr
    assert ids(tiny) == sorted([other, *names[1:]])
    assert "3 runs stay: 3 newest\nremoved 1 runs, " in ended.stdout
    assert tiny.samebook("store", "verify").stdout.endswith("all whole; 0 that no receipt names\n")
    assert not list((tiny.root / "runs" / ".trash").glob("*-*"))


def test_dry_run_says_the_same(tiny: Tiny) -> None:
    """A dry run changes nothing, and names the runs, objects and bytes that would be removed."""
    three(tiny)
    before = {path: path.stat().st_mtime_ns for path in sorted(tiny.root.rglob("*"))}
    message = tiny.samebook("gc", "--keep", "0", "--dry-run").stdout
    assert {path: path.stat().st_mtime_ns for path in sorted(tiny.root.rglob("*"))} == before
    done = tiny.samebook("gc", "--keep", "0").stdout
    assert message == done.replace("removed", "would remove").replace(" freed", " to be freed")
    assert len(message.splitlines()) == 4


def test_settings_say_how_long(tiny: Tiny) -> None:
    """Without options the settings of the environment say which runs stay; an option overrules them."""
    names = three(tiny)
    (tiny.root / "environments" / "dev.yml").write_text("retention: {days: 30000, keep: 1}")
    tiny.samebook("gc")
    assert ids(tiny) == names
    tiny.samebook("gc", "--older-than", "90d")
    assert ids(tiny) == names[-1:]


def test_failed_and_scratch_go_by_age(tiny: Tiny) -> None:
    """Failed runs and scratch runs are removed when they are old, however few there are; young ones stay."""
    young = time.strftime("%Y%m%dT%H%M%SZ-train-dddddd", time.gmtime())
    for folder in (OLD.format("train"), young, ".scratch/20130101T000000Z-1", ".scratch/20130101T000000Z-2"):
        (tiny.root / "runs" / folder).mkdir(parents=True)
    for folder in (OLD.format("train"), ".scratch/20130101T000000Z-1"):
        os.utime(tiny.root / "runs" / folder, (0, 0))
    assert tiny.samebook("gc").code == 0
    assert ids(tiny) == [young]
    assert [path.name for path in (tiny.root / "runs" / ".scratch").iterdir()] == ["20130101T000000Z-2"]


def test_what_just_ended_stays(tiny: Tiny) -> None:
    """A run, and its objects, stay for an hour after its end, whatever the limits: its pipeline may still need it."""
    three(tiny)
    os.utime(tiny.root / "runs" / OLD.format("train"))
    fresh = objects.local_store(Workspace(tiny.root)).put(b"on its way")
    assert tiny.samebook("gc", *ALL).code == 0
    assert ids(tiny) == [OLD.format("train")]
    assert objects.local_store(Workspace(tiny.root)).has(fresh)


def test_past_of_a_run_stays(tiny: Tiny) -> None:
    """A run that stays keeps the run whose result it read, and the one before that."""
    finished_run(tiny, OLDEST.format("ingest"))
    finished_run(tiny, OLDER.format("ingest"), read=OLDEST.format("ingest"))
    finished_run(tiny, OLD.format("ingest"))
    finished_run(tiny, OLD.format("train"), read=OLDER.format("ingest"))
    assert "2 another's past" in tiny.samebook("gc", "--keep", "1", "--dry-run").stdout
    finished_run(tiny, OLD.format("train").replace("cccccc", "dddddd"))
    tiny.samebook("gc", "--keep", "1")
    assert ids(tiny) == [OLD.format("ingest"), OLD.format("train").replace("cccccc", "dddddd")]


def test_published_day_keeps_its_run(tiny: Tiny) -> None:
    """The run that made the current partition of a day stays; the run of a replaced partition is removed."""
    three(tiny)
    origin = tiny.root / "data" / "rows" / "day=2013-01-01" / "_origin.json"
    origin.parent.mkdir(parents=True)
    origin.write_text(json.dumps({"run": OLDER.format("train"), "sha256": "0" * 64}))
    tiny.samebook("gc", *ALL)
    assert ids(tiny) == [OLDER.format("train")]
    origin.write_text("{")
    assert "_origin.json" in stderr_of(tiny.samebook("gc", *ALL), 2)


TEST = "ab_test: {{experiment: a, salt: s, challenger: delay@x, share: 0.5, start: 2013-07-01, end: {}}}"


@pytest.mark.parametrize(("end", "stay"), [("2999-01-01", 1), ("2013-07-31", 0)])
def test_open_experiment_keeps_its_days(end: str, stay: int, tiny: Tiny) -> None:
    """While an experiment of any environment is open, the runs that wrote its days stay, and no others."""
    (tiny.root / "environments" / "prod.yml").write_text(TEST.format(end))
    finished_run(tiny, OLD.format("predict"), "predictions/day=2013-07-01/part-0.parquet")
    finished_run(tiny, OLDER.format("predict"), "predictions/day=2013-06-30/part-0.parquet")
    tiny.samebook("gc", *ALL)
    assert ids(tiny) == [OLD.format("predict")][:stay]


HELD = """
import pathlib, time, samebook
samebook.find_artifact(source, "a.txt")
while not pathlib.Path("go").exists():
    time.sleep(0.1)
"""


def test_running_run_keeps_what_it_reads(tiny: Tiny) -> None:
    """The runs that a run under way reads stay, as does that run itself."""
    names = three(tiny)
    tiny.notebook("held", parameters="source: str = ''", work=HELD)
    process = tiny.start("run", "held", "-p", f"source={names[0]}")
    wait_until(lambda: any((path / ".events.jsonl").exists() for path in tiny.unfinished))
    assert tiny.samebook("gc", *ALL).code == 0
    assert ids(tiny) == names[:1]
    (tiny.root / "notebooks" / "go").touch()
    assert process.wait(PATIENCE) == 0
    assert tiny.samebook("store", "verify").code == 0


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with three models; the first was promoted once, the second is promoted now, each after a gate."""
    tiny = promoting.create(tmp_path_factory.mktemp("gc") / "workspace", 3, 4, 5)
    promoting.promote(tiny, 3)
    promoting.promote(tiny, 4)
    return tiny


@pytest.mark.host
def test_models_keep_their_runs(promoted: Tiny, tmp_path: Path) -> None:
    """The runs that a model of any branch names, or ever named, stay, and their gates' runs; others are removed."""
    tiny = promoting.copy(promoted, tmp_path / "copy")
    git(tiny, "switch", "--quiet", "--orphan", "empty")
    git(tiny, "checkout", "--quiet", "main", "--", "environments", ".gitignore", ".python-version")
    age(tiny)
    before = set(ids(tiny)) - {promoting.run_of(tiny, 5)}
    stderr_of(tiny.samebook("gc", *ALL), 0)
    assert set(ids(tiny)) == before
    assert len(before) == 4
    git(tiny, "switch", "--quiet", "--force", "main")
    assert tiny.samebook("rollback", "delay").code == 0
    assert tiny.samebook("run", "score").code == 0


@pytest.mark.host
def test_model_keeps_the_past_of_its_run(promoted: Tiny, tmp_path: Path) -> None:
    """The runs that a model's run has read stay, though that run's receipt is only in the store by now."""
    tiny = promoting.copy(promoted, tmp_path / "copy")
    gate = promoting.promoted_bundle(tiny)["promoted"]["gate"]["run"]
    (tiny.root / "runs" / gate).rename(tmp_path / "gate")
    finished_run(tiny, OLD.format("train"))
    bundle = json.loads((tmp_path / "gate" / "receipt.json").read_text())
    makers = [entry for entry in bundle["predicate"]["runDetails"]["byproducts"] if entry["name"] == "made by"]
    assert promoting.run_of(tiny, 4) in makers[0]["annotations"]
    age(tiny)
    stderr_of(tiny.samebook("gc", *ALL), 0)
    assert promoting.run_of(tiny, 4) in ids(tiny)
    assert OLD.format("train") not in ids(tiny)


@pytest.mark.host
def test_shallow_clone_refuses(promoted: Tiny, tmp_path: Path) -> None:
    """In a shallow clone, or without the repository, nothing is removed: the past of other branches isn't known."""
    git(promoted, "clone", "--quiet", "--depth", "1", f"file://{promoted.root}", str(tmp_path / "clone"))
    shallow = Tiny(tmp_path / "clone")
    names = three(shallow)
    assert "git fetch --unshallow" in stderr_of(shallow.samebook("gc", *ALL), 2)
    (shallow.root / ".git").rename(tmp_path / "git")
    shallow = replace(shallow, python=image_python(tmp_path / "image"))
    assert "without its repository" in stderr_of(shallow.samebook("gc", *ALL, SAMEBOOK_COMMIT="0" * 40), 2)
    assert ids(shallow) == names


def test_unreadable_receipt_stops_all(tiny: Tiny) -> None:
    """Nothing is removed while a receipt can't be read: it may name any run."""
    names = three(tiny)
    (tiny.root / "runs" / names[2] / "receipt.json").write_text('{"_type":')
    assert f"{names[2]}/receipt.json" in stderr_of(tiny.samebook("gc", *ALL), 2)
    assert ids(tiny) == names


def test_kill_leaves_no_half_run(tiny: Tiny) -> None:
    """A gc that is killed leaves whole runs in runs/; the next gc removes the rest."""
    for number in range(40):
        finished_run(tiny, f"20130101T000000Z-train-{number:06x}", *(f"{file}.txt" for file in range(40)))
    process = tiny.start("gc", *ALL)
    wait_until(lambda: list((tiny.root / "runs" / ".trash").glob("*-*")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert all(len(list((run / "outputs").iterdir())) == 40 for run in tiny.runs)
    age(tiny)
    stderr_of(tiny.samebook("gc", *ALL), 0)
    assert (ids(tiny), list((tiny.root / "runs" / ".trash").glob("*-*"))) == ([], [])


def test_two_at_once(tiny: Tiny) -> None:
    """Two gcs that start together both end well, with the same result as one alone."""
    names = three(tiny)
    both = [tiny.start("gc", "--keep", "1") for _ in range(2)]
    assert [process.communicate() and process.returncode for process in both] == [0, 0]
    assert ids(tiny) == names[2:]


def test_others_are_left_alone(tiny: Tiny) -> None:
    """Files, links and folders with names that are not a run's stay in runs/."""
    (tiny.root / "runs").mkdir()
    outside = tiny.root / "outside"
    outside.mkdir()
    (tiny.root / "runs" / OLD.format("link")).symlink_to(outside)
    (tiny.root / "runs" / "2013Z-notes").mkdir()
    age(tiny)
    assert tiny.samebook("gc", *ALL).code == 0
    assert len(ids(tiny)) == 2
    assert outside.is_dir()


@pytest.mark.parametrize("given", ["90", "d", "-1d", "1.5d", "999999d", "٣d"])
def test_age_is_in_days(given: str, tiny: Tiny) -> None:
    """--older-than takes whole days with their unit, and nothing else."""
    assert "expected days, like 90d" in stderr_of(tiny.samebook("gc", f"--older-than={given}"), 2)


def test_unused_bytecode(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytecode of packages that no environment has asked for in a month is removed from the user's cache, and told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    old, young = (bytecode.folder() / f"{name}.zip" for name in ("old", "young"))
    old.parent.mkdir(parents=True)
    for path in (old, young):
        path.write_bytes(bytes(2048))
    os.utime(old, (time.time() - 40 * bytecode.DAY,) * 2)
    looked = tiny.samebook("gc", "--dry-run", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "and 2.0 KiB of bytecode: 2.0 KiB to be freed" in looked.stdout, looked
    assert old.exists()
    removed = tiny.samebook("gc", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "and 2.0 KiB of bytecode: 2.0 KiB freed" in removed.stdout
    assert list(old.parent.iterdir()) == [young]
