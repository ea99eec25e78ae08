"""Canaries: a secret in each form goes each way out of a run, cold, warm and in a pipeline, and nothing holds it."""

import bz2
import functools
import gzip
import json
import lzma
import re
import subprocess
import sys
import traceback
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
import test_secrets
from tiny import CHECKOUT, PATIENCE, Result, Tiny, as_from_a_shell, git, of_its_own_make
from webhook import serving

from samebook.core.workspace import Workspace
from samebook.pipelines import executor, notices
from samebook.pipelines.step_program import Job
from samebook.records import canonical
from samebook.redaction.redactor import Redaction

pytestmark = pytest.mark.secrets

SECRET = "s3cr3t <'qu0t3d'>&\"tök€n\" w1th/m0re+0f=it:9876012345\\end"
# Each form as code that makes it of `token`, which a notebook and this test both run.
FORMS = {
    "plain": "str(token)",
    "repr": "repr(token + '')",
    "bytes": "repr(token.encode())",
    "JSON": "json.dumps({'a': token})",
    "JSON in JSON": "json.dumps(json.dumps([token], ensure_ascii=False))",
    "HTML": "html.escape(token)",
    "HTML by names": "token.translate({ord(c): f'&{html.entities.codepoint2name[ord(c)]};' for c in set(token)"
    " if ord(c) in html.entities.codepoint2name})",
    "a URL's path": "quote(token)",
    "a URL's path with slashes": "quote(token, safe='/')",
    "a form": "urlencode({'a': token})",
    "base64": "base64.b64encode(token.encode()).decode()",
    "base64 for URLs, amid others": "base64.urlsafe_b64encode(b'joe:' + token.encode() + b'!').decode()",
    "base64 in lines": "base64.encodebytes(b'x' * 50 + token.encode() + b'y' * 50).decode()",
    "base32": "base64.b32encode(b'x' + token.encode()).decode()",
    "hexadecimal": "token.encode().hex()",
    "cut": "token[:17] + '...'",
    "cut by pandas": "repr(pandas.Series([token]))",
    "folded": "textwrap.fill('words ' * 9 + token, 60)",
    "a mail": "quopri.encodestring(token.encode()).decode()",
    "a name of git": "''.join(chr(b) if 32 <= b < 127 else f'\\\\{b:03o}' for b in token.encode())"
    ".replace('\"', '\\\\\"')",
    "a regular expression": "re.escape(token)",
    "a shell's word": "shlex.quote(token)",
    "in two colours": "f'\\x1b[31m{token[:9]}\\x1b[0m\\x1b[1m{token[9:]}\\x1b[0m'",
}
NAMES = "import base64, html, html.entities, json, pandas, quopri, re, shlex, textwrap\n"
NAMES += "from urllib.parse import quote, urlencode\npandas.set_option('display.max_colwidth', 30)\n"
# Each way out as code that is run for each form, `text`.
WAYS = {
    "stdout and stderr": "print(text); print(text, file=sys.stderr)",
    "a file of its own": "print(text, file=sys.__stderr__, flush=True); os.write(1, text.encode() + b'\\n')",
    "a child": "subprocess.run(['cat'], input=text, text=True, check=True)",
    "a child's arguments": "subprocess.run(['echo', text], check=True)",
    "a fork": "pid = os.fork() or (os.write(2, text.encode() + b'\\n'), os._exit(0)); os.waitpid(pid, 0)",
    "a page": "display(HTML(f'<p title=\"{text}\">')); "
    "display({'image/svg+xml': f'<svg><title>{text}</title></svg>'}, raw=True)",
    "a value": "display({text: [text]}, Markdown(text))",
    "keys of JSON": "display({'application/json': {text: {'sha256': text, 'id': [text]}}}, raw=True, "
    "metadata={'id': text, text: 1})",
    "a type of its own": "display({'text/plain': 'x', 'application/x-own': text}, raw=True)",
    "a widget": "create_comm(target_name='jupyter.widget', data={'state': {'value': text}, text: 1}, "
    "metadata={'version': '2.1.0', 'a': text}).send({'method': 'update', 'state': {'value': text}})",
    "a widget nobody knows": "create_comm(target_name=text, data={text: text})",
    "a display that changes": "handle = display('x', display_id=text); handle.update(HTML(text))",
    "logs and warnings": "logging.getLogger('own').warning('a %s', text); warnings.warn(text); "
    "faulthandler.dump_traceback(sys.__stderr__)",
    "a frame": "display(pandas.DataFrame({text: [text]}, index=[text]))",
    "its run's notes": "samebook.log_param(text, {text: [text]}); samebook.log_metric(text, 1); "
    "samebook.api.context.note(text)",
    "a file beside": "path = Path(os.environ['TMPDIR'], text.replace('/', ':')[:80]); "
    "path.write_text('x'); path.read_text()",
    "a message to the terminal": "sys.stdout.write(f'\\x1b]0;{text}\\x07\\n')",
    "an error that goes on": "get_ipython().showtraceback(exc_tuple=(ValueError, ValueError(text), None))",
    "an error nobody sees": "Unraisable(text)",
}
TELLS = """
import faulthandler, logging, os, subprocess, sys, warnings
from pathlib import Path
from IPython.display import HTML, Markdown, display
from comm import create_comm
import samebook
class Unraisable:
    def __init__(self, text): self.text = text
    def __del__(self): raise ValueError(self.text)
for text in FORMS:
    WAYS
"""
FAILS = """
try:
    raise KeyError(*FORMS)
except KeyError as error:
    error.add_note('\\n'.join(FORMS))
    group = ExceptionGroup(FORMS[0], [ValueError(form) for form in FORMS])
    raise RuntimeError('\\n'.join(FORMS)) from group
"""
MADE = f"{NAMES}FORMS = [{', '.join(FORMS.values())}]\n"


@functools.cache
def made() -> dict[str, str]:
    """The text of each form of the secret."""
    source = f"import json, sys\ntoken = sys.argv[1]\n{MADE}print(json.dumps(FORMS))"
    done = subprocess.run([sys.executable, "-c", source, SECRET], capture_output=True, text=True, check=True)
    return dict(zip(FORMS, json.loads(done.stdout), strict=True))


def leaks(content: bytes) -> list[str]:
    """What of the secret some bytes hold: a piece from its midst, in a form that some program gives it."""
    pieces = ("s3cr3t", "qu0t3d", "w1th/m0re", "9876012345")
    held = {form for piece in pieces for form in test_secrets.forms(piece)}
    encoded = ("base64", "base64 for URLs, amid others", "base64 in lines", "base32")
    held |= {made()[form].replace("\n", "")[-50:-30].encode() for form in encoded}
    for part in (b"\0", b"\\n", b"\n"):
        content = content.replace(part, b"")
    return sorted(form.decode("latin-1") for form in held if form in content)


def test_leaks_are_found() -> None:
    """What looks for leaks finds each form of the secret: a search that finds nothing would hold for anything."""
    assert [form for form, text in made().items() if not leaks(text.encode())] == []


def kept(root: Path) -> dict[str, list[str]]:
    """What the files below a folder hold of the secret, by their names; packed ones too."""
    found: dict[str, list[str]] = {}
    for path in root.rglob("*"):
        if (path.is_file() and path.suffix != ".ipynb") or path.name == "notebook.ipynb":
            content = bytes(path) + path.read_bytes()
            for unpack in (gzip.decompress, bz2.decompress, lzma.decompress, zlib.decompress):
                try:
                    content += unpack(path.read_bytes())
                except (OSError, EOFError, lzma.LZMAError, zlib.error):
                    continue
            if held := leaks(content):
                found[str(path.relative_to(root))] = held
    return found


@dataclass(frozen=True)
class Leaky:
    """A workspace after a run that has written its secret in each form on each way, and the end of the command."""

    tiny: Tiny
    ended: Result


@contextmanager
def warm(tiny: Tiny, notebook: str, **variables: str) -> Iterator[None]:
    process = tiny.start("warm", notebook, **variables)
    assert process.stderr
    assert any("is warm: " in line for line in process.stderr)
    try:
        yield
    finally:
        process.terminate()
        _, shown = process.communicate(timeout=PATIENCE)
        assert leaks(shown.encode()) == []


@pytest.fixture(scope="module", params=["cold", "warm"])
def leaky(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Leaky:
    tiny = Tiny.create(tmp_path_factory.mktemp("leaky") / "workspace")
    work = TELLS.replace("WAYS", "\n    ".join(WAYS.values()))
    raises = {canonical.RAISES: work + FAILS}
    tiny.notebook("tells", parameters=test_secrets.PARAMETERS, forms=MADE, **raises, last="FORMS")
    variables = {"API_TOKEN": SECRET, "TMPDIR": str(tmp_path_factory.mktemp("outside"))}
    context = warm(tiny, "tells", **variables) if request.param == "warm" else nullcontext()
    with pytest.MonkeyPatch.context() as patch, context:
        as_from_a_shell(patch)
        ended = tiny.samebook("run", "tells", "--verbose", **variables)
    assert ended.code == 0, ended.stderr[-2000:]
    assert f'"{request.param}"' in (tiny.last / "receipt.json").read_text()
    return Leaky(tiny, ended)


def test_nothing_is_shown(leaky: Leaky) -> None:
    """No form of the secret reaches the terminal by any way; stdout has the folder's name alone."""
    assert leaks((leaky.ended.stdout + leaky.ended.stderr).encode()) == []
    assert leaky.ended.stdout.partition("  ")[0] == f"runs/{leaky.tiny.last.name}"


def test_nothing_is_kept(leaky: Leaky) -> None:
    """No form of the secret is in a file that is left: the run's, the store's, the environment's."""
    assert kept(leaky.tiny.root) == {}
    assert (leaky.tiny.last / "notebook.ipynb").read_text().count("[redacted API_TOKEN]") > len(FORMS) * 10


PIPELINE = "steps: {fails: {}}\n"
NOTIFY = "datasets: {}\nnotify: {webhook: HOOK, on: [failure]}\n"


@pytest.mark.parametrize("form", FORMS)
def test_error_is_told_without_it(form: str) -> None:
    """An error that holds a form of the secret is told without it, and so are its causes and notes."""
    redaction = Redaction({"API_TOKEN": SECRET})
    text = made()[form]
    for error in (ValueError(text), KeyError(text, [text]), OSError(2, text, text, None, text)):
        error.add_note(text)
        redaction.redact_error(error)
        shown = "".join(traceback.format_exception(error)) + repr(error.args) + str(getattr(error, "filename2", ""))
        assert leaks(shown.encode()) == []


def test_pipeline_and_webhook_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails with all forms of the secret in its error tells pipeline, story, log and webhook none."""
    tiny = Tiny.create(tmp_path / "workspace", NOTIFY)
    tiny.notebook("fails", parameters=test_secrets.PARAMETERS, forms=MADE, work=FAILS)
    (tiny.root / "environments" / "pipelines").mkdir()
    (tiny.root / "environments" / "pipelines" / "daily.yml").write_text(PIPELINE)
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    monkeypatch.setenv("API_TOKEN", SECRET)
    with serving(204) as hook:
        monkeypatch.setenv("HOOK", hook.url)
        outcomes = executor.execute(executor.prepare(Job(Workspace(tiny.root), "daily", {})))
        assert notices.wait(PATIENCE)
    assert (outcomes[0].state, hook.got[0][1]["kind"]) == (executor.State.FAILED, "failure")
    assert leaks(f"{outcomes} {hook.got}".encode()) == []
    assert kept(tiny.root) == {}
    told = tiny.samebook("log", API_TOKEN=SECRET)
    assert (leaks((told.stdout + told.stderr).encode()), "fails" in told.stdout) == ([], True), told


@pytest.mark.host
def test_patch_and_git_tell_nothing(tmp_path: Path) -> None:
    """Uncommitted work with a secret in it, and one in the address of a remote, are neither kept nor told."""
    tiny = Tiny.create(tmp_path / "workspace")
    tiny.notebook("tells", parameters=test_secrets.PARAMETERS, work="import subprocess\n"
        "subprocess.run(['git', 'remote', '-v']); subprocess.run(['git', 'fetch', 'origin'])\n"
        "print(open('../.git/config').read())")  # fmt: skip
    git(tiny, "init", "--quiet")
    (tiny.root / ".gitignore").write_text("runs/\nstore/\n")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "work")
    git(tiny, "remote", "add", "origin", "http://joe:s3cr3t-qu0t3d-9876012345@127.0.0.1:9/a.git")
    token = "s3cr3t-qu0t3d-9876012345"
    ended = tiny.samebook("run", "tells", "--verbose", API_TOKEN=token)
    assert (ended.code, leaks((ended.stdout + ended.stderr).encode())) == (0, [])
    assert {name for name in kept(tiny.root) if not name.startswith(".git/")} == set()
    (tiny.root / "notebooks" / "data.bin").write_bytes(gzip.compress(token.encode()))
    ended = tiny.samebook("run", "tells", API_TOKEN=token)
    assert (ended.code, leaks((ended.stdout + ended.stderr).encode())) == (6, [])
    (tiny.root / "notebooks" / "data.bin").unlink()
    (tiny.root / "notebooks" / f"{token}.txt").touch()
    ended = tiny.samebook("run", "tells", API_TOKEN=token)
    assert (ended.code, leaks((ended.stdout + ended.stderr).encode())) == (6, [])


@pytest.mark.fast
def test_ci_runs_all_of_it() -> None:
    """CI runs the whole suite on the local engine, of which the tests with this mark are a part."""
    assert "run: .ci/run" in (CHECKOUT / ".github" / "workflows" / "ci.yml").read_text()
    assert "\nstep make test ENGINE=local\n" in (CHECKOUT / ".ci" / "run").read_text()
    printed = subprocess.run(
        ["make", "--dry-run", "test", "test-secrets", "ENGINE=local"],
        cwd=CHECKOUT,
        env=of_its_own_make(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    calls = re.findall(r"pytest\b.*", printed)
    assert (len(calls), "-m" in calls[0].split(), "-m secrets" in calls[1]) == (2, False, True)
