"""Programs that sign: forked, so that no process of the same user gets the key from them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from samebook.core import file_lock, processes

pytestmark = [
    pytest.mark.secrets,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux can hide a process from others of its user"),
]

KEY = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n"
# A command that has the key and starts programs; in place of samebook's own main they run `main`.
HOLDER = """
import ctypes, os, sys, time, types
from pathlib import Path
from samebook.core import processes, signing_key, signing_programs
signing_key.take()
{main}
sys.modules["samebook.__main__"] = types.SimpleNamespace(main=main)
signing_programs.serve()
here = Path(sys.argv[1])
def call(*arguments, locks=()):
    return processes.Processes().call([*signing_programs.SAMEBOOK, *arguments], here, {{"A": "1"}}, locks)
{body}
"""
# A process of the same user that reads whatever pipe it can open of this test's other processes.
THIEF = """
import os, time
from pathlib import Path
end = time.monotonic() + 60
def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
def is_of_the_test(pid):
    while pid > 1:
        if (pid := parent(pid)) == os.getppid():
            return True
    return False
def content(path):
    try:
        if os.readlink(path).startswith("pipe:"):
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                return os.read(number, 4096)
            finally:
                os.close(number)
    except OSError:
        pass
    return b""
print("ready", flush=True)
while time.monotonic() < end:
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if (pid := int(folder.parts[2])) != os.getpid() and is_of_the_test(pid):
                if any(b"Y2FuYXJ5" in content(path) for path in reversed(sorted(folder.iterdir()))):
                    print("stolen", flush=True)
                    raise SystemExit
        except OSError:
            pass
"""


def unprivileged(*command: str) -> list[str]:
    """The command as a plain user's: without the capabilities by which root may look into everything."""
    drop = ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
    return [*(drop if os.getuid() == 0 else []), *command]


def held(here: Path, main: str, body: str) -> list[str]:
    """The command of a holder of the key."""
    return unprivileged(sys.executable, "-c", HOLDER.format(main=main, body=body), str(here))


def environ(here: Path) -> dict[str, str]:
    """The variables of a holder of the key."""
    (here / "me.pem").write_text(KEY)
    return {**os.environ, "SIGNING_KEY": str(here / "me.pem")}


def printed(here: Path, main: str, body: str) -> str:
    """The output of a holder of the key."""
    return subprocess.check_output(held(here, main, body), env=environ(here), text=True, timeout=60)


def test_program_is_like_a_new_one(tmp_path: Path) -> None:
    """A program has its own arguments, folder, variables, output, errors and exit code."""
    main = """
def main():
    print(sys.argv, os.environ["A"], Path.cwd().name, len(os.environ), sys.stdin.read() == "")
    print("bad", file=sys.stderr)
    sys.exit(int(sys.argv[1]))
"""
    said = printed(tmp_path, main, "for code in '05': print(*vars(call(code, 'x')).values(), sep='')").splitlines()
    expected = [[f"{code}['samebook', '{code}', 'x'] 1 {tmp_path.name} 2 True", "bad", ""] for code in (0, 5)]
    assert said == [line for lines in expected for line in lines]


def test_program_has_the_key_from_its_first_line(tmp_path: Path) -> None:
    """A program has the key in memory, its variables don't name it, and nobody may look inside."""
    main = """
def main():
    is_dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    print(signing_key.current().content.split()[3].decode(), "SIGNING_KEY" in os.environ, is_dumpable)
"""
    assert printed(tmp_path, main, "print(call().stdout)").strip() == "Y2FuYXJ5 False 0"


@pytest.fixture
def thief() -> Iterator["subprocess.Popen[str]"]:
    """A process of this user that looks for a key."""
    with subprocess.Popen(unprivileged(sys.executable, "-c", THIEF), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def has_stolen(thief: "subprocess.Popen[str]") -> bool:
    """Whether the thief has found the key; ends it."""
    with suppress(subprocess.TimeoutExpired):
        thief.wait(1)
    thief.kill()
    return thief.communicate()[0] == "stolen\n"


def test_nobody_takes_the_key(tmp_path: Path, thief: "subprocess.Popen[str]") -> None:
    """A process that a notebook has left behind can't take the key while the programs of later steps start."""
    main = "def main(): time.sleep(0.05)"
    printed(tmp_path, main, "for _ in range(20): assert call().exit_code == 0")
    assert not has_stolen(thief)


def test_thief_would_take_it_from_a_pipe(tmp_path: Path, thief: "subprocess.Popen[str]") -> None:
    """The same process takes a key that a new program has in a pipe: the test above can fail."""
    (tmp_path / "Makefile").write_text("all:\n\t@sleep 0.2; cat $$SIGNING_KEY >/dev/null\n")
    make = "for _ in range(20): processes.Processes().call(['make'], here, dict(os.environ))"
    printed(tmp_path, "def main(): pass", make)
    assert has_stolen(thief)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_program_ends_with_its_command(tmp_path: Path, signum: int) -> None:
    """A program ends with the command that started it, however that one ends."""
    main = """
def main():
    processes.end_with_parent()
    Path(os.path.expanduser(sys.argv[1])).write_text(str(os.getpid()))
    time.sleep(60)
"""
    body = f"call('{tmp_path}/pid')"
    with subprocess.Popen(held(tmp_path, main, body), env=environ(tmp_path)) as process:
        pid = int(waited(tmp_path / "pid"))
        process.send_signal(signum)
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)


def waited(path: Path) -> str:
    """The text of a file, once there is one."""
    deadline = time.monotonic() + 30
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    with suppress(OSError):
        return processes.stat(pid)[1][processes.STATE] not in "ZX"
    return False


def test_programs_are_stopped(tmp_path: Path) -> None:
    """A command stops its programs by SIGTERM, also those that have hardly begun."""
    main = "def main(): time.sleep(60)"
    body = """
import threading
programs = processes.Processes()
command, results = [*signing_programs.SAMEBOOK], []
threads = [threading.Thread(target=lambda: results.append(programs.call(command, here, {}))) for _ in range(4)]
[thread.start() for thread in threads]
while len(programs._running) < 4: time.sleep(0.001)
programs.stop()
[thread.join() for thread in threads]
print(*sorted({result.exit_code for result in results}))
"""
    started = time.monotonic()
    assert set(printed(tmp_path, main, body).split()) <= {"-15", "-9"}
    assert time.monotonic() - started < processes.PATIENCE


def test_program_holds_the_lock(tmp_path: Path) -> None:
    """A program holds the lock of its step, also once the command that started it was killed."""
    main = """
def main():
    Path("began").write_text("1")
    time.sleep(3)
"""
    body = "call(locks=(int(sys.argv[2]),))"
    handle = file_lock.acquire(tmp_path / "lock", wait=False)
    assert handle is not None
    command = [*held(tmp_path, main, body), str(handle)]
    with subprocess.Popen(command, env=environ(tmp_path), pass_fds=[handle]) as process:
        os.close(handle)
        waited(tmp_path / "began")
        process.kill()
    assert file_lock.acquire(tmp_path / "lock", wait=False) is None


def test_output_is_whole(tmp_path: Path) -> None:
    """More than a pipe holds comes whole from both outputs, also from a child that opens them by name; what
    outlives the program is not waited for.
    """
    main = """
def main():
    import subprocess
    print("a" * 300_000, flush=True)
    print("b" * 300_000, file=sys.stderr, flush=True)
    subprocess.run("echo c >/dev/stderr; echo d >/dev/stdout", shell=True)
    subprocess.Popen(["sleep", "30"])
"""
    body = "result = call(); print(len(result.stdout), len(result.stderr), result.stdout[-2:], result.stderr[-2:])"
    started = time.monotonic()
    assert printed(tmp_path, main, body).split() == ["300003", "300003", "d", "c"]
    assert time.monotonic() - started < 20


NO_FORK = """
top, fork = os.getpid(), os.fork
def refused():
    if os.getpid() != top:
        raise BlockingIOError(11, "too many processes")
    return fork()
os.fork = refused
def main(): pass
"""
KILLED = """
(pid,) = map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
os.kill(pid, 9)
"""


@pytest.mark.parametrize(("main", "harm"), [(NO_FORK, ""), ("def main(): pass", KILLED)])
def test_server_that_does_not_fork(tmp_path: Path, main: str, harm: str) -> None:
    """Where no program can be started, the command says so, and goes on with its other work."""
    body = f"""
from samebook.core.errors import SamebookError
{harm}
for _ in range(2):
    try:
        call()
    except SamebookError as error:
        print(str(error).partition(":")[0])
"""
    assert printed(tmp_path, main, body) == "no program that signs can be started\n" * 2


@pytest.mark.parametrize(
    "change", ["added.write_text('')", "edited.write_text('b = 1'); os.utime(edited, ns=(0, 0))", "edited.unlink()"]
)
def test_changed_code_is_not_mixed(tmp_path: Path, change: str) -> None:
    """Where samebook's files have changed since the command began, programs would be a mixture: they are refused, also
    where an edited file has its size and time of writing as before.
    """
    (tmp_path / "edited.py").write_text("a = 1")
    os.utime(tmp_path / "edited.py", ns=(0, 0))
    body = f"""
import os
from samebook.core.errors import SamebookError
added, edited = here / "added.py", here / "edited.py"
call()
{change}
try:
    call()
except SamebookError as error:
    print(error)
"""
    main = """
from samebook.core import code
def main(): pass
found, here = code.files(), Path(sys.argv[1])
code.files = lambda: [*found, *sorted(here.glob("*.py"))]
"""
    said = "samebook's own files have changed since this command began\n"
    assert printed(tmp_path, main, body) == said
