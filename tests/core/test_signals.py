"""Runs that are stopped by a signal: no process goes on, and the partial run is kept."""

import json
import os
import signal
import subprocess
import time

import pytest
from tiny import PATIENCE, Tiny, wait_until

from samebook.core import signals
from samebook.core.errors import Interrupted

SLEEPS = "import time\nprint('asleep', flush=True)\ntime.sleep(600)"


def running(tiny: Tiny, notebook: str) -> subprocess.Popen[str]:
    """A run whose cell `work` is running."""
    process = tiny.start("run", notebook)
    logs = (tiny.root / "runs" / ".partial").glob
    wait_until(lambda: any('"printed"' in log.read_text() for log in logs("*/run.log")))
    return process


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_run(signum: signal.Signals, code: int, tiny: Tiny) -> None:
    """Ctrl-C and SIGTERM, even twice, stop the kernel and keep the run as failed, with the shell's exit code."""
    tiny.notebook("sleeps", work=SLEEPS)
    process = running(tiny, "sleeps")
    os.killpg(process.pid, signum)
    os.killpg(process.pid, signum)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert stderr.endswith(f"error: stopped by {signum.name}\n  the run as far as it came: runs/{tiny.last.name}\n")
    assert (tiny.last / "error.txt").read_text() == f"Interrupted: stopped by {signum.name}\n"
    assert "asleep" in (tiny.last / "notebook.ipynb").read_text()
    assert tiny.kernels() == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_is_an_error(signum: signal.Signals) -> None:
    """A closed terminal ends a command as Ctrl-C does: by an error, so that what it started ends with it."""
    with pytest.raises(Interrupted, match=signum.name) as ended, signals.as_errors():
        signal.raise_signal(signum)
    assert ended.value.exit_code == 128 + signum


def test_nohup_is_kept() -> None:
    """A command under nohup goes on when its terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.as_errors():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.secrets
def test_survivors_of_a_killed_run_end(tiny: Tiny) -> None:
    """A kernel that outlives its killed runner, held in compiled code, and its children end before the next run
    searches what they have left: nothing is written there afterwards.
    """
    child = "import os, sys, time\nwhile True:\n    open(sys.argv[1], 'a').write('x'); time.sleep(0.01)"
    work = "import samebook, ctypes, subprocess, sys\npath = str(samebook.output_path('a.txt'))\n"
    work += f"subprocess.Popen([sys.executable, '-c', {child!r}, path], start_new_session=True)\n"
    # It holds the interpreter's lock, so that no thread of the kernel can notice anything.
    work += "ctypes.PyDLL(None).sleep(600)"
    tiny.notebook("hangs", work=work)
    tiny.notebook("next", work="1")
    process = tiny.start("run", "hangs")
    wait_until(lambda: any(path.stat().st_size for path in tiny.root.glob("runs/.partial/*/outputs/a.txt")))
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert tiny.kernels()
    assert tiny.samebook("run", "next").code == 0
    assert not tiny.kernels()
    (failed,) = tiny.root.glob("runs/*-hangs-*/outputs/a.txt")
    size = failed.stat().st_size
    time.sleep(0.5)
    assert (failed.stat().st_size, list(tiny.root.glob("runs/.partial/*-hangs-*"))) == (size, [])
    assert not (failed.parents[1] / ".kernel").exists()


def test_noisy_notebook_stops(tiny: Tiny) -> None:
    """A notebook that prints without end is stopped as well, and shows no traceback."""
    tiny.notebook("noisy", work="while True:\n    print('x' * 60)")
    process = running(tiny, "noisy")
    os.killpg(process.pid, signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert "Traceback" not in stderr


def test_ignored_for_a_moment() -> None:
    """Signals in the block have no effect, in a process that it starts neither; after it they have."""
    with signals.as_errors(), signals.ignored():
        os.kill(os.getpid(), signal.SIGTERM)
        assert subprocess.run(["sh", "-c", "kill -INT $$; exit 7"], check=False).returncode == 7
    with pytest.raises(Interrupted), signals.as_errors():
        os.kill(os.getpid(), signal.SIGTERM)


def test_nested_run_stops(tiny: Tiny) -> None:
    """Stopping a run also stops the run that it waits for, which the next run keeps as failed."""
    (tiny.root / "environments" / "dev.yml").write_text("datasets:\n  flights: {made_by: ingest}\n")
    day = "datetime.date(2013, 1, 1)"
    tiny.notebook("ingest", parameters=f"import datetime\nstart = {day}\nend = {day}", work=SLEEPS)
    tiny.notebook("train", work=f"import datetime, samebook\nsamebook.read_dataset('flights', {day}, {day})")
    process = running(tiny, "train")
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    wait_until(lambda: not tiny.kernels())
    tiny.notebook("next", work="1")
    assert tiny.samebook("run", "next").code == 0
    assert [(run / "error.txt").is_file() for run in tiny.runs] == [True, True, False]


def test_killed_run_recovered(tiny: Tiny) -> None:
    """The kernel of a killed runner ends by itself, and the next run keeps its folder as a failed run."""
    tiny.notebook("sleeps", work=SLEEPS)
    tiny.notebook("next", work="1")
    process = running(tiny, "sleeps")
    process.kill()
    process.communicate(timeout=PATIENCE)
    wait_until(lambda: not tiny.kernels())
    assert len(tiny.unfinished) == 1
    assert tiny.samebook("run", "next").code == 0
    runs = json.loads(tiny.samebook("runs", "--json").stdout)
    assert {(run["notebook"], run["status"]) for run in runs} == {("sleeps", "failed"), ("next", "done")}
    assert "the runner was killed" in next(run["error"] for run in runs if run["status"] == "failed")
