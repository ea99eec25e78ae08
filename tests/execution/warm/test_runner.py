"""Warm runners: a run has the same output, exit code and results, and signals and kills reach it."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import psutil
import pytest
from test_warm import start, subjects, warm
from tiny import PATIENCE, Result, Tiny, wait_until

from samebook import __main__
from samebook.cli import main
from samebook.core.workspace import Workspace
from samebook.execution.warm import runner

SLEEP = "import time\nprint('asleep', flush=True)\ntime.sleep(600)"


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


def runners(tiny: Tiny) -> list[psutil.Process]:
    """The runners at work: the children of the zygote of runners."""
    (zygote,) = [process for process in psutil.process_iter() if is_zygote(process, tiny)]
    return zygote.children()


def is_zygote(process: psutil.Process, tiny: Tiny) -> bool:
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
    assert len(runners(tiny)) == 1
    return client


def cold(tiny: Tiny, *arguments: str) -> Result:
    """The same call with everything cold, because of a variable of the short list, at which modules may look."""
    return tiny.samebook(*arguments, NO_PROXY="a.b")


def test_same_words_codes_and_results(tiny: Tiny) -> None:
    """A complete run, a failed one and a refused one have the output that they have in a process of their own."""
    for arguments, code in (((), 0), (("-p", "what=fail"), 1), (("-p", "wat=fail"), 2), (("--timeout", "x"), 2)):
        warm_run, cold_run = tiny.samebook("run", "work", *arguments), cold(tiny, "run", "work", *arguments)
        assert (warm_run.code, cold_run.code) == (code, code)
        assert len(warm_run.stdout.splitlines()) == len(cold_run.stdout.splitlines())
        assert warm_run.stderr.splitlines()[-1][:20] == cold_run.stderr.splitlines()[-1][:20]
    done = [run for run in tiny.runs if (run / "receipt.json").is_file()]
    first, second = sorted(done, key=lambda run: (run / "receipt.json").stat().st_mtime_ns)
    assert (start(first), start(second)) == ("warm", "cold")
    assert subjects(first) == subjects(second)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_are_forwarded(signum: signal.Signals, code: int, tiny: Tiny) -> None:
    """Ctrl-C and SIGTERM end the run as they end any other, and no runner stays."""
    client = sleeping(tiny)
    client.send_signal(signum)
    assert client.wait(PATIENCE) == code
    assert not runners(tiny)
    assert list((tiny.root / "runs" / ".partial").glob("*-*")) == []
    assert (tiny.last / "error.txt").is_file()


def test_stopped_by_the_terminal(tiny: Tiny) -> None:
    """Ctrl-Z stops the run, and `fg` lets it go on."""
    client = sleeping(tiny)
    (process,) = runners(tiny)
    client.send_signal(signal.SIGTSTP)
    wait_until(lambda: {psutil.Process(client.pid).status(), process.status()} == {psutil.STATUS_STOPPED})
    client.send_signal(signal.SIGCONT)
    wait_until(lambda: psutil.STATUS_STOPPED not in {psutil.Process(client.pid).status(), process.status()})
    client.send_signal(signal.SIGTERM)
    assert client.wait(PATIENCE) == 143


def test_large_environment(tiny: Tiny) -> None:
    """A runner is asked for with all variables, however much they hold."""
    large = {f"SSH_LARGE_{n}": "x" * 100_000 for n in range(10)}
    assert tiny.samebook("run", "work", **large).code == 0
    assert start(tiny.last) == "warm"


def test_nothing_outlives_its_client(tiny: Tiny) -> None:
    """With a client that is killed its runner and its kernel end; the next run keeps the run as failed."""
    client = sleeping(tiny)
    client.kill()
    client.communicate(timeout=PATIENCE)
    wait_until(lambda: not runners(tiny))
    assert tiny.samebook("run", "work").code == 0
    failed, done = sorted(tiny.runs, key=lambda run: (run / "receipt.json").is_file())
    assert "killed" in (failed / "error.txt").read_text()
    assert (done / "receipt.json").is_file()


def test_killed_runner_is_reported(tiny: Tiny) -> None:
    """A runner that is killed, for lack of memory, ends with the code of that signal, and others run on."""
    client, other = sleeping(tiny), tiny.start("run", "work")
    assert other.wait(PATIENCE) == 0
    runners(tiny)[0].kill()
    assert client.wait(PATIENCE) == 128 + signal.SIGKILL
    assert tiny.samebook("run", "work").code == 0


def test_several_at_once(tiny: Tiny) -> None:
    """Four runs at once have a runner each, and the same results."""
    clients = [tiny.start("run", "work") for _ in range(4)]
    assert [client.wait(PATIENCE) for client in clients] == [0] * 4
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
    names = [runner.kind(Workspace(tmp_path)).name for _ in range(2)]
    os.utime(package / "wing" / "module.py", (1, 1))
    names.append(runner.kind(Workspace(tmp_path)).name)
    (packages / "two-1.0.dist-info").mkdir()
    names.append(runner.kind(Workspace(tmp_path)).name)
    monkeypatch.setenv("LANGUAGE", "de")
    names.append(runner.kind(Workspace(tmp_path)).name)
    assert names[0] == names[1]
    assert len(set(names)) == 4


def test_every_option_is_known() -> None:
    """The options of `run` that take a value are those that the program knows before the commands are imported."""
    options = [
        option for option in main.cli.commands["run"].params if isinstance(option, click.Option) and not option.is_flag
    ]
    assert {name for option in options for name in option.opts} == __main__.OPTIONS_WITH_VALUE | {"--receipt"}
    assert __main__.operand(["--env", "prod", "-p", "n=1", "-v", "--", "train"]) == "train"
    assert __main__.operand(["--timeout", "3", "train", "--params", "a=b"]) == "train"
    assert __main__.operand(["--params", "a=b", "-v"]) == ""


@pytest.mark.parametrize(
    ("notebook", "found"),
    [
        ("notebooks/train.ipynb", "notebooks/train.ipynb"),
        ("../train", ""),
        ("/etc/train", ""),
        ("notebooks//etc/train", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_notebook_of_a_receipt(notebook: object, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook that a receipt names is known before the commands are imported; one elsewhere is not touched."""
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps({"predicate": {"buildDefinition": {"externalParameters": {"notebook": notebook}}}}))
    assert __main__.notebook_of(["run", "--receipt", str(path)]) == found
    monkeypatch.setenv("RECEIPT", str(path))
    assert __main__.notebook_of(["make", "run", "--", "RECEIPT", "ENGINE"]) == found
    assert __main__.notebook_of(["run", "--receipt", "/dev/zero"]) == ""
    for text in ("[]", "{", "[" * 100_000):
        path.write_text(text)
        assert __main__.notebook_of(["run", "--receipt", str(path)]) == ""


def test_file_that_is_no_key_starts_cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture in place of the signing key is left to the command, which refuses it with a clear error."""
    (tmp_path / "key.png").write_bytes(b"\x89PNG\r\n\0")
    monkeypatch.setenv("SIGNING_KEY", str(tmp_path / "key.png"))
    monkeypatch.setattr(runner.client, "folder", lambda _: tmp_path)
    assert runner.fork(Workspace(tmp_path), ["run", "work"]) is None
