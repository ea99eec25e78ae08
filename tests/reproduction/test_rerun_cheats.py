"""Commits and notebooks that try to have another run, or an earlier result, taken for the new run."""

import shutil
from pathlib import Path

import pytest
from reproducing import commit, make_repository, reproduce, run
from tiny import git

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import NotReproduced, UsageError
from samebook.core.workspace import Workspace
from samebook.environment.model_sections import Promotion
from samebook.models import reproducers
from samebook.records import attestations, receipt
from samebook.records.signing import SignedFile
from samebook.reproduction import isolation, rerun
from samebook.reproduction.rerun import Site
from samebook.verbs import reproduce as verb

pytestmark = [pytest.mark.host, pytest.mark.forger]

RANDOM = "import random\nprint(random.random())"
# In a reproduction: the original's folder, under the id of a later run.
DECOY = """
import os, pathlib, shutil
here = pathlib.Path.cwd()
if "worktree-" in str(here):
    original = next(here.parents[3].glob("runs/*Z-sum-*"))
    decoy = "99991231T235959Z-sum-ffffff"
    shutil.copytree(original, here.parent / "runs" / decoy)
"""
SPY = """
import os, pathlib
text = pathlib.Path(os.environ["SAMEBOOK_PINNED"]).read_text() if "SAMEBOOK_PINNED" in os.environ else ""
assert "metrics.json" not in text and "canonical" not in text, "the expected results are known"
print(sorted(name for name in os.environ if name.startswith(("SAMEBOOK_", "TMP", "TEMP", "GIT_"))))
print(os.environ["MODE"], os.environ.get("OTHER"))
"""
# A process that stays until the run is complete, and then gives it another result.
AFTER = """
import os, subprocess, sys
if "worktree-" in os.getcwd():
    script = '''
import os, pathlib, sys, time
run = pathlib.Path(sys.argv[1])
final = run.parents[1] / run.name
end = time.monotonic() + 300
while not final.is_dir() and time.monotonic() < end: time.sleep(0.001)
(final / "metrics.json").write_text("{}")
'''
    subprocess.Popen([sys.executable, "-c", script, os.environ["SAMEBOOK_RUN"]], start_new_session=True)
"""


def test_other_run_is_not_taken(tmp_path: Path) -> None:
    """A run that the notebook itself puts into runs/ is not taken for the new one, whatever its id."""
    tiny = make_repository(tmp_path / "workspace", decoy=DECOY, draw=RANDOM)
    run(tiny)
    ended = reproduce(tiny)
    assert ended.code == 3
    assert "DIFFERENT" in ended.stdout, ended.stderr


def test_expected_results_are_not_handed_over(tmp_path: Path) -> None:
    """The run that is made again is told what to do, and no hash of a result; its variables do not tell.

    A variable of the shell that the receipt names goes along.
    """
    tiny = make_repository(tmp_path / "workspace", spy=SPY)
    (tiny.root / "environments" / "dev.yml").write_text("variables: [MODE]\n")
    commit(tiny)
    run(tiny, MODE="quick", OTHER="1")
    assert reproduce(tiny, MODE="quick").code == 0


@pytest.mark.parametrize("name", ["runs/planted", "store/planted", ".samebook/planted", ".venv/planted", "data"])
def test_commit_with_results_is_refused(tmp_path: Path, name: str) -> None:
    """A commit that holds what only make or a run may write, or a link out of it, is refused before any of it runs."""
    tiny = make_repository(tmp_path / "workspace", environment="touch ../../../made")
    path = tiny.root / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(tmp_path)
    git(tiny, "add", "--force", name)
    commit(tiny)
    built = {"commit": {"name": "commit", "digest": {"gitCommit": git(tiny, "rev-parse", "HEAD")}}}
    plan = receipt.plan({**built, "notebook": "notebooks/sum.ipynb", "parameters": {}, "env": "dev"})
    site = Site(Workspace(tiny.root), "local", lambda _: None)
    with pytest.raises(UsageError, match=f"holds {name.split('/')[0]}"), rerun.new_run(site, plan):
        pass
    assert not (tiny.root / "made").exists()


def test_files_are_hashed_again(tmp_path: Path) -> None:
    """A new run whose files are not those of its receipt proves nothing: exit code 3."""
    tiny = make_repository(tmp_path / "workspace", after=AFTER)
    run(tiny)
    ended = reproduce(tiny)
    assert ended.code == 3
    assert "not what its receipt says" in ended.stderr


# A result that an earlier run has left at home, where there is one.
CACHED = """
import pathlib, random
cache = pathlib.Path.home() / ".cache" / "earlier.txt"
if not cache.is_file():
    cache.parent.mkdir(exist_ok=True)
    cache.write_text(str(random.random()))
print(cache.read_text())
"""


def test_earlier_result_is_not_found(tmp_path: Path) -> None:
    """A notebook that takes an earlier result from its home is DIFFERENT: the new run has a home without a memory."""
    tiny = make_repository(tmp_path / "workspace", cached=CACHED)
    (tmp_path / "home").mkdir()
    run(tiny, HOME=str(tmp_path / "home"))
    ended = reproduce(tiny, HOME=str(tmp_path / "home"))
    assert ended.code == 3
    assert "notebook.canonical.json  DIFFERENT" in ended.stdout, ended.stderr


def test_fresh_variables() -> None:
    """Home, temporary folder and caches are new and empty on the local engine; Docker needs its own."""
    old = {"HOME": "/home/me", "TMPDIR": "/tmp", "XDG_CACHE_HOME": "/x", "NUMBA_CACHE_DIR": "/n", "PATH": "/bin"}
    with isolation.fresh("local", old) as new:
        assert {name: new.get(name) for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "PATH")} == {
            "XDG_CACHE_HOME": None,
            "NUMBA_CACHE_DIR": None,
            "PATH": "/bin",
        }
        assert [list(Path(new[name]).iterdir()) for name in ("HOME", "TMPDIR")] == [[], []]
    with isolation.fresh("docker", old) as new:
        assert new == old


# Reads an earlier result by its path, and has the receipt of the original exchanged meanwhile.
MEANWHILE = """
import pathlib
here = pathlib.Path.cwd()
if "worktree-" in str(here):
    original = next(here.parents[3].glob("runs/*Z-sum-*/receipt.json"))
    original.write_bytes(original.read_bytes() + b" ")
"""


def test_false_receipt_is_told(tmp_path: Path) -> None:
    """A receipt that claims inputs and an engine that were not is DIFFERENT, though every file has the same sha256.

    The attestation is about the receipt as it was before the run, whatever the run does to it.
    """
    tiny = make_repository(tmp_path / "workspace", meanwhile=MEANWHILE)
    path = run(tiny) / "receipt.json"
    statement = receipt.read(path)
    day = {"name": "rows/day=2013-01-01", "digest": {"sha256": "0" * 64}, "annotations": {"input": True}}
    receipt.dependencies(statement).append(day)
    statement["predicate"]["buildDefinition"]["internalParameters"]["engine"] = "docker"
    path.write_bytes(json_bytes(statement))
    before = sha256(path)
    ended = reproduce(tiny)
    assert ended.code == 3
    assert "DIFFERENT: 2 of 2 subjects have the same sha256" in ended.stdout, ended.stderr
    assert "the receipt is wrong about the run:\n  input rows/day=2013-01-01: the receipt says 0000" in ended.stdout
    assert 'internalParameters.engine: the receipt says "docker", found "local"' in ended.stdout
    assert "read without being declared:\n  /" in ended.stdout
    attestation = attestations.read(path.with_name("reproduction-1.json"))
    assert attestation
    assert attestation["predicate"]["receipt"]["sha256"] == before != sha256(path)
    assert attestation["predicate"]["verdict"] == "DIFFERENT"


def test_strict_reproduction() -> None:
    """A strict reproduction refuses a run that reads what it does not declare."""
    item = {"name": "/tmp/earlier", "digest": {"sha256": "0" * 64}, "annotations": {"undeclared": True}}
    plan = receipt.plan({"commit": item, "notebook": "notebooks/sum.ipynb", "parameters": {}, "env": "dev"})
    verb.check_declared(plan, is_strict=False)
    with pytest.raises(NotReproduced, match="/tmp/earlier"):
        verb.check_declared(plan, is_strict=True)
    unseen = {"name": "unseen", "annotations": {"child process cp": "unseen"}}
    plan["predicate"] = {"buildDefinition": {"resolvedDependencies": []}, "runDetails": {"byproducts": [unseen]}}
    with pytest.raises(NotReproduced, match="child process cp"):
        verb.check_declared(plan, is_strict=True)


COPIED = """
import random, subprocess
found = subprocess.run("cat ../../../../runs/*/outputs/x.txt", shell=True, capture_output=True, text=True).stdout
samebook.output_path("x.txt").write_text(found or str(random.random()))
"""


def test_result_copied_by_a_program(tmp_path: Path) -> None:
    """An earlier result that a program has copied is not seen: the verdict says so beside IDENTICAL, and no policy
    counts it.
    """
    tiny = make_repository(tmp_path / "workspace", work=f"import samebook\n{COPIED}")
    folder = run(tiny)
    ended = reproduce(tiny)
    assert ended.code == 0, ended.stderr
    assert (
        "IDENTICAL: 3 of 3 subjects have the same sha256\nbut it read what nobody sees, maybe an earlier result"
        in ended.stdout
    )
    signed = reproducers.SignedRun(
        SignedFile.read(folder / "receipt.json"),
        receipt.read(folder / "receipt.json"),
        [SignedFile.read(folder / "reproduction-1.json")],
        {},
    )
    assert "it has read unseen by child process" in reproducers.shortfall(signed, Promotion(reproduced=True))


FOUND = """
import random, samebook
from pathlib import Path
old = [path for folder in Path.cwd().parents for path in folder.glob("{place}/*/outputs/x.txt")]
samebook.output_path("x.txt").write_text(old[0].read_text() if old else str(random.random()))
"""


@pytest.mark.parametrize("place", ["runs", "received"])
def test_result_of_the_caller(place: str, tmp_path: Path) -> None:
    """A new run that reads results of the checkout around its own, or those beside its receipt, proves nothing."""
    tiny = make_repository(tmp_path / "workspace", work=FOUND.format(place=place))
    folder = run(tiny)
    if place == "received":
        (tmp_path / place).mkdir()
        folder = folder.rename(tmp_path / place / folder.name)
    ended = reproduce(tiny, str(folder / "receipt.json"))
    assert ended.code == 3
    assert "the new run has read an earlier result" in ended.stderr
    assert not list(folder.glob("reproduction-*"))


AROUND = """
import subprocess, samebook
from pathlib import Path
subprocess.run(["true"])
samebook.output_path("x.txt").write_text(Path("{file}").read_text().upper())
"""


def test_receipt_above_the_checkout(tmp_path: Path) -> None:
    """A receipt that lies above the checkout makes no earlier result of all that is there, nor does an unseen read."""
    (tmp_path / "data.csv").write_text("a,b")
    tiny = make_repository(tmp_path / "workspace", work=AROUND.format(file=tmp_path / "data.csv"))
    shutil.copy(run(tiny) / "receipt.json", tmp_path)
    ended = reproduce(tiny, str(tmp_path / "receipt.json"))
    assert (ended.code, "IDENTICAL: 3 of 3" in ended.stdout) == (0, True), ended.stderr


def test_result_beside_a_receipt_above_the_checkout(tmp_path: Path) -> None:
    """The outputs beside such a receipt can hold no earlier result in another form: nothing runs."""
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "x.txt.copy").write_text("a,b")
    tiny = make_repository(tmp_path / "workspace", work=AROUND.format(file=tmp_path / "outputs" / "x.txt.copy"))
    shutil.copy(run(tiny) / "receipt.json", tmp_path)
    ended = reproduce(tiny, str(tmp_path / "receipt.json"))
    assert (ended.code, "outputs/x.txt.copy: not in the receipt" in ended.stderr) == (3, True), ended.stderr


# Notebooks that find the earlier result around their checkout, and read it by another name.
DISGUISED = """
import os, random, samebook
from pathlib import Path
old = [path for folder in Path.cwd().parents for path in folder.glob("runs/*/outputs/x.txt")]
def read(path):
    {read}
samebook.output_path("x.txt").write_text(read(old[0]) if old else str(random.random()))
"""
BY_ROOT = "return open(f'/proc/self/root{path}').read()"
BY_LINK = "os.symlink(path.parent, 'gone'); text = open('gone/x.txt').read(); os.unlink('gone'); return text"
BY_COPY = (
    "os.symlink(path, '/tmp/gone-%d' % os.getpid()); text = open('/tmp/gone-%d' % os.getpid()).read(); return text"
)


@pytest.mark.parametrize("read", [BY_ROOT, BY_LINK, BY_COPY])
def test_result_of_the_caller_by_another_name(read: str, tmp_path: Path) -> None:
    """A new run that reads an earlier result proves nothing, whatever the file is called, and though a link is gone."""
    tiny = make_repository(tmp_path / "workspace", work=DISGUISED.format(read=read))
    folder = run(tiny)
    ended = reproduce(tiny)
    assert ended.code == 3
    assert "the new run has read an earlier result" in ended.stderr
    assert not list(folder.glob("reproduction-*"))
