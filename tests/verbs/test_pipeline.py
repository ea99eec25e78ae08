"""Pipelines end to end: no step runs twice, a failed step stops those that need it, a kill costs one step."""

import fcntl
import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import promoting
import pytest
from promoting import stderr_of
from tiny import HELD, PATIENCE, Tiny, git, opened, wait_until

READ = "from datetime import date\nday: date = date(2013, 1, 1)\nfactor: int = 1"
MAKE = """
import pandas as pd
import samebook
samebook.write_partition("rows", day, pd.DataFrame({"n": [day.day * factor]}))
"""
DOUBLE = """
import pandas
import samebook
rows = samebook.read_dataset("rows", day, day)
samebook.write_partition("doubled", day, rows * 2)
"""
YAML = """
parameters: {day: today, factor: 1}
steps:
  make: {parameters: {day: $day, factor: $factor}}
  double: {needs: [make], parameters: {day: $day}}
  aside: {notebook: aside}
"""


@pytest.fixture
def tiny(tiny: Tiny) -> Tiny:
    """A pipeline of three steps: `double` reads what `make` makes, `aside` depends on nothing."""
    tiny.notebook("make", parameters=READ, work=MAKE)
    tiny.notebook("double", parameters=READ, work=DOUBLE)
    tiny.notebook("aside", work="import samebook\nsamebook.log_metric('one', 1)")
    written(tiny, YAML)
    return tiny


def written(tiny: Tiny, text: str) -> None:
    (tiny.root / "environments" / "pipelines").mkdir(exist_ok=True)
    (tiny.root / "environments" / "pipelines" / "daily.yml").write_text(text)


def daily(tiny: Tiny, *options: str) -> dict[str, str]:
    """The state of each step of a pipeline that ends well."""
    ended = tiny.samebook("pipeline", "daily", "-p", "day=2013-01-05", *options)
    assert ended.code == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines()]
    return {parts[0]: "ran" if parts[2] == "s" else " ".join(parts[1:3]) for parts in rows}


def doubled(tiny: Tiny, day: str = "2013-01-05") -> list[int]:
    import pandas as pd

    return pd.read_parquet(tiny.root / "data" / "doubled" / f"day={day}" / "part-0.parquet")["n"].tolist()


def test_done_once(tiny: Tiny) -> None:
    """Nothing runs a second time; a changed parameter, notebook or input runs the steps that it touches."""
    assert daily(tiny) == {"make": "ran", "double": "ran", "aside": "ran"}
    assert doubled(tiny) == [10]
    assert set(daily(tiny).values()) == {"as before"}
    assert daily(tiny, "-p", "factor=2") == {"make": "ran", "double": "ran", "aside": "as before"}
    assert doubled(tiny) == [20]
    tiny.notebook("aside", work="import samebook\nsamebook.log_metric('two', 2)")
    assert daily(tiny, "-p", "factor=2")["aside"] == "ran"
    (tiny.root / "notebooks" / "helper.py").write_text("ONE = 1")
    assert set(daily(tiny, "-p", "factor=2").values()) == {"ran"}
    assert set(daily(tiny, "-p", "factor=2", "--force").values()) == {"ran"}


def test_log_names_the_step(tiny: Tiny) -> None:
    """Each line of run.log has the environment and the step; a run without a pipeline has no step."""
    daily(tiny)
    assert tiny.samebook("run", "aside").code == 0
    for run, step in ((tiny.root.glob("runs/*-make-*"), "daily/make"), ([tiny.last], None)):
        (folder,) = run
        lines = [json.loads(line) for line in (folder / "run.log").read_text().splitlines()]
        assert {(line["env"], line.get("step")) for line in lines} == {("dev", step)}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_waiting_to_publish_can_be_stopped(signum: int, tiny: Tiny) -> None:
    """A pipeline that waits for another process's publication stops at once on a signal."""
    daily(tiny)
    with (tiny.root / "data" / ".publish.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = tiny.start("pipeline", "daily", "-p", "day=2013-01-05")
        wait_until(lambda: opened(process.pid) & {str(tiny.root / "data" / ".publish.lock")})
        os.kill(process.pid, signum)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signum


def test_versions_are_kept(tiny: Tiny) -> None:
    """A new publication keeps the version that it replaces; the same publication twice is one version."""
    daily(tiny)
    daily(tiny, "-p", "factor=2")
    daily(tiny)
    origin = json.loads((tiny.root / "data" / "doubled" / "day=2013-01-05" / "_origin.json").read_text())
    assert doubled(tiny) == [10]
    assert [version["sha256"] for version in origin["versions"]][-1] == origin["sha256"]
    kept = sorted(path.stem for path in (tiny.root / "data" / "doubled" / ".versions").rglob("*.parquet"))
    assert len(origin["versions"]) == 2
    assert kept == sorted(version["sha256"] for version in origin["versions"])


def test_missing_publication_is_made_up_for(tiny: Tiny) -> None:
    """A complete run that was killed before its publication is published by the next start, which runs nothing."""
    daily(tiny)
    for name in ("part-0.parquet", "_origin.json"):
        (tiny.root / "data" / "doubled" / "day=2013-01-05" / name).unlink()
    assert daily(tiny)["double"] == "as before"
    assert doubled(tiny) == [10]


def test_missing_outputs_are_made_again(tiny: Tiny) -> None:
    """A finished run whose partition is lost runs again; other tools can read the dataset's folder."""
    import pandas as pd

    daily(tiny)
    (run,) = tiny.root.glob("runs/*-double-*")
    shutil.rmtree(run / "outputs")
    shutil.rmtree(tiny.root / "data" / "doubled")
    assert daily(tiny)["double"] == "ran"
    assert pd.read_parquet(tiny.root / "data" / "doubled")["n"].tolist() == [10]


@pytest.mark.usefixtures("alone")
def test_repeated_notebooks_are_warm(tiny: Tiny) -> None:
    """A notebook that many steps run has warm kernels once its imports are done; one that runs once starts cold."""
    times = "".join(f"  make{n}: {{notebook: make, parameters: {{day: $day, factor: '{n}'}}}}\n" for n in range(2, 12))
    written(tiny, YAML.replace("  double:", f"{times}  double:"))
    tiny.notebook("double", parameters=READ, work=DOUBLE.replace("import pandas\n", ""))
    assert set(daily(tiny, "-p", "factor=1", "--jobs", "1").values()) == {"ran"}
    warm = Counter(
        run.name.split("-")[1] for run in tiny.runs if '"warm": "started"' in (run / "receipt.json").read_text()
    )
    assert warm["make"] > 5
    assert warm.keys() == {"make"}
    assert not tiny.kernels()


@pytest.mark.host
def test_committed_work_runs_again(tiny: Tiny) -> None:
    """A run on uncommitted changes runs again once they are committed: a promotion needs a clean commit."""
    (tiny.root / ".gitignore").write_text("/runs/\n/store/\n/data/\n")
    git(tiny, "init", "--quiet")
    git(tiny, "add", "notebooks/make.ipynb")
    git(tiny, "commit", "--quiet", "-m", "one")
    assert daily(tiny)["aside"] == "ran"
    assert daily(tiny)["aside"] == "as before"
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "all")
    assert daily(tiny)["aside"] == "ran"
    assert daily(tiny)["aside"] == "as before"


def test_damaged_run_does_not_count(tiny: Tiny) -> None:
    """A finished run whose files were changed does not count: its step runs again."""
    daily(tiny)
    (run,) = tiny.root.glob("runs/*-double-*")
    (run / "metrics.json").write_text("{}\n\n")
    assert daily(tiny) == {"make": "as before", "double": "ran", "aside": "as before"}


def test_failure_stops_what_needs_it(tiny: Tiny) -> None:
    """A failed step stops those that need it, not the others; the pipeline has its exit code and message."""
    tiny.notebook("make", parameters=READ, work="import samebook\nraise samebook.DataRejected('row 3 is wrong')")
    ended = tiny.samebook("pipeline", "daily")
    message = stderr_of(ended, 4)
    assert "step make failed with exit code 4" in message
    assert "raised DataRejected: row 3 is wrong" in message
    assert "not run, as they need it: double" in message
    assert {line.split()[0] for line in ended.stdout.splitlines()} == {"aside", "make"}
    assert not (tiny.root / "data").exists()
    story = "".join(path.read_text() for path in (tiny.root / "runs" / ".story").glob("*.jsonl"))
    assert '"step": "make"' in story


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("make: {parameters", "make: {notebook: mke, parameters"), "step make: no notebook 'mke'; did you mean make?"),
        (("factor: $factor", "facter: $factor"), "step make: no parameter 'facter'; did you mean factor?"),
        (("factor: $factor", "factor: many"), "step make: parameter factor: found 'many'"),
    ],
)
def test_wrong_step_told_before_any_runs(change: tuple[str, str], message: str, tiny: Tiny) -> None:
    """An unknown notebook, an unknown parameter and a value of the wrong type stop the pipeline before its start."""
    written(tiny, YAML.replace(*change))
    assert message in stderr_of(tiny.samebook("pipeline", "daily"), 2)
    assert tiny.runs == []


def test_dry_run_tells_the_plan(tiny: Tiny) -> None:
    """A dry run lists the steps that would run and those done already, and starts nothing."""
    shown = tiny.samebook("pipeline", "daily", "-p", "day=2013-01-05", "--dry-run").stdout
    assert "run make day=2013-01-05 factor=1" in shown
    assert tiny.runs == []
    daily(tiny)
    before = len(tiny.runs)
    assert "as before" in tiny.samebook("pipeline", "daily", "-p", "day=2013-01-05", "--dry-run").stdout
    assert len(tiny.runs) == before


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_goes_on_after_a_kill(signum: int, tiny: Tiny) -> None:
    """A pipeline killed in a step leaves no process behind; started again, it runs the rest, and each step once."""
    tiny.notebook("double", parameters=READ, work=DOUBLE + HELD)
    (tiny.root / "hold").touch()
    process = tiny.start("pipeline", "daily", "-p", "day=2013-01-05")
    wait_until(lambda: list(tiny.root.glob("runs/.partial/*-double-*/notebook.ipynb")))
    wait_until(lambda: list(tiny.root.glob("runs/*-aside-*/receipt.json")))
    os.kill(process.pid, signum)
    process.communicate(timeout=PATIENCE)
    wait_until(lambda: not tiny.kernels())
    (tiny.root / "hold").unlink()
    assert process.returncode in (-signum, 128 + signum)
    assert daily(tiny) == {"make": "as before", "double": "ran", "aside": "as before"}
    wait_until(lambda: not tiny.kernels())
    assert doubled(tiny) == [10]
    assert len(list(tiny.root.glob("runs/*-double-*/receipt.json"))) == 1
    assert tiny.unfinished == []


def test_two_at_once_do_it_once(tiny: Tiny) -> None:
    """Of two pipelines that start at once with the same parameters, the second finds all steps done."""
    both = [tiny.start("pipeline", "daily", "-p", "day=2013-01-05") for _ in range(2)]
    for process in both:
        process.communicate(timeout=PATIENCE)
    assert [process.returncode for process in both] == [0, 0]
    assert len(list(tiny.root.glob("runs/*-make-*/receipt.json"))) == 1
    assert len(list(tiny.root.glob("runs/*-double-*/receipt.json"))) == 1


@pytest.mark.host
def test_retraining_ends_in_a_promotion(tmp_path: Path) -> None:
    """train, gate, reproduce and promote, in one pipeline; again nothing is left to do, and a bad model is refused."""
    tiny = promoting.create(tmp_path / "workspace")
    written(
        tiny,
        "parameters: {level: 3}\nsteps:\n"
        "  train: {parameters: {level: $level}}\n"
        "  gate: {needs: [train], parameters: {candidate: $train}}\n"
        "  promote: {needs: [train, gate], promote: {run: $train, model: delay}}\n",
    )
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "pipeline")
    assert tiny.samebook("pipeline", "daily").code == 0
    assert promoting.promoted_level(tiny) == 3
    assert tiny.samebook("pipeline", "daily").stdout.count("as before") == 3
    assert "is not better than the baseline" in stderr_of(tiny.samebook("pipeline", "daily", "-p", "level=1"), 6)
    assert promoting.promoted_level(tiny) == 3


@pytest.mark.host
def test_no_model_yet_is_told(tmp_path: Path) -> None:
    """A step that scores with a model that is not promoted is refused before the first step runs."""
    tiny = promoting.create(tmp_path / "workspace")
    written(tiny, "steps: {train: {}, score: {needs: [train], parameters: {model: delay}}}")
    message = stderr_of(tiny.samebook("pipeline", "daily"), 2)
    assert "step score: no model is promoted as 'delay' here" in message
    assert "make promote RUN=train MODEL=delay" in message
    assert tiny.runs == []


def test_ends_with_what_started_it(tiny: Tiny) -> None:
    """A run that a pipeline has started does not outlive it, not even its kernel."""
    tiny.notebook("aside", work="import time\ntime.sleep(600)")
    process = tiny.start("pipeline", "daily")
    wait_until(tiny.kernels)
    process.kill()
    process.communicate()
    wait_until(lambda: not tiny.kernels())
    wait_until(lambda: not tiny.unfinished or tiny.samebook("run", "make").code == 0)
