"""The receipt, by the standards' own bindings and by what it promises."""

import copy
import functools
import json
import operator
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from tiny import CHECKOUT, PATIENCE, Tiny, git, wait_until

from samebook.core.digest import sha256
from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.reads import origin
from samebook.records import evidence
from samebook.records import receipt as receipts
from samebook.reproduction import definition, isolation
from samebook.verbs import lineage, reproduce

pytestmark = pytest.mark.host

READS = "import pathlib; text = pathlib.Path('../data/loose.txt').read_text(); print(text)"


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with two runs of a notebook, and a third after an uncommitted change."""
    tiny = Tiny.create(tmp_path_factory.mktemp("receipt") / "workspace")
    work = "import samebook\nsamebook.log_metric('n', n)\nsamebook.output_path('n.txt').write_text(str(n))"
    tiny.notebook("work", parameters="n: int = 1", work=work, read=READS)
    (tiny.root / "data").mkdir()
    (tiny.root / "data" / "loose.txt").write_text("loose")
    (tiny.root / ".gitignore").write_text("/runs/\n/store/\n/data/\n")
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "work")
    for _ in range(2):
        assert tiny.samebook("run", "work", "-p", "n=2").code == 0
    (tiny.root / "notebooks" / "new.txt").write_text("not committed")
    assert tiny.samebook("run", "work", "-p", "n=2").code == 0
    return tiny


def receipt(run: Path) -> dict:
    return json.loads((run / "receipt.json").read_text())


def dependency(run: Path, name: str) -> dict:
    items = receipt(run)["predicate"]["buildDefinition"]["resolvedDependencies"]
    return next(item for item in items if item["name"] == name)


def test_bindings_read_statement(worked: Tiny) -> None:
    """in-toto's own bindings parse the statement, know every field of it, and find it valid."""
    parsed = json_format.ParseDict(receipt(worked.last), statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()


def test_bindings_read_provenance(worked: Tiny) -> None:
    """SLSA's own bindings parse the predicate and every resource in it."""
    predicate = receipt(worked.last)["predicate"]
    parsed = json_format.ParseDict(predicate, provenance_pb2.Provenance())
    for item in (*parsed.build_definition.resolved_dependencies, *parsed.run_details.byproducts):
        ResourceDescriptor.copy_from_pb(item).validate()
    assert parsed.build_definition.external_parameters["notebook"] == "notebooks/work.ipynb"


def test_same_run_same_receipt(worked: Tiny) -> None:
    """Two runs of the same source differ only in runDetails."""
    first, second = (receipt(run) for run in worked.runs[:2])
    for statement in (first, second):
        del statement["predicate"]["runDetails"]
    assert first == second


def test_commit_is_named(worked: Tiny) -> None:
    """A run on committed work names its commit, and that nothing else went in."""
    item = dependency(worked.runs[0], "commit")
    assert item["digest"]["gitCommit"] == git(worked, "rev-parse", "HEAD")
    assert item["annotations"] == {"dirty": False}


def test_dirty_run_keeps_patch(worked: Tiny) -> None:
    """A dirty run says so, and keeps the uncommitted changes, new files included."""
    item = dependency(worked.last, "commit")["annotations"]
    assert item["dirty"]
    patch = worked.last / "uncommitted.patch"
    assert "notebooks/new.txt" in patch.read_text()
    assert (worked.root / "store" / item["patch"][:2] / item["patch"][2:4] / item["patch"]).is_file()


def test_runs_are_no_uncommitted_work(tiny: Tiny) -> None:
    """Files of runs are not uncommitted changes, even where no .gitignore names them."""
    tiny.notebook("work", work="import samebook\nsamebook.output_path('n.txt').write_text('1')")
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "work")
    (tiny.root / "store" / "aa").mkdir(parents=True)
    (tiny.root / "store" / "aa" / "pulled").write_text("x")
    for _ in range(2):
        assert tiny.samebook("run", "work").code == 0
        assert dependency(tiny.last, "commit")["annotations"] == {"dirty": False}
        assert git(tiny, "status", "--porcelain") == ""


def test_staged_work_stays_staged(worked: Tiny) -> None:
    """Making the patch leaves the user's index alone."""
    assert git(worked, "status", "--porcelain") == "?? notebooks/new.txt"


def test_environment_is_identified(worked: Tiny) -> None:
    """The environment is named by one digest, with the files' hash of each locked package."""
    item = dependency(worked.last, "environment")
    assert item["annotations"]["packages"]["papermill"].split()[1].startswith("sha256:")
    whole = json.loads((worked.last / "environment.json").read_text())
    assert whole["digest"] == item["digest"]["sha256"]


def test_undeclared_input_is_named(worked: Tiny) -> None:
    """A file that was read around the API is a dependency, marked as undeclared."""
    assert dependency(worked.last, "data/loose.txt")["annotations"] == {"undeclared": True}


def test_drift_is_refused(tiny: Tiny) -> None:
    """An environment that isn't the lock's is refused with exit code 5; allowed, the receipt records it."""
    lock = tiny.root / "environments" / "runtime.txt"
    lock.write_text(lock.read_text().replace("\npapermill==", "\npapermill==0."))
    tiny.notebook("work", work="print(1)")
    refused = tiny.samebook("run", "work")
    assert refused.code == 5
    assert "papermill" in refused.stderr
    assert tiny.samebook("run", "work", "--allow-drift").code == 0
    internal = receipt(tiny.last)["predicate"]["buildDefinition"]["internalParameters"]
    assert list(internal["drift"]) == ["papermill"]


def test_doctor_compares_with_receipt(worked: Tiny, tmp_path: Path) -> None:
    """`doctor --against` finds the same environment here, and names a package that a receipt has otherwise."""
    assert worked.samebook("doctor", "--against", str(worked.last / "receipt.json")).code == 0
    other = tmp_path / "receipt.json"
    text = (worked.last / "receipt.json").read_text().replace('"papermill": "2.', '"papermill": "1.')
    item = dependency(worked.last, "environment")["digest"]["sha256"]
    other.write_text(text.replace(item, "0" * 64))
    ended = worked.samebook("doctor", "--against", str(other))
    assert ended.code == 5
    assert "papermill: 1." in ended.stdout


def test_lock_and_image_agree() -> None:
    """Lab's lock names every package of runtime's in the same version."""
    locks = [(CHECKOUT / "environments" / f"{name}.txt").read_text() for name in ("runtime", "lab")]
    runtime, lab = ({line.split()[0] for line in lock.splitlines() if "==" in line} for lock in locks)
    assert runtime <= lab


def test_receipt_has_source_at_start(tiny: Tiny) -> None:
    """The receipt has the hash of the notebook at the start, even where it is edited while it runs."""
    path = tiny.notebook("edited", work="import time\ntime.sleep(3)")
    before = sha256(path)
    process = tiny.start("run", "edited")
    wait_until(lambda: tiny.unfinished)
    path.write_text(path.read_text().replace("sleep(3)", "sleep(4)"))
    assert process.wait(PATIENCE) == 0
    for stream in (process.stdout, process.stderr):
        assert stream
        stream.close()
    assert dependency(tiny.last, "notebooks/edited.ipynb")["digest"]["sha256"] == before


def test_python_variables_stay_out(tiny: Tiny) -> None:
    """A shell's PYTHONOPTIMIZE doesn't switch a notebook's checks off."""
    tiny.notebook("checks", checks="assert False, 'checked'")
    assert tiny.samebook("run", "checks", PYTHONOPTIMIZE="1").code == 1


def test_odd_output_fails_no_run(tiny: Tiny) -> None:
    """A link among the outputs counts by its content, a pipe is left out, and the run says so of both."""
    path = "from samebook import output_path as path\n"
    links = "path('last').symlink_to('/etc/hostname')\n__import__('os').mkfifo(path('pipe'))"
    tiny.notebook("odd", work=f"{path}{links}")
    ended = tiny.samebook("run", "odd")
    assert ended.code == 0
    assert "outputs/last was a link" in ended.stderr
    assert "outputs/pipe is left out" in ended.stderr
    digests = {item["name"]: item["digest"]["sha256"] for item in receipt(tiny.last)["subject"]}
    assert digests["outputs/last"] == sha256(Path("/etc/hostname"))
    assert "outputs/pipe" not in digests


def test_failed_run_of_before_proves_nothing(tiny: Tiny) -> None:
    """A run that was done before a cell's error failed it is no evidence: its notebook shows the error."""
    path = tiny.notebook("work", shown="1 / 0")
    path.write_text(path.read_text().replace('"shown"', '"raises-exception", "shown"'))
    assert tiny.samebook("run", "work").code == 0
    assert tiny.samebook("verify", tiny.last.name).code == 0
    notebook, statement = tiny.last / "notebook.canonical.json", tiny.last / "receipt.json"
    before = sha256(notebook)
    notebook.write_text(re.sub(r'\s*"raises-exception",', "", notebook.read_text()))
    statement.write_text(statement.read_text().replace(before, sha256(notebook)))
    ended = tiny.samebook("verify", tiny.last.name)
    assert ended.code == 3
    assert "notebook.canonical.json: cell `shown` ended with an error, so the run has failed" in ended.stderr


HOSTILE = [
    ("base image", {"name": "base image", "uri": "x; touch /tmp/hostile #"}),
    ("commit", {"name": "commit", "digest": {"gitCommit": "HEAD"}}),
    ("patch", {"name": "commit", "digest": {"gitCommit": "0" * 40}, "annotations": {"patch": "/etc/passwd"}}),
]


@pytest.mark.parametrize("added", [added for _, added in HOSTILE], ids=[name for name, _ in HOSTILE])
def test_hostile_dependency_is_refused(worked: Tiny, tmp_path: Path, added: dict) -> None:
    """A receipt with a dependency that samebook would not write is refused before it is used."""
    statement = receipt(worked.runs[0])
    statement["predicate"]["buildDefinition"]["resolvedDependencies"].insert(0, added)
    (tmp_path / "receipt.json").write_text(json.dumps(statement))
    ended = worked.samebook("reproduce", str(tmp_path / "receipt.json"))
    assert ended.code == 2
    assert "is not a whole receipt" in ended.stderr


@pytest.mark.parametrize("name", ["../../x", "/etc/hostname", "outputs/../../x", "metrics.json"])
def test_hostile_subject_is_refused(worked: Tiny, tmp_path: Path, name: str) -> None:
    """A subject that leaves the run's folder, or stands twice, is refused."""
    statement = receipt(worked.runs[0])
    statement["subject"].append({"name": name, "digest": {"sha256": "0" * 64}})
    (tmp_path / "receipt.json").write_text(json.dumps(statement))
    assert worked.samebook("verify", str(tmp_path / "receipt.json")).code == 2


def test_added_output_is_found(worked: Tiny) -> None:
    """A file among the outputs that the receipt doesn't name is found."""
    added = worked.runs[0] / "outputs" / "added.txt"
    added.write_text("added")
    ended = worked.samebook("verify", str(worked.runs[0] / "receipt.json"))
    added.unlink()
    assert ended.code == 3
    assert "outputs/added.txt: not in the receipt" in ended.stderr


def test_linked_outputs_are_not_read(worked: Tiny, tmp_path: Path) -> None:
    """A link in the place of the outputs is named, and what lies behind it is not listed."""
    path = tmp_path / "received" / "receipt.json"
    path.parent.mkdir()
    path.write_bytes((worked.runs[0] / "receipt.json").read_bytes())
    (path.parent / "outputs").symlink_to(tmp_path)
    states = evidence.file_states(Workspace(worked.root), path, receipt(path.parent))
    assert states["outputs"] == "found a link, expected a folder"
    assert not any("receipt.json" in name for name in states)


def test_input_of_a_run_outside_a_repository(tiny: Tiny) -> None:
    """A run that read the output of a run outside a repository, which has no commit, has a whole receipt."""
    tiny.notebook("make", work="import samebook\nsamebook.output_path('a.txt').write_text('a')")
    tiny.notebook("read", work="import samebook\nsamebook.find_artifact('make', 'a.txt')")
    assert tiny.samebook("run", "make").code == 0
    assert tiny.samebook("run", "read").code == 0
    assert tiny.samebook("verify", "read").code == 0
    assert "make" in tiny.samebook("lineage", "read").stdout


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to each value in a JSON value but itself."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*place, key)
        yield from places(value[key], (*place, key))


def test_any_receipt_is_read_or_refused(worked: Tiny) -> None:
    """Whatever stands in the place of a value of a receipt, it is not a receipt, or all that reads receipts can."""
    original, path = receipt(worked.last), worked.root / "received" / "receipt.json"
    packages = dependency(worked.last, "environment")["annotations"]["packages"]
    environment = next(item for item in receipts.dependencies(original) if item["name"] == "environment")
    environment["annotations"]["packages"] = dict(list(packages.items())[:1])
    made = {"name": receipts.MADE_BY, "annotations": {worked.last.name: ["rows/day=2013-01-01"]}}
    original["predicate"]["runDetails"]["byproducts"].append(made)
    receipts.dependencies(original).append(
        {"name": "rows/day=2013-01-01", "digest": {"sha256": "0" * 64}, "annotations": {"input": True}}
    )
    for place in list(places(original)):
        for value in (None, {}, [], 5, "x", {"a": 1}, ["a"]):
            statement = copy.deepcopy(original)
            functools.reduce(operator.getitem, place[:-1], statement)[place[-1]] = value
            with suppress(SamebookError):
                receipts.check(statement, "")
                read(Workspace(worked.root), path, statement, original)


def read(workspace: Workspace, path: Path, statement: dict[str, Any], original: dict[str, Any]) -> None:
    """Read a receipt as each command does that takes one from anybody."""
    receipts.handover(statement, "", isolation.handed(statement))
    evidence.file_states(workspace, path, statement)
    origin.lacked(workspace, statement)
    definition.divergences(statement, original)
    reproduce.differing_packages(statement, original)
    isolation.numerics(statement)
    lineage.text(lineage._tree(workspace, statement, ()))
