"""The harness of `make bench`: its arithmetic, its checks, and a real round."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from benchmarks import bench, cases, figures, goals, places, racing
from benchmarks.cases import BEST, CASES
from benchmarks.figures import Result
from benchmarks.goals import GOALS, Goal
from benchmarks.places import Place
from benchmarks.preparation import printing
from benchmarks.racing import Case, Subject
from benchmarks.trials import FailedTrial, Measurement, last_words, measure
from tiny import PATIENCE, wait_until

SHELL = {"PATH": os.environ["PATH"]}


def rounds(*seconds: float, error: str = "") -> Result:
    return Result([Measurement(second, second / 2, 100.0) for second in seconds], error=error)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]


def test_json_of_a_result() -> None:
    """A result has the median of its rounds, the lowest and the highest, and each round."""
    result = rounds(3, 1, 2).as_json()
    assert [result[name] for name in ("low", "median", "high", "cpu", "peak")] == [1, 2, 3, 1, 100]
    assert [measurement["seconds"] for measurement in result["rounds"]] == [3, 1, 2]


def test_ratio_of_medians() -> None:
    """A ratio is that of the medians; a subject that was not measured, or failed in a round, has none."""
    assert figures.compared(rounds(2, 40, 6).values(), rounds(1, 10, 2).values()) == 3
    for other in (Result(), rounds(1, error="broke")):
        assert figures.compared([1], other.values()) is figures.compared(other.values(), [1]) is None


def test_slow_is_enough_sooner() -> None:
    """A subject that takes longer than 20 s is measured three times at most, one of more than 60 s once."""
    assert all(rounds(*seconds).is_enough(5) for seconds in ([1] * 5, [30] * 3, [300]))
    assert not any(rounds(*seconds).is_enough(5) for seconds in ([1] * 3, [30] * 2, []))


def test_table_of_a_case() -> None:
    """A table has medians, spread and ratios; below it stand failed subjects with their reasons."""
    known = {"script": rounds(1, 2, 3), "ours": rounds(3), "ours-fast": rounds(1)}
    results = {**known, "x": rounds(1, error="exit code 7")}
    head, _, script, ours, _, failed = figures.case_table(results, ("script", "papermill", "-fast"))
    assert cells(head) == ["median s", "spread s", "÷ script", "÷ -fast", "CPU s", "peak MiB", "rounds"]
    assert cells(script) == ["script", "2", "1-3", "1", "-", "1", "100", "3"]
    assert cells(ours) == ["ours", "3", "3-3", "1.5", "3", "1.5", "100", "1"]
    assert failed == "x: error: exit code 7"
    medians = figures.overview({"cells": results | {"samebook": rounds(5)}, "help": {"samebook": rounds(1)}})
    assert [cells(line) for line in medians][::2] == [["median s", "script", "samebook"], ["cells", "2", "5"]]
    values = [None, 0, 0.01234, 1.5, 99.96, 12345.6]  # three digits and no exponent
    assert [figures.number(value) for value in values] == ["-", "0", "0.0123", "1.5", "100", "12346"]


@pytest.mark.parametrize(
    ("goal", "load", "missed"),
    [
        (Goal("", "case ours", 4), 0, -0.25),
        (Goal("", "case ours", 2, beside_load=3), 0, 0.5),
        (Goal("", "case ours", 2, beside_load=3), 1, 0),
        (Goal("", "case ours", 6, at_least=True), 0, 0.5),
        (Goal("", "case ours", 1.2, "script", measure="cpu"), 0, 0.25),
        (Goal("", "case ours", 1, beyond="script"), 0, 0),
        (Goal("", "case ours", 90, measure="peak"), 0, 1 / 9),
        (Goal("", "case theirs", 1, "script"), 0, None),
    ],
)
def test_missed_by(goal: Goal, load: int, missed: float | None) -> None:
    """A goal of seconds, processor or memory is missed by a part of its limit, from either side, or not measured."""
    verdict = goal.verdict({"case": {"ours": rounds(3), "script": rounds(2)}}, load)
    assert verdict["missed_by"] == (missed if missed is None else pytest.approx(missed))


def test_table_of_goals() -> None:
    """Each goal is reached, missed by so much, or was not measured; each names an existing case and its subjects."""
    training = {"script": rounds(1), "samebook": rounds(1.5), "samebook-warm": rounds(0.5)}
    found = {name: rest for name, *rest in map(cells, goals.table(goals.verdicts({"training": training})))}
    assert found["training, cold, to the script"] == ["1.5 x", "≤ 1.2 x", "missed by 25%"]
    assert found["training, warm, to the script"][2] == "reached by 9%"
    assert found["samebook --help"] == ["- s", "≤ 0.15 s", "not measured"]
    results = {name: dict.fromkeys(case.subjects, rounds(1)) for name, case in CASES.items()}
    assert [goal.title for goal in GOALS if goal.figure(results) is None] == []


def test_measure(tmp_path: Path) -> None:
    """A measurement has the wall clock, the processor's time with that of children, and the largest process.

    A small process has a peak of its own, not that of the harness, which is far larger here.
    """
    count = f'sleep 0.2; {sys.executable} -S -c "sum(range(3 * 10**6)); bytearray(64 * 2**20)"; true'
    large = measure(("sh", "-c", count), tmp_path, SHELL, tmp_path / "out.txt")
    assert large.seconds > max(large.cpu, 0.2)
    assert large.cpu > 0.02
    ballast = bytearray(os.urandom(1) * (200 * 2**20))
    small = measure(("true",), tmp_path, SHELL, tmp_path / "out.txt")
    assert small.peak < len(ballast) / 2**20 / 4 < 64 < large.peak < 128


@pytest.mark.parametrize(
    ("line", "limit", "message"),
    [
        ("sh -c 'echo no such file >&2; exit 3'", PATIENCE, "exit code 3: no such file"),
        ("false", PATIENCE, "exit code 1: nothing was printed"),
        ("sh -c 'kill -9 $$'", PATIENCE, "exit code -9"),
        ("sleep 600", 1, "over its 1 s"),
        ("no-such-program", PATIENCE, "no-such-program"),
    ],
)
def test_failure_in_its_words(tmp_path: Path, line: str, limit: int, message: str) -> None:
    """A command that fails, is killed, takes too long or is missing raises its exit code and its last words."""
    with pytest.raises(FailedTrial, match=message):
        measure(shlex.split(line), tmp_path, SHELL, tmp_path / "out.txt", timeout=limit)
    assert last_words("a\n\nb\nc\n d \n\ne\n") == "b | c | d | e"


def test_own_seconds(tmp_path: Path) -> None:
    """The seconds that a command measures itself count, and those of a server until it answers; then it has ended."""
    clocked = Subject("""echo '{{"seconds": 7, "cpu": 8}}'""", clock=True).prepared("clocked", Place(tmp_path))()
    assert (clocked.seconds, clocked.cpu) == (7, 8)
    line = "{python} -m http.server --bind 127.0.0.1 --directory {root} {port}"
    assert 0 < Subject(line, address="{port}/").prepared("served", Place(tmp_path))().seconds < PATIENCE
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in (each.info["cmdline"] or ())]
    with pytest.raises(FailedTrial, match="no answer at 1/: oh"):
        Subject("echo oh", address="1/").prepared("silent", Place(tmp_path))()


def test_race_goes_on() -> None:
    """A subject that fails, in preparation or in a round, is reported and left out; the others run in turns."""
    progress: list[str] = []

    subjects = {
        "good": Subject("echo new", shows="new", leaves={"good": 1}),
        "other": Subject("true"),
        "bad": Subject("sh -c 'echo oh; exit 1'"),
        "untrue": Subject("echo renew", shows="new"),
        "idle": Subject("true", leaves={"idle/*.ipynb": 1}),
        "broken": Subject("true", prepare=lambda place: (place.root / "none").read_text()),
    }
    results = racing.race(Case("case", "", subjects), 2, [], progress.append)
    assert [len(result.rounds) for result in results.values()] == [2, 2, 0, 0, 0, 0]
    assert [line.split()[1] for line in progress if line.endswith(" s")] == ["other:", "good:", "good:", "other:"]
    assert results["bad"].error == "exit code 1: oh"
    assert results["untrue"].error == "expected a line `new…` in the output, found none"
    assert results["idle"].error == "expected 1 of idle/*.ipynb, found 0"
    assert results["broken"].error.startswith("FileNotFoundError: ")
    assert "case: bad: error: exit code 1: oh" in progress


@pytest.mark.host
def test_same_cells(tmp_path: Path) -> None:
    """The script has the notebook's cells and ends as it does; a notebook without outputs is not executed."""
    script = cases.notebook("outputs", "", printing(2, 800)).subjects["script"]
    script.prepared("script", Place(tmp_path))()
    assert len((tmp_path / "script.txt").read_text()) == pytest.approx(1600, abs=50)
    with pytest.raises(FailedTrial, match=r"expected an output `the end: …` in outputs.ipynb"):
        Subject("true", leaves={"workspace/notebooks/outputs.ipynb": 1}).prepared("idle", Place(tmp_path))()


def test_same_variables_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subjects differ in PATH alone, and no variable of the machine makes one compile bytecode again."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("SAMEBOOK_CELL_TIMEOUT", "1")
    ours, theirs = Place(tmp_path).environ(), Place(tmp_path).environ(tmp_path / "bin")
    assert {name for name in ours if ours[name] != theirs[name]} == {"PATH"}
    assert ours["OMP_WAIT_POLICY"] == "PASSIVE"
    assert not {"PYTHONDONTWRITEBYTECODE", "SAMEBOOK_CELL_TIMEOUT"} & ours.keys()


def test_peers_at_their_best() -> None:
    """Each package of a peer has the version of our lock, or its own; papermill's fastest flags are flags of it."""
    locked = re.findall(r"^([\w.-]+)==", places.LOCK.read_text(), re.MULTILINE)
    packages = [name for names in places.PACKAGES.values() for name in names if "==" not in name]
    assert [name for name in packages if name not in locked] == []
    done = subprocess.run([sys.executable, "-m", "papermill", "--help"], capture_output=True, text=True, check=True)
    assert [flag for flag in BEST.split() if flag.startswith("--") and flag not in done.stdout] == []


def test_busy_machine() -> None:
    """Other work gives a warning; processes keep cores busy beside the block, and are gone after it."""
    assert bench.load_warning(0.1, 2) == ""
    assert "the load is 3.0 on 2 cores" in bench.load_warning(3.0, 2)
    before = set(psutil.Process().children())
    with bench.busy(2):
        beside = set(psutil.Process().children()) - before
        wait_until(lambda: all(child.cpu_times().user > 0.05 for child in beside))
    assert len(beside) == 2
    assert not any(child.is_running() for child in beside)


@pytest.mark.parametrize("arguments", ["--only trivail", "--subjects scrpt", "--repeats 0"])
def test_wrong_calls(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name or number is refused before anything runs, with what was expected."""
    with pytest.raises(SystemExit) as ended:
        bench.main(arguments.split())
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err


def test_failure_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bench with a failed subject ends with 1, and has the reason in its table and its JSON."""
    options = argparse.Namespace(repeats=1, subjects=[], load=0, json=tmp_path / "bench.json")
    assert bench.bench([Case("case", "", {"bad": Subject("false")})], options) == 1
    reason = {"error": "exit code 1: nothing was printed"}
    assert json.loads(options.json.read_text())["cases"] == {"case": {"bad": reason}}
    assert f"bad: error: {reason['error']}" in capsys.readouterr().out


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` names every case, and runs nothing; ten seeds of a sweep are a hundred sets, with a notebook each."""
    assert bench.main(["--list"]) == 0
    output = capsys.readouterr().out
    assert [name for name in CASES if name not in output] == []
    lines = [line.split(maxsplit=1) for line in cases.sets(10)]
    assert len({name for name, _ in lines}) == len({parameters for _, parameters in lines}) == 100


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, bench.__file__, "--only", "trivial", "--json", str(folder / "bench.json"), *arguments]


@pytest.mark.host
def test_trivial(tmp_path: Path) -> None:
    """One real round of the trivial case: the script and ours, as a table and as JSON."""
    call = command(tmp_path, "--subjects", "script,samebook", "--repeats", "1")
    done = subprocess.run(call, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "bench.json").read_text())
    assert set(report["cases"]["trivial"]) == {"script", "samebook"}
    assert report["cases"]["trivial"]["samebook"]["median"] > report["cases"]["trivial"]["script"]["median"] > 0
    assert {"date", "commit", "cores", "load", "load_after"} <= set(report["machine"])


@pytest.mark.host
def test_stopped(tmp_path: Path) -> None:
    """A stopped bench ends the measured command, and leaves no folder behind."""
    call, environ = command(tmp_path, "--subjects", "samebook"), {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(call, stderr=subprocess.PIPE, env=environ) as process:
        assert process.stderr
        while b"to warm up" not in process.stderr.readline():
            pass
        process.terminate()
        assert process.wait(PATIENCE) == 143
    wait_until(lambda: not list(tmp_path.glob("samebook-bench-*")))
