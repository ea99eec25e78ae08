"""The harness of `make bench`: its arithmetic, its checks, and a real round."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from benchmarks import command, cost, figures, goals, machine, peers, racing, scoring_survey, sweeping
from benchmarks.cases import CASES
from benchmarks.executing import BEST
from benchmarks.figures import Result
from benchmarks.goals import GOALS, Goal
from benchmarks.notebooks import TRIVIAL, check_executed, check_printed, printing
from benchmarks.places import Place, Plan, Race
from benchmarks.trials import FailedTrial, Measurement, MissingTool, Trial, last_words, measure
from tiny import CHECKOUT, PATIENCE, wait_until

SHELL = {"PATH": os.environ["PATH"]}


def rounds(*seconds: float) -> Result:
    return Result([Measurement(second, second / 2, 100.0) for second in seconds])


def shell(folder: Path, line: str) -> Trial:
    return Trial(("sh", "-c", line), folder, SHELL)


def test_median_and_spread() -> None:
    """A result has the median of its rounds, the lowest and the highest, and each round."""
    result = rounds(3, 1, 2).as_json()
    assert (result["low"], result["median"], result["high"]) == (1, 2, 3)
    assert [measurement["seconds"] for measurement in result["rounds"]] == [3, 1, 2]


def test_ratio_of_neighbours() -> None:
    """A ratio is that of the medians; its spread compares rounds that were measured side by side."""
    ratio = figures.ratio(rounds(2, 40, 6), rounds(1, 10, 2))
    assert ratio == figures.Figure(3, 2, 4)
    assert ratio.shown == "3 (2 to 4)"


@pytest.mark.parametrize("other", [None, Result(), Result(absent="no"), Result(rounds(1).rounds, error="broke")])
def test_no_ratio_to_nothing(other: Result | None) -> None:
    """A subject that was not measured, or failed in a round, has no ratio."""
    assert figures.ratio(rounds(1), other) is None
    assert figures.ratio(other, rounds(1)) is None


def test_turns() -> None:
    """Each turn begins with another subject, and has them all."""
    assert [figures.rotated("abc", turn) for turn in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]
    assert figures.rotated([], 1) == []


def test_slow_is_enough_sooner() -> None:
    """A subject that takes longer than 20 s is measured three times at most, one of more than 60 s once."""
    assert not rounds(1, 1, 1).is_enough(5)
    assert rounds(1, 1, 1, 1, 1).is_enough(5)
    assert rounds(30, 30, 30).is_enough(5)
    assert rounds(30).is_enough(1)
    assert rounds(300).is_enough(5)
    assert not rounds().is_enough(1)


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0, "0"), (0.01234, "0.0123"), (1.5, "1.5"), (99.96, "100"), (12345.6, "12346")]
)
def test_numbers(value: float | None, shown: str) -> None:
    """Numbers have three digits and no exponent."""
    assert figures.number(value) == shown


def test_race_table() -> None:
    """A table has medians, spread and ratios; below it stand the absent and the failed subjects, with their reasons."""
    known = {"script": rounds(1, 2, 3), "ours": rounds(3)}
    results = {**known, "warm": Result(absent="no command"), "x": Result(error="exit code 7")}
    head, script, ours, warm, failed = figures.race_table(results, ("script", "papermill"))
    assert head.split() == ["median", "s", "spread", "s", "÷", "script", "CPU", "s", "peak", "MiB", "rounds"]
    assert script.split() == ["script", "2", "1-3", "1", "1", "100", "3"]
    assert ours.split() == ["ours", "3", "3-3", "1.5", "1.5", "100", "1"]
    assert [warm, failed] == ["warm: not there: no command", "x: error: exit code 7"]


def test_facts_table() -> None:
    """Rows with other columns share one table, with a dash where one has none."""
    assert [line.split() for line in figures.facts_table([{"a": "x", "MB": 1.25}, {"a": "y", "s": 3}])] == [
        ["a", "MB", "s"],
        ["x", "1.25", "-"],
        ["y", "-", "3"],
    ]


@pytest.mark.parametrize(
    ("goal", "value", "missed"),
    [
        (Goal("", goals.seconds("a", "b"), 2), 1.5, -0.25),
        (Goal("", goals.seconds("a", "b"), 2), 3, 0.5),
        (Goal("", goals.seconds("a", "b"), 10, at_least=True), 5, 0.5),
        (Goal("", goals.seconds("a", "b"), 10, at_least=True), 12, -0.2),
    ],
)
def test_missed_by(goal: Goal, value: float, missed: float) -> None:
    """A goal is missed by a part of its limit, from either side."""
    assert goal.missed_by(value) == pytest.approx(missed)


def test_verdicts() -> None:
    """Each goal is reached, missed by so much, or was not measured."""
    training = {"script": rounds(1), "samebook": rounds(1.5), "samebook-warm": rounds(0.5)}
    trivial = {"make-run": rounds(3.2), "samebook": rounds(3)}
    lines = goals.table(list(goals.verdicts({"training": training, "trivial": trivial}, {})))
    verdict_of = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in lines}
    assert verdict_of["training, cold, to the script"] == "missed by 11%"
    assert verdict_of["training, warm, to the script"] == "reached by 9%"
    assert verdict_of["make run beyond samebook run"] == "reached by 33%"
    assert verdict_of["samebook --help"] == "not measured"


def test_goals_name_what_is_there() -> None:
    """Every goal names an existing case and its subjects."""
    races = {
        case.name: {name: rounds(1) for name in case.subjects} for case in CASES.values() if isinstance(case, Race)
    }
    scored = dict.fromkeys(("seconds", "peak_mib"), 1.0)
    facts = {"scoring": [{"variant": name, **scored} for name in (goals.SCORED, goals.BARE)]}
    facts["numerics"] = [{"computation": cost.TRAINING, "portable ÷ fast": 1.0}]
    assert [goal.title for goal in GOALS if goal.find(races, facts) is None] == []


def test_measure(tmp_path: Path) -> None:
    """A measurement has the wall clock, the processor's time with that of children, and the largest process."""
    count = "sum(range(3 * 10**6)); bytearray(64 * 2**20)"
    measurement = measure(shell(tmp_path, f'sleep 0.2; {sys.executable} -S -c "{count}"; true'), tmp_path / "out.txt")
    assert measurement.seconds > measurement.cpu > 0.02
    assert measurement.seconds > 0.2
    assert 64 < (measurement.peak or 0) < 128


def test_peak_is_its_own(tmp_path: Path) -> None:
    """The peak of a small process is its own, not that of the harness, which is far larger here."""
    ballast = bytearray(os.urandom(1) * (200 * 2**20))
    assert (measure(shell(tmp_path, "true"), tmp_path / "out.txt").peak or 0) < len(ballast) / 2**20 / 4


@pytest.mark.parametrize(
    ("line", "limit", "message"),
    [
        ("echo no such file >&2; exit 3", PATIENCE, "exit code 3: no such file"),
        ("exit 1", PATIENCE, "exit code 1: nothing was printed"),
        ("kill -9 $$", PATIENCE, "exit code -9"),
        ("sleep 600", 1, "over its 1 s"),
    ],
)
def test_failure_in_its_words(tmp_path: Path, line: str, limit: int, message: str) -> None:
    """A command that fails, is killed or takes too long raises its exit code and its last words."""
    began = time.monotonic()
    with pytest.raises(FailedTrial, match=message):
        measure(shell(tmp_path, line), tmp_path / "out.txt", timeout=limit)
    assert time.monotonic() - began < PATIENCE


def test_no_such_program(tmp_path: Path) -> None:
    """The error for a missing program names it."""
    with pytest.raises(FailedTrial, match="no-such-program"):
        measure(Trial(("no-such-program",), tmp_path, SHELL), tmp_path / "out.txt")


def test_own_clock(tmp_path: Path) -> None:
    """The seconds that a command writes itself count; the time to its end does not."""
    clock = tmp_path / "clock.json"
    trial = Trial(("sh", "-c", f"echo '{{\"seconds\": 7}}' > {clock}"), tmp_path, SHELL, clock=clock)
    assert measure(trial, tmp_path / "out.txt") == Measurement(7, None, None)


def test_last_words() -> None:
    """Last words are the last four lines that are not blank."""
    assert last_words("a\n\nb\nc\n d \n\ne\n") == "b | c | d | e"


def test_race_goes_on() -> None:
    """A subject that fails, in preparation or in a round, is reported and left out; the others run in turns."""
    progress: list[str] = []

    def absent(_: Place) -> Trial:
        raise MissingTool("not yet")

    def broken(_: Place) -> Trial:
        raise OSError("disk full")

    subjects = {
        "good": lambda place: shell(place.root, "true"),
        "bad": lambda place: shell(place.root, "echo oh; exit 1"),
        "absent": absent,
        "broken": broken,
    }
    results = racing.race(Race("case", "", subjects), Plan(repeats=2), progress.append)
    assert len(results["good"].rounds) == 2
    assert (results["bad"].error, results["absent"].absent) == ("exit code 1: oh", "not yet")
    assert results["broken"].error == "OSError: disk full"
    assert "case: bad: error: exit code 1: oh" in progress


def test_same_cells(tmp_path: Path) -> None:
    """The script has the notebook's cells, and the same output."""
    cells = printing("outputs", 2, 800)
    done = subprocess.run([sys.executable, "-c", cells.script()], capture_output=True, text=True, check=True)
    check_printed(done.stdout)
    assert len(done.stdout) == pytest.approx(1600, abs=50)
    with pytest.raises(FailedTrial, match="expected a line"):
        check_printed(done.stdout.partition("the end")[0])
    with pytest.raises(FailedTrial, match="not written"):
        check_executed(tmp_path / "none.ipynb")


@pytest.mark.host
def test_unexecuted_is_wrong(tmp_path: Path) -> None:
    """A notebook without outputs does not count as executed."""
    workspace = TRIVIAL.write(Place(tmp_path, Plan()))
    with pytest.raises(FailedTrial, match="expected an output"):
        check_executed(workspace.root / "notebooks" / "trivial.ipynb")


def test_sets_of_a_sweep() -> None:
    """A hundred runs are a hundred different sets; a number that isn't a multiple of ten is refused."""
    sets = {tuple(parameters.items()) for parameters in sweeping.sets(100)}
    assert len(sets) == 100
    with pytest.raises(ValueError, match="multiple of 10"):
        sweeping.grid(15)


def test_same_variables_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subjects differ in PATH alone, and no variable of the machine makes one compile bytecode again."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("SAMEBOOK_CELL_TIMEOUT", "1")
    place = Place(tmp_path, Plan())
    ours, theirs = place.environ(), place.environ(tmp_path / "bin")
    assert {name for name in ours if ours[name] != theirs[name]} == {"PATH"}
    assert ours["OMP_WAIT_POLICY"] == "PASSIVE"
    assert not {"PYTHONDONTWRITEBYTECODE", "SAMEBOOK_CELL_TIMEOUT"} & ours.keys()


def test_peers_are_pinned() -> None:
    """Every requirement of a peer has a version: that of our lock, if the lock has the package."""
    lines = [line for name in peers.PEERS for line in peers.requirements(name).splitlines()]
    assert all("==" in line for line in lines)
    assert peers.pins("a==1 \\\n    --hash=sha256:0\nb==2 ; python_version < '3' \\\n") == {
        "a": "a==1",
        "b": "b==2 ; python_version < '3'",
    }


def test_papermill_knows_its_flags() -> None:
    """The fastest flags of papermill are flags of the locked version."""
    done = subprocess.run([sys.executable, "-m", "papermill", "--help"], capture_output=True, text=True, check=True)
    assert [flag for flag in BEST if flag.startswith("--") and flag not in done.stdout] == []


@pytest.mark.parametrize(
    "content",
    [
        [{"variant": "a", "seconds": 1}],
        {"a": {"seconds": 1}},
        {"rows": 5, "variants": [{"variant": "a", "seconds": 1}]},
    ],
)
def test_rows_of_scoring(content: object) -> None:
    """Whether scoring writes a list or objects by name, each variant is a row."""
    assert scoring_survey.rows(content) == [{"variant": "a", "seconds": 1}]


def test_busy() -> None:
    """A machine with other work gives a warning."""
    assert machine.load_warning(0.1, 2) == ""
    assert "the load is 3.0 on 2 cores" in machine.load_warning(3.0, 2)


def test_busy_machine() -> None:
    """Processes keep cores busy beside the block, and are gone after it."""
    mine = psutil.Process()
    before = {child.pid for child in mine.children()}
    with machine.busy(2):
        beside = [child for child in mine.children() if child.pid not in before]
        wait_until(lambda: all(child.cpu_times().user > 0.05 for child in beside))
    assert len(beside) == 2
    assert not any(child.is_running() for child in beside)


@pytest.mark.parametrize("arguments", ["--only trivail", "--subjects scrpt", "--repeats 0", "--runs 15"])
def test_wrong_calls(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name or number is refused before anything runs, with what was expected."""
    with pytest.raises(SystemExit) as ended:
        command.main(arguments.split())
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` names every case, and runs nothing."""
    assert command.main(["--list"]) == 0
    output = capsys.readouterr().out
    assert [name for name in CASES if name not in output] == []


def bench(folder: Path, *arguments: str) -> list[str]:
    script, json_file = CHECKOUT / "tests" / "benchmarks" / "bench.py", folder / "bench.json"
    return [sys.executable, str(script), "--only", "trivial", "--json", str(json_file), *arguments]


@pytest.mark.host
def test_trivial(tmp_path: Path) -> None:
    """One real round of the trivial case: the script and ours, as a table and as JSON."""
    command = bench(tmp_path, "--subjects", "script,samebook", "--repeats", "1")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "bench.json").read_text())
    assert set(report["cases"]["trivial"]) == {"script", "samebook"}
    assert report["cases"]["trivial"]["samebook"]["median"] > report["cases"]["trivial"]["script"]["median"] > 0
    assert {"date", "commit", "cores", "load", "load_after"} <= set(report["machine"])


@pytest.mark.host
def test_stopped(tmp_path: Path) -> None:
    """A stopped bench ends the measured command, and leaves no folder behind."""
    command, environ = bench(tmp_path, "--subjects", "samebook"), {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environ) as process:
        assert process.stderr
        while b"to warm up" not in process.stderr.readline():
            pass
        process.terminate()
        assert process.wait(PATIENCE) == 143
    wait_until(lambda: not list(tmp_path.glob("samebook-bench-*")))
