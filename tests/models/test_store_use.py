"""The state of the store: damaged, missing and unreferenced objects, and their removal."""

import os
import threading
from pathlib import Path

import pytest
from tiny import Tiny

from samebook.core.file_lock import hold
from samebook.core.workspace import Workspace
from samebook.models import commits, store_use
from samebook.records import run_folder
from samebook.store.objects import local_store


@pytest.fixture
def kept(tiny: Tiny) -> Tiny:
    tiny.notebook("work", work="import samebook\nsamebook.output_path('a.txt').write_text('a')")
    assert tiny.samebook("run", "work").code == 0
    return tiny


def objects(tiny: Tiny) -> list[Path]:
    return sorted((tiny.root / "store").glob("??/??/*"))


def test_whole_store_is_well(kept: Tiny) -> None:
    """A store that only runs have written is whole, and all of it is referenced."""
    ended = kept.samebook("store", "verify")
    assert ended.code == 0
    assert "all whole; 0 that no receipt names" in ended.stdout


def test_flipped_bit_is_named(kept: Tiny) -> None:
    """A flipped bit is found, the object named, and gc removes it."""
    victim = objects(kept)[0]
    victim.chmod(0o644)
    victim.write_bytes(bytes([victim.read_bytes()[0] ^ 1]) + victim.read_bytes()[1:])
    ended = kept.samebook("store", "verify")
    assert ended.code == 2
    assert f"damaged: {victim.name}" in ended.stderr
    kept.samebook("store", "gc")
    assert not victim.exists()


def test_missing_object_is_named(kept: Tiny) -> None:
    """A missing object that a receipt names is reported, with its description."""
    victim = next(path for path in objects(kept) if path.read_bytes() == b"a")
    victim.unlink()
    ended = kept.samebook("store", "verify")
    assert ended.code == 2
    assert "outputs/a.txt" in ended.stderr


def test_dry_run_removes_nothing(kept: Tiny) -> None:
    """gc --dry-run lists the objects that no receipt names; gc removes them, and nothing else."""
    stray = kept.root / "store" / "00" / "11" / ("0011" + "0" * 60)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"stray")
    before = objects(kept)
    assert "would remove 1 unreferenced" in kept.samebook("store", "gc", "--dry-run").stdout
    assert objects(kept) == before
    kept.samebook("store", "gc")
    assert objects(kept) == [path for path in before if path != stray]


def test_unreadable_receipt_stops_gc(kept: Tiny) -> None:
    """gc removes nothing while a receipt can't be read: it may name anything."""
    (kept.last / "receipt.json").write_text('{"_type":')
    before = objects(kept)
    ended = kept.samebook("store", "gc")
    assert ended.code == 2
    assert "receipt.json" in ended.stderr
    assert objects(kept) == before


def test_leftovers_of_killed_writers_go(kept: Tiny) -> None:
    """The file of a killed writer is removed after an hour, and not while a process may be writing it."""
    old, new = (objects(kept)[0].with_name(f".{name}") for name in ("old", "new"))
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    assert kept.samebook("store", "gc").code == 0
    assert (old.exists(), new.exists()) == (False, True)


def test_gc_leaves_what_a_session_reads(tiny: Tiny) -> None:
    """A file that a session in Lab has read by input_path stays in the store, where its path leads, while it lives."""
    here, session = Workspace(tiny.root), tiny.root / "runs" / ".scratch" / "20130101T000000Z-1"
    digest = local_store(here).put(b"an input")
    path = next(path for path in objects(tiny) if path.name == digest)
    session.mkdir(parents=True)
    run_folder.append_event(session, {"kind": "input", "name": "a.csv", "sha256": digest, "run": ""})
    os.utime(path, (0, 0))
    with hold(session / run_folder.LOCK):
        store_use.gc(here, dry_run=False)
        assert local_store(here).has(digest)
    store_use.gc(here, dry_run=False)
    assert not local_store(here).has(digest)


@pytest.mark.parametrize("lock", ["runs/.partial/20130101T000000Z-work-abcdef/.lock", commits.LOCK])
def test_gc_leaves_what_is_not_named_yet(lock: str, tiny: Tiny) -> None:
    """What a run or a promotion has just stored stays, until its receipt or its commit names it."""
    here = Workspace(tiny.root)
    digest = local_store(here).put(b"a file of a run or a promotion under way")
    with hold(tiny.root / lock):
        other = threading.Thread(target=store_use.gc, args=(here,), kwargs={"dry_run": False})
        other.start()
        other.join(0.3)
        assert local_store(here).has(digest)
    other.join()
    store_use.gc(here, dry_run=False)
    assert not local_store(here).has(digest)
