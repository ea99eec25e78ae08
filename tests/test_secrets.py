"""Secrets in real runs: canaries go every way out of a notebook, and all that is left is searched for them."""

import base64
import copy
import gzip
import html
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from urllib.parse import quote

import pytest
from tiny import PATIENCE, Result, Tiny, wait_until
from webhook import serving

from samebook.core.errors import UsageError
from samebook.core.secret import Secret
from samebook.core.workspace import Workspace
from samebook.pipelines import executor, notices
from samebook.pipelines.step_program import Job
from samebook.records import run_folder

pytestmark = pytest.mark.secrets

SECRET = "s3cr3t-'quoted'&tök€n"
PARAMETERS = 'from samebook import Secret\ntoken: str = Secret("API_TOKEN")'
WAYS_OUT = """
import samebook, logging, os, subprocess, sys, warnings
from IPython.display import HTML, display
print(token); print([token + '']); warnings.warn(token); display(HTML(token)); display({'a': token})
samebook.log_param('token', token); samebook.log_metric(f'length of {token}', len(token))
subprocess.run(['echo', token]); subprocess.run(['sh', '-c', 'echo "$API_TOKEN" >&2; sleep 2', token])
os.write(1, token.encode() + b'\\n'); print(token, file=sys.__stderr__, flush=True)

import base64, html, pandas, pathlib
from urllib.parse import quote
content = token.encode()
print(base64.b64encode(content), base64.b64encode(b'x:' + content), content.hex())
print(html.escape(token), quote(token))
pandas.set_option('display.max_colwidth', 16)
display(pandas.DataFrame({'token': [token], token: 1}))
display({'application/json': {'name': token, 'id': token, token: {'sha256': token, '_type': [token]}}}, raw=True)
samebook.log_param('name', {'sha256': token, token: 'x'})
samebook.api.context.note(f'waiting for {token}')
beside = pathlib.Path(os.environ['TMPDIR'], f'{token}.txt'); beside.write_text('x'); beside.read_text()
"""


def forms(secret: str) -> set[bytes]:
    """The forms in which a search finds a secret: as it is, quoted, escaped and encoded."""
    quoted = {json.dumps(secret)[1:-1], repr(secret)[1:-1], html.escape(secret), quote(secret), quote(secret, "")}
    encoded = {base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()}
    texts = {secret, secret.replace("&", "&amp;"), *quoted, *encoded}
    return {text.encode() for text in texts} | {secret.encode("utf-16-le")}


def with_secret(*folders: Path) -> list[str]:
    """The files below these folders that hold the secret in their bytes, packed bytes or path."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(form in _content(path) for form in forms(SECRET))]


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return bytes(path) + (gzip.decompress(content) if path.suffix == ".gz" else content)


@dataclass
class Seen:
    """What the lists of processes have shown: the programs with the secret among their arguments, and the variables
    that held it.
    """

    programs: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)


@contextmanager
def watched_processes() -> Iterator[Seen]:
    """What of the secret is seen in /proc while the block runs, as `ps` would show it to anybody, and `ps e` to the
    user of the process.
    """
    seen, ended = Seen(), threading.Event()

    def holds(content: bytes) -> bool:
        return any(form in content for form in forms(SECRET))

    def watch() -> None:
        own = Path(f"/proc/{os.getpid()}")
        while not ended.wait(0.02):
            for process in set(Path("/proc").glob("[0-9]*")) - {own}:
                with suppress(OSError):  # it has just ended
                    if holds((process / "cmdline").read_bytes()):
                        seen.programs.add((process / "comm").read_text().strip())
                    pairs = (process / "environ").read_bytes().split(b"\0")
                    seen.variables |= {pair.partition(b"=")[0].decode() for pair in pairs if holds(pair)}

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


# The programs to which the notebook itself hands its secret.
ITS_OWN = {"echo", "sh"}


@pytest.fixture(scope="module")
def leaky_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, Result, Seen]:
    """A run that writes its secret in every way that a notebook has, and what was seen of its processes."""
    tiny = Tiny.create(tmp_path_factory.mktemp("leaky") / "workspace")
    tiny.notebook("tells", parameters=PARAMETERS, work=WAYS_OUT, last="token + ''")
    outside = tmp_path_factory.mktemp("outside")
    with watched_processes() as seen:
        return tiny, tiny.samebook("run", "tells", "--verbose", API_TOKEN=SECRET, TMPDIR=str(outside)), seen


def test_secret_not_in_arguments(leaky_run: tuple[Tiny, Result, Seen]) -> None:
    """No process has the secret among its arguments, which every user of the machine sees, but the notebook's own; and
    none has it in a variable but under its name.
    """
    _, _, seen = leaky_run
    assert seen.programs <= ITS_OWN
    assert seen.variables == {"API_TOKEN"}


def test_secret_not_shown(leaky_run: tuple[Tiny, Result, Seen]) -> None:
    """The output of a notebook and its children is shown with its secrets redacted, and stdout has only the folder."""
    tiny, ended, _ = leaky_run
    assert ended.code == 0, ended.stderr
    assert "[redacted API_TOKEN]" in ended.stderr
    assert not any(form in (ended.stdout + ended.stderr).encode() for form in forms(SECRET))
    assert ended.stdout.partition("  ")[0] == f"runs/{tiny.last.name}"


def test_secret_not_kept(leaky_run: tuple[Tiny, Result, Seen]) -> None:
    """No file of a run, and none of the store, holds the secret: notebook, page, log, receipt, metrics."""
    tiny, _, _ = leaky_run
    assert with_secret(tiny.root) == []
    for name in ("notebook.ipynb", "notebook.html", "run.log", "receipt.json", "metrics.json"):
        assert "[redacted API_TOKEN]" in (tiny.last / name).read_text(), name


def test_secret_not_in_error(tiny: Tiny) -> None:
    """An error that holds the secret is shown and kept without it."""
    tiny.notebook("fails", parameters=PARAMETERS, work="raise ValueError(f'refused: {token}')")
    ended = tiny.samebook("run", "fails", API_TOKEN=SECRET)
    assert ended.code == 1
    assert "ValueError: refused: [redacted API_TOKEN]" in ended.stderr
    assert SECRET not in ended.stderr
    assert with_secret(tiny.root) == []


def test_secret_is_pickled_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle of a secret, as one that is sent to a worker, has its name, by which it is read again; so has a copy."""
    monkeypatch.setenv("API_TOKEN", SECRET)
    packed = bytes(ForkingPickler.dumps({"token": Secret("API_TOKEN")}))
    assert not any(form in packed for form in forms(SECRET))
    copies = (ForkingPickler.loads(packed)["token"], copy.deepcopy(Secret("API_TOKEN")))
    assert [(item, item.name) for item in copies] == [(SECRET, "API_TOKEN")] * 2
    monkeypatch.delenv("API_TOKEN")
    with pytest.raises(UsageError, match="the secret API_TOKEN is not set"):
        ForkingPickler.loads(packed)


def test_secret_refused_in_outputs(tiny: Tiny) -> None:
    """A file with a secret among the outputs fails the run: bytes can't be redacted without changing them."""
    tiny.notebook(
        "writes", parameters=PARAMETERS, work="import samebook\nsamebook.output_path('plots/a.txt').write_text(token)"
    )
    ended = tiny.samebook("run", "writes", API_TOKEN=SECRET)
    assert ended.code == 6
    assert "outputs/plots/a.txt holds a secret: [redacted API_TOKEN]" in ended.stderr
    assert not (tiny.last / "receipt.json").exists()


def test_secret_refused_beside_outputs(tiny: Tiny) -> None:
    """A file with a secret that a notebook writes into the folder of its run, past its outputs, ends the run too."""
    work = "import os, pathlib\nrun = pathlib.Path(os.environ['SAMEBOOK_RUN'])\n(run / 'debug').mkdir()\n"
    work += "(run / 'debug' / 'a.txt').write_text(token)\n(run / 'b.txt').write_text('well')"
    tiny.notebook("writes", parameters=PARAMETERS, work=work)
    ended = tiny.samebook("run", "writes", API_TOKEN=SECRET)
    assert (ended.code, "debug/a.txt holds a secret: [redacted API_TOKEN]" in ended.stderr) == (6, True)
    assert (with_secret(tiny.root), (tiny.last / "b.txt").read_text()) == ([], "well")


@pytest.mark.parametrize("name", ["error.txt", "run.log"])
def test_secret_refused_under_a_name_of_samebooks(tiny: Tiny, name: str) -> None:
    """What a notebook adds to the log, or writes as an error, in the clear ends the run as any file does."""
    work = f"import os, pathlib\nwith (pathlib.Path(os.environ['SAMEBOOK_RUN']) / {name!r}).open('a') as file:\n"
    tiny.notebook("writes", parameters=PARAMETERS, work=f"{work}    file.write(token)")
    ended = tiny.samebook("run", "writes", API_TOKEN=SECRET)
    assert (ended.code, f"{name} holds a secret: [redacted API_TOKEN]" in ended.stderr) == (6, True)
    assert with_secret(tiny.root) == []


def test_cluster_key_not_shown(tiny: Tiny) -> None:
    """The key of the checkout's cluster is redacted, line by line, and not the first line that all keys have."""
    key = tiny.root / ".samebook" / "cluster" / "key.pem"
    key.parent.mkdir(parents=True)
    key.write_text(
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----\n"
    )
    work = "print(open('../.samebook/cluster/key.pem').read().splitlines()[1:3], '-----BEGIN PRIVATE KEY-----')"
    tiny.notebook("tells", work=work)
    ended = tiny.samebook("run", "tells", "--verbose")
    shown = "['[redacted CLUSTER_KEY]', '[redacted CLUSTER_KEY]'] -----BEGIN PRIVATE KEY-----"
    assert (ended.code, shown in ended.stderr) == (0, True)
    assert "MIGHAgEAMBMGByqGSM49" not in (tiny.last / "notebook.ipynb").read_text()


def test_unnamed_secrets_not_shown(tmp_path: Path) -> None:
    """What a kernel gets unasked and holds a secret is redacted as well: a proxy's password, the keys of a store, the
    secrets of notebooks that make its datasets.
    """
    settings = "datasets: {rows: {made_by: makes}}\nstore: {url: s3://bucket/rows}\n"
    tiny = Tiny.create(tmp_path / "workspace", settings)
    tiny.notebook("makes", parameters=PARAMETERS)
    tiny.notebook("tells", work="import os\nprint(dict(os.environ))\nprint('canary-of-a-proxy')")
    secrets = {"AWS_SECRET_ACCESS_KEY": "canary-of-a-store", "HTTPS_PROXY": "http://joe:canary-of-a-proxy@proxy:3128"}
    ended = tiny.samebook("run", "tells", "--verbose", API_TOKEN="canary-of-a-maker", **secrets)
    assert (ended.code, "canary" in ended.stderr, "proxy:3128" in ended.stderr) == (0, False, False)
    assert "canary" not in (tiny.last / "notebook.ipynb").read_text()
    for name in ("API_TOKEN", *secrets):
        assert f"[redacted {name}]" in (tiny.last / "notebook.ipynb").read_text()


PIPELINE = "steps: {orphan: {}}\n"
NOTIFY = "datasets: {}\nnotify: {webhook: HOOK, on: [failure]}\n"


def test_secret_not_told_by_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step whose runner is killed in the midst of its printing tells the pipeline, the story and the webhook nothing.

    Of its outputs those with the secret go when the run is recovered.
    """
    tiny = Tiny.create(tmp_path / "workspace", NOTIFY)
    work = "import os, samebook\nsamebook.output_path('a.bin').write_bytes(token.encode('utf-16'))\n"
    work += "samebook.output_path('b.txt').write_text('well')\nos.kill(os.getppid(), 9)\n" + WAYS_OUT
    tiny.notebook("orphan", parameters=PARAMETERS, work=work)
    (tiny.root / "environments" / "pipelines").mkdir()
    (tiny.root / "environments" / "pipelines" / "daily.yml").write_text(PIPELINE)
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    monkeypatch.setenv("API_TOKEN", SECRET)
    workspace = Workspace(tiny.root)
    with serving(204) as hook, watched_processes() as seen:
        monkeypatch.setenv("HOOK", hook.url)
        outcomes = executor.execute(executor.prepare(Job(workspace, "daily", {})))
        assert notices.wait(PATIENCE)
        wait_until(lambda: not tiny.kernels())
    assert seen.programs <= ITS_OWN
    assert seen.variables <= {"API_TOKEN"}
    assert (outcomes[0].state, outcomes[0].code) == (executor.State.FAILED, -9)
    run_folder.recover(workspace)
    assert not any(form in f"{outcomes} {hook.got}".encode() for form in forms(SECRET))
    assert (hook.got[0][1]["kind"], with_secret(tiny.root)) == ("failure", [])
    assert [path.name for path in tiny.last.glob("outputs/*")] == ["b.txt"]
