"""Runs that have read several days of a dataset, whose list is in the store: what each command says and needs."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from reproducing import commit, make_repository, reproduce, run
from tiny import Tiny, git

from samebook.core.workspace import Workspace
from samebook.models import bundle as bundles
from samebook.records import data_manifest, receipt
from samebook.store import objects

pytestmark = pytest.mark.host

DATES = "from datetime import date, timedelta\nstart: date = date(2013, 1, 1)\nend: date = date(2013, 1, 3)"
MAKE = """
import pandas, samebook
for n in range((end - start).days + 1):
    day = start + timedelta(days=n)
    samebook.write_partition("rows", day, pandas.DataFrame({"n": [day.day, 2, 3]}))
"""
READ = """
import samebook
rows = samebook.read_dataset("rows", start, end)
late = samebook.read_dataset("late", start, end, partial=True)
samebook.log_metric("n", rows["n"].sum())
"""
GATE = """
import datetime, samebook
samebook.read_dataset("rows", datetime.date(2013, 1, 1), datetime.date(2013, 1, 2))
value = int(samebook.find_artifact(candidate, "total.txt").read_text())
samebook.log_metrics({"candidate_n": value, "baseline_n": 1})
"""
NAME = "rows/day=2013-01-01..2013-01-03"


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository whose notebook `sum` has read three days, which `make` makes; nothing was written lately."""
    tiny = make_repository(tmp_path_factory.mktemp("days") / "workspace", parameters=DATES, read=READ)
    (tiny.root / "environments" / "dev.yml").write_text("datasets: {rows: {made_by: make}}\n")
    tiny.notebook("make", parameters=DATES, work=MAKE)
    (tiny.root / "models").mkdir()
    (tiny.root / "models" / ".gitkeep").touch()
    commit(tiny)
    run(tiny)
    for path in (entry for folder in ("runs", "store") for entry in (tiny.root / folder).rglob("*")):
        os.utime(path, (time.time() - 7200,) * 2, follow_symlinks=False)
    return tiny


@pytest.fixture
def tiny(worked: Tiny, tmp_path: Path) -> Tiny:
    """The same, to break."""
    return Tiny(Path(shutil.copytree(worked.root, tmp_path / "workspace", symlinks=True)))


def reader(tiny: Tiny) -> Path:
    return next(path for path in tiny.runs if "-sum-" in path.name) / "receipt.json"


def lists(tiny: Tiny) -> dict[str, Path]:
    """The files of the lists in the store, by description."""
    store = objects.local_store(Workspace(tiny.root))
    return {name: store.path(digest) for digest, name in data_manifest.lists(receipt.read(reader(tiny))).items()}


def days(tiny: Tiny) -> list[Path]:
    """The files of the days in the store."""
    content = json.loads(lists(tiny)[f"the list of {NAME}"].read_bytes())
    return [objects.local_store(Workspace(tiny.root)).path(digest) for digest in content.values()]


def test_receipt_names_days_together(worked: Tiny) -> None:
    """The receipt has one dependency for three days, and says how many files and bytes they are."""
    (item,) = receipt.input_items(receipt.read(reader(worked)))
    size = sum(path.stat().st_size for path in days(worked))
    assert (item["name"], item["annotations"]) == (NAME, {"input": True, "files": 3, "bytes": size})
    assert sorted(lists(worked)) == [f"the list of {NAME}", f"the makers of {NAME}"]


def test_lists_are_verified(tiny: Tiny) -> None:
    """`verify` counts the days with their list, and finds one that is gone or damaged."""
    assert f"ok {NAME}  (in the store)\n" in tiny.samebook("verify", str(reader(tiny))).stdout
    for name, path in lists(tiny).items():
        content = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(content.replace(b"2013-01-02", b"2013-01-04"))
        ended = tiny.samebook("verify", str(reader(tiny)))
        assert (ended.code, "is damaged" in ended.stderr) == (3, True)
        path.unlink()
        ended = tiny.samebook("verify", str(reader(tiny)))
        assert ended.code == 3
        assert f"{NAME}: {name} (sha256 {path.name[:12]}…) is not in the store" in ended.stderr
        path.write_bytes(content)
    assert tiny.samebook("verify", str(reader(tiny))).code == 0


def test_collection_keeps_what_lists_name(tiny: Tiny) -> None:
    """No object that a list names is removed, nor the list; all go with the run that needs them."""
    needed = [*days(tiny), *lists(tiny).values()]
    assert tiny.samebook("store", "gc").code == 0
    assert all(path.is_file() for path in needed)
    assert tiny.samebook("store", "verify").stdout.endswith("all whole; 0 that no receipt names\n")
    shutil.rmtree(tiny.root / "runs")
    shutil.rmtree(tiny.root / "data")
    assert tiny.samebook("gc", "--older-than", "0d", "--keep", "0").code == 0
    assert not any(path.exists() for path in needed)


@pytest.mark.parametrize("command", [("gc", "--older-than", "0d", "--keep", "0"), ("store", "gc")], ids=" ".join)
def test_collection_waits_for_lost_list(command: tuple[str, ...], tiny: Tiny) -> None:
    """Where a list is gone, nobody knows what the run needs: nothing is removed, and the error names the list."""
    needed = days(tiny)
    path = lists(tiny)[f"the list of {NAME}"]
    path.unlink()
    before = sorted(tiny.root.rglob("*"))
    ended = tiny.samebook(*command)
    assert ended.code == 2
    assert f"the list of {NAME} (sha256 {path.name[:12]}…) is not in the store" in ended.stderr
    assert "is removed while it may name any\n" in ended.stderr
    assert [path for path in before if not path.exists()] == []
    assert all(path.is_file() for path in needed)
    ended = tiny.samebook("store", "verify")
    assert (ended.code, f"missing: {path.name[:12]}…, the list of {NAME} of " in ended.stderr) == (2, True)


def test_lineage_without_list(tiny: Tiny) -> None:
    """The tree shows each day's maker by the lists; without one it says so, and stands."""
    (make,) = (path.name for path in tiny.runs if "-make-" in path.name)
    message = tiny.samebook("lineage", "sum").stdout
    assert "rows/day=2013-01-01 … 2013-01-03 (3 days)" in message
    assert make in message
    lists(tiny)[f"the list of {NAME}"].unlink()
    ended = tiny.samebook("lineage", "sum")
    assert (ended.code, "! the list of these days is not in the store, or is damaged: make pull" in ended.stdout) == (
        0,
        True,
    )


def test_run_is_as_before(tiny: Tiny) -> None:
    """A run with the same days is not run again; one with another day, or without its list, is."""
    first = reader(tiny).parent.name
    assert tiny.samebook("run", "sum", "--reuse").stdout.startswith(f"runs/{first}")
    path = lists(tiny)[f"the list of {NAME}"]
    content = path.read_bytes()
    path.unlink()
    ended = tiny.samebook("run", "sum", "--reuse")
    assert ended.code == 0, ended.stderr
    assert first not in ended.stdout
    assert path.read_bytes() == content  # the same days again


def test_days_come_from_the_store(tiny: Tiny) -> None:
    """A reproduction reads the days that the list names, whatever the dataset holds by now."""
    shutil.rmtree(tiny.root / "data" / "rows")
    ended = reproduce(tiny)
    assert "IDENTICAL: 2 of 2 subjects" in ended.stdout, ended.stderr
    assert "made again" not in ended.stderr
    assert "says" not in ended.stdout


def test_receipt_alone_is_enough(tiny: Tiny) -> None:
    """Without its list the days are made again, and the sha256 of the new list, which stays in the store, says that
    they are the same.
    """
    shutil.copy(reader(tiny), tiny.root / "runs" / "receipt.json")
    for folder in ("store", "data"):
        shutil.rmtree(tiny.root / folder)
    ended = reproduce(tiny, "runs/receipt.json")
    assert f"the list of {NAME} (sha256 " in ended.stderr
    assert lists(tiny)[f"the list of {NAME}"].is_file()
    assert "IDENTICAL: 2 of 2 subjects" in ended.stdout, ended.stderr
    assert "says" not in ended.stdout


def test_other_days_are_found(tiny: Tiny) -> None:
    """A receipt with another list than the days that the run has read is wrong about the run, whatever its results."""
    store = objects.local_store(Workspace(tiny.root))
    statement = receipt.read(reader(tiny))
    (item,) = receipt.input_items(statement)
    content = json.loads(lists(tiny)[f"the list of {NAME}"].read_bytes())
    swapped = {**content, "2013-01-02": content["2013-01-01"], "2013-01-01": content["2013-01-02"]}
    item["digest"]["sha256"] = store.put(data_manifest.Manifest("rows", swapped, {}, 0).lists[0])
    forged = tiny.root / "runs" / "receipt.json"
    forged.write_text(json.dumps(statement))
    store.path(item["digest"]["sha256"]).unlink()
    ended = reproduce(tiny, "runs/receipt.json")
    assert ended.code == 3
    assert f"input {NAME}: the receipt says {item['digest']['sha256']}, found " in ended.stdout


@pytest.mark.parametrize("is_lost", [False, True], ids=["whole", "list lost"])
def test_wrong_size_is_found(is_lost: bool, tiny: Tiny) -> None:
    """A receipt with another number of bytes than the days have is wrong about the run, at a reproduction too, where
    the list is gone as well; a promotion refuses it.
    """
    (tiny.root / "environments" / "dev.yml").write_text("datasets: {rows: {made_by: make}}\npromotion: {gate: null}\n")
    commit(tiny)
    path = reader(tiny)
    statement = receipt.read(path)
    (item,) = receipt.input_items(statement)
    size = item["annotations"]["bytes"]
    item["annotations"]["bytes"] = size + 1
    path.write_text(json.dumps(statement))
    refused = tiny.samebook("promote", path.parent.name, "total", "--dry-run")
    assert (refused.code, f"{NAME}: its files have {size} bytes, expected {size + 1}" in refused.stderr) == (6, True)
    if is_lost:
        lists(tiny)[f"the list of {NAME}"].unlink()
    ended = reproduce(tiny)
    assert ended.code == 3
    assert f"size of {NAME}.annotations.bytes: the receipt says {size + 1}, found {size}" in ended.stdout


def test_wrong_size_of_a_model(tiny: Tiny) -> None:
    """A model whose receipt is wrong about the bytes of its days is not used, where these are here."""
    promote(tiny)
    path = tiny.root / "models" / "total.json"
    content = bundles.parse(path.read_bytes(), "total").model_dump(mode="json", exclude_unset=True)
    statement = receipt.read(reader(tiny))
    receipt.input_items(statement)[0]["annotations"]["bytes"] += 1
    named = {"sha256": objects.local_store(Workspace(tiny.root)).put(json.dumps(statement).encode())}
    forged = bundles.Bundle.model_validate(content | {"receipt": content["receipt"] | named}).sealed()
    path.write_bytes(forged.content())
    ended = tiny.samebook("models", "total")
    assert (ended.code, f"its receipt is wrong about {NAME}: its files have" in ended.stderr) == (2, True)


def test_gate_keeps_its_lists(tiny: Tiny) -> None:
    """The lists of the days that a model's gate has read stay, too; where one is lost, no run is removed."""
    promote(tiny, GATE)
    gate = next(path for path in tiny.runs if "-gate-" in path.name) / "receipt.json"
    store, makers = (
        objects.local_store(Workspace(tiny.root)),
        {path.name for path in tiny.runs if "-make-" in path.name},
    )
    needed = [store.path(digest) for digest in data_manifest.lists(receipt.read(gate))]
    assert len(needed) == 2
    assert not {*needed} & {*lists(tiny).values()}
    for path in (tiny.root / "data", *(path for path in tiny.runs if path.name not in makers)):
        shutil.rmtree(path)
    for path in (tiny.root / "store").rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)
    assert tiny.samebook("store", "gc").code == 0
    assert all(path.is_file() for path in needed)
    assert tiny.samebook("gc", "--older-than", "0d", "--keep", "0").code == 0
    assert {path.name for path in tiny.runs} == makers
    needed[1].unlink()
    ended = tiny.samebook("gc", "--older-than", "0d", "--keep", "0")
    assert (ended.code, "is not in the store; no run is removed while it may name any" in ended.stderr) == (2, True)


def promote(tiny: Tiny, gate: str = "") -> None:
    """Promote the run as `total`, with a gate of this source where one is given."""
    policy = "promotion: {gate: {notebook: gate, metric: n, margin: 1}}\n" if gate else "promotion: {gate: null}\n"
    (tiny.root / "environments" / "dev.yml").write_text(f"datasets: {{rows: {{made_by: make}}}}\n{policy}")
    git(tiny, "config", "user.name", "a")
    git(tiny, "config", "user.email", "a@b.c")
    if gate:
        tiny.notebook("gate", parameters="candidate: str = 'sum'\nchampion: str | None = None", work=gate)
        tiny.notebook("sum", parameters=DATES, read=f"{READ}samebook.output_path('total.txt').write_text('6')")
    commit(tiny)
    assert not gate or tiny.samebook("run", "sum").code == 0
    promoted = tiny.samebook("promote", tiny.last.name if gate else reader(tiny).parent.name, "total")
    assert promoted.code == 0, promoted.stderr


def test_model_keeps_its_lists(tiny: Tiny) -> None:
    """A promoted model names each day, is checked against its receipt without the list, and keeps the list stored."""
    promote(tiny)
    bundle = json.loads((tiny.root / "models" / "total.json").read_text())
    assert list(bundle["data"]["rows"]["days"]) == ["2013-01-01", "2013-01-02", "2013-01-03"]
    needed = [*lists(tiny).values(), *days(tiny)]
    shutil.rmtree(tiny.root / "runs")
    assert tiny.samebook("store", "gc").code == 0
    assert all(path.is_file() for path in needed)
    needed[0].unlink()
    needed[1].unlink()
    assert tiny.samebook("models", "total").code == 0
