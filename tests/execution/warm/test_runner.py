"""Warm runners: what a run does, says and leaves is the same, and signals and kills reach it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import psutil
import pytest
from test_warm import start, subjects, warm
from tiny import Result, Tiny, wait_until

from samebook import __main__
from samebook.cli import main
from samebook.core.workspace import Workspace
from samebook.execution.warm import runner as runners

SLEEP = "import time\nprint('asleep', flush=True)\ntime.sleep(60)"


@pytest.fixture
def tiny(tiny: Tiny) -> Iterator[Tiny]:
    """A workspace in which `work` is warm; it prints, sleeps, fails, or counts."""
    tiny.notebook(
        "work",
        parameters="what: str = 'count'",
        imports="import json, samebook",
        sleep=f"if what == 'sleep':\n    {SLEEP.replace(chr(10), chr(10) + '    ')}",
        fail="if what == 'fail':\n    1 / 0",
        count="samebook.log_metric('n', 3.0)",
    )
    with warm(tiny, "work"):
        yield tiny


def forked(tiny: Tiny) -> list[psutil.Process]:
    """The runners that work right now: children of the process that has what they import."""
    (keeper,) = [each for each in psutil.process_iter() if is_of(each, tiny)]
    return keeper.children()


def is_of(process: psutil.Process, tiny: Tiny) -> bool:
    try:
        command = process.cmdline()
        if command[-1:] != ["samebook.cli.ready"] or process.cwd() != str(tiny.root):
            return False
        parent = process.parent()
        return parent is not None and "samebook.cli.ready" not in parent.cmdline()
    except psutil.Error:
        return False


def sleeping(tiny: Tiny) -> subprocess.Popen[str]:
    """`samebook run work`, once its cell sleeps in a kernel of a warm runner."""
    client = tiny.start("run", "work", "-p", "what=sleep")
    wait_until(lambda: any('"printed"' in log.read_text() for log in tiny.root.glob("runs/.partial/*/run.log")))
    assert len(forked(tiny)) == 1
    return client


def without(tiny: Tiny, *arguments: str) -> Result:
    """The same call with everything cold: the variable's value is one that modules may look at."""
    return tiny.samebook(*arguments, LANGUAGE="de")


def test_same_words_codes_and_results(tiny: Tiny) -> None:
    """A run that goes well, one that fails and one that is refused say what they say in a process of their own."""
    for arguments, code in (((), 0), (("-p", "what=fail"), 1), (("-p", "wat=fail"), 2), (("--timeout", "x"), 2)):
        handed, own = tiny.samebook("run", "work", *arguments), without(tiny, "run", "work", *arguments)
        assert (handed.code, own.code) == (code, code)
        assert len(handed.stdout.splitlines()) == len(own.stdout.splitlines())
        assert handed.stderr.splitlines()[-1][:20] == own.stderr.splitlines()[-1][:20]
    done = [run for run in tiny.runs if (run / "receipt.json").is_file()]
    first, second = sorted(done, key=lambda run: (run / "receipt.json").stat().st_mtime_ns)
    assert (start(first), start(second)) == ("warm", "cold")
    assert subjects(first) == subjects(second)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_are_handed_on(signum: signal.Signals, code: int, tiny: Tiny) -> None:
    """Ctrl-C and SIGTERM end the run as they end any other, and nothing stays."""
    client = sleeping(tiny)
    client.send_signal(signum)
    assert client.wait(20) == code
    assert not forked(tiny)
    assert list((tiny.root / "runs" / ".partial").glob("*-*")) == []
    assert (tiny.last / "error.txt").is_file()


def test_stopped_by_the_terminal(tiny: Tiny) -> None:
    """Ctrl-Z stops the run, and `fg` lets it go on."""
    client = sleeping(tiny)
    (runner,) = forked(tiny)
    client.send_signal(signal.SIGTSTP)
    wait_until(lambda: {psutil.Process(client.pid).status(), runner.status()} == {psutil.STATUS_STOPPED})
    client.send_signal(signal.SIGCONT)
    wait_until(lambda: psutil.STATUS_STOPPED not in {psutil.Process(client.pid).status(), runner.status()})
    client.send_signal(signal.SIGTERM)
    assert client.wait(20) == 143


def test_large_environment(tiny: Tiny) -> None:
    """A runner is asked for with all variables, however much they hold."""
    large = {f"SSH_LARGE_{n}": "x" * 100_000 for n in range(10)}
    assert tiny.samebook("run", "work", **large).code == 0
    assert start(tiny.last) == "warm"


def test_nothing_outlives_who_asked(tiny: Tiny) -> None:
    """Whoever asked is killed: its runner and its kernel end; the next run keeps what there was as failed."""
    client = sleeping(tiny)
    client.kill()
    client.communicate(timeout=20)
    wait_until(lambda: not forked(tiny))
    assert tiny.samebook("run", "work").code == 0
    failed, done = sorted(tiny.runs, key=lambda run: (run / "receipt.json").is_file())
    assert "killed" in (failed / "error.txt").read_text()
    assert (done / "receipt.json").is_file()


def test_killed_runner_is_told(tiny: Tiny) -> None:
    """A runner that is killed, for lack of memory, ends with the code of that signal, and others run on."""
    client, other = sleeping(tiny), tiny.start("run", "work")
    assert other.wait(60) == 0
    forked(tiny)[0].kill()
    assert client.wait(20) == 128 + signal.SIGKILL
    assert tiny.samebook("run", "work").code == 0


def test_several_at_once(tiny: Tiny) -> None:
    """Four runs at once have a runner each, and the same results."""
    clients = [tiny.start("run", "work") for _ in range(4)]
    assert [client.wait(60) for client in clients] == [0] * 4
    assert [start(run) for run in tiny.runs] == ["warm"] * 4
    assert len({str(subjects(run)) for run in tiny.runs}) == 1


def test_other_code_or_packages_mean_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an edit of samebook, or with another package, no old runner is found any more."""
    package = tmp_path / "samebook"
    packages = tmp_path / "site-packages"
    (packages / "one-1.0.dist-info").mkdir(parents=True)
    (package / "wing").mkdir(parents=True)
    (package / "wing" / "module.py").write_text("")
    monkeypatch.setattr("samebook.core.code.FOLDER", package)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(packages))
    found = [runners.kind(Workspace(tmp_path)).name for _ in range(2)]
    os.utime(package / "wing" / "module.py", (1, 1))
    found.append(runners.kind(Workspace(tmp_path)).name)
    (packages / "two-1.0.dist-info").mkdir()
    found.append(runners.kind(Workspace(tmp_path)).name)
    monkeypatch.setenv("LANGUAGE", "de")
    found.append(runners.kind(Workspace(tmp_path)).name)
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_every_option_is_known() -> None:
    """What takes a value on the command line of `run` is what is looked for there before the commands are imported."""
    options = [each for each in main.cli.commands["run"].params if isinstance(each, click.Option) and not each.is_flag]
    assert {name for each in options for name in each.opts} == __main__.WITH_VALUE | {"--receipt"}
    assert __main__.named(["--env", "prod", "-p", "n=1", "-v", "--", "train"]) == "train"
    assert __main__.named(["--timeout", "3", "train", "--params", "a=b"]) == "train"
    assert __main__.named(["--params", "a=b", "-v"]) == ""
