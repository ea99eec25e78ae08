"""The end of warm kernels and of what keeps them: none outlives the process that started it, and runs go on cold."""

import os
import signal

import pytest
from test_warm import ALL, TRAIN, ran, start, warm
from tiny import PATIENCE, Tiny, wait_until


@pytest.fixture
def tiny(tiny: Tiny) -> Tiny:
    tiny.notebook("train", parameters="n: int = 1", imports=ALL, work=TRAIN)
    return tiny


def test_kernel_killed(tiny: Tiny) -> None:
    """A warm kernel that dies is reported as any other, and the next run has a warm one again."""
    tiny.notebook("dies", imports=ALL, work="os.kill(os.getpid(), 9)")
    with warm(tiny, "dies"):
        assert [tiny.samebook("run", "dies").code for _ in range(2)] == [138, 138]


def test_failed_cell(tiny: Tiny) -> None:
    """A warm kernel's cell that fails without a word of its own fails the run, and its process's end is told."""
    (tiny.root / "notebooks" / "raises.py").write_text("raise RuntimeError('in script')")
    tiny.notebook("script", imports="import os", work="%run raises.py", after="print('went on')")
    tiny.notebook("dies", imports="import os", work="os.kill(os.getpid(), 11)")
    tiny.notebook("ends_well", imports="import os")
    with warm(tiny, "script"):
        assert start(ran(tiny, "ends_well")) == "warm"
        script, dies = (tiny.samebook("run", name) for name in ("script", "dies"))
        assert (script.code, dies.code) == (1, 138)
    assert "cell `work` (2 of 3) raised RuntimeError: in script" in script.stderr
    assert "in cell `work`: its process ended with signal 11 (SIGSEGV)" in dies.stderr
    assert [run.parent.name.split("-")[1] for run in tiny.root.glob("runs/*/receipt.json")] == ["ends_well"]


def test_time_limit(tiny: Tiny) -> None:
    """A cell over its time limit is interrupted in a warm kernel too, and what it has printed is kept."""
    tiny.notebook("slow", imports=ALL, work="import time\nprint('so far', flush=True)\ntime.sleep(600)")
    with warm(tiny, "slow"):
        ended = tiny.samebook("run", "slow", "--timeout", "2")
    assert ended.code == 1
    assert "ran over its time limit of 2 s" in ended.stderr
    assert "so far" in (tiny.last / "notebook.ipynb").read_text()


@pytest.mark.parametrize("victim", ["runner", "zygote"])
def test_nothing_outlives_a_kill(victim: str, tiny: Tiny) -> None:
    """When the runner or the zygote is killed, the kernel ends; a run that starts afterwards is complete."""
    tiny.notebook("sleeps", imports=ALL, work="import samebook, time\nprint('asleep', flush=True)\ntime.sleep(600)")
    with warm(tiny, "sleeps") as keeper:
        runner = tiny.start("run", "sleeps")
        wait_until(lambda: any('"printed"' in log.read_text() for log in tiny.root.glob("runs/.partial/*/run.log")))
        before = set(tiny.kernels())
        (runner if victim == "runner" else keeper).kill()
        runner.communicate(timeout=PATIENCE)
        kept = 2 if victim == "runner" else 0  # the zygotes of kernels and of runners
        wait_until(lambda: len(before & set(tiny.kernels())) <= kept)
        # The other notebook imports the same: while that is kept, its kernel is warm.
        assert start(ran(tiny)) == ("warm" if victim == "runner" else "cold")


def test_ends_by_itself(tiny: Tiny) -> None:
    """Without a run for long it ends, its socket is gone, and runs start cold."""
    process = tiny.start("warm", "train", "--idle", "1s")
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "nothing has run for a while: over" in stderr
    assert list((tiny.root / "runs").glob(".warm/*")) == []


def test_waits_for_runs(tiny: Tiny) -> None:
    """On SIGTERM it lets the run in hand end first."""
    tiny.notebook("sleeps", imports=ALL, work="import time\nprint('asleep', flush=True)\ntime.sleep(4)")
    with warm(tiny, "sleeps") as keeper:
        runner = tiny.start("run", "sleeps")
        wait_until(lambda: any('"printed"' in log.read_text() for log in tiny.root.glob("runs/.partial/*/run.log")))
        keeper.terminate()
        assert runner.wait(PATIENCE) == 0
        assert keeper.wait(PATIENCE) == 143


def test_limit(tiny: Tiny) -> None:
    """A text that is not a time is refused."""
    ended = tiny.samebook("warm", "train", "--idle", "soon")
    assert ended.code == 2
    assert "expected a time, like 15m" in ended.stderr


def test_one_is_enough(tiny: Tiny) -> None:
    """Of two that are started at once for the same notebook one is refused."""
    both = [tiny.start("warm", "train"), tiny.start("warm", "train")]
    wait_until(lambda: any(process.poll() is not None for process in both))
    (refused,) = [process for process in both if process.poll() is not None]
    assert "train is warm already" in refused.communicate()[1]
    both.remove(refused)
    wait_until(lambda: len(list((tiny.root / "runs").glob(".warm/*"))) == 2)
    assert start(ran(tiny)) == "warm"
    both[0].terminate()
    assert both[0].wait(PATIENCE) == 143


def test_all_are_killed(tiny: Tiny) -> None:
    """When its zygotes and their parent are killed at once, runs start cold, and it can be warm again."""
    with warm(tiny) as keeper:
        for pid in (*tiny.kernels(), keeper.pid):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not tiny.kernels())
        assert start(ran(tiny)) == "cold"
    (tiny.root / "runs" / ".warm" / ("0" * 24)).write_text("/tmp/gone")
    with warm(tiny):
        assert len(list((tiny.root / "runs" / ".warm").iterdir())) == 2
        assert start(ran(tiny)) == "warm"
