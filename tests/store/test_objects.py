"""The local store: whole, read-only objects, verified on read."""

import os
import shutil
import stat
import subprocess
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from samebook.core.digest import sha256
from samebook.store.objects import DamagedObject, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def files(store: Store) -> list[Path]:
    return sorted(path for path in store.root.rglob("*") if path.is_file())


def put_often(root: Path, content: bytes) -> str:
    return [Store(root).put(content) for _ in range(20)][-1]


def test_object_is_named_by_its_bytes(store: Store, tmp_path: Path) -> None:
    """Bytes and a file of the same bytes are one object, at aa/bb/<sha256>."""
    (tmp_path / "a.txt").write_bytes(b"a")
    digest = sha256(b"a")
    assert store.put(b"a") == store.put(tmp_path / "a.txt") == digest
    assert files(store) == [store.root / digest[:2] / digest[2:4] / digest]
    assert (store.get(digest), store.has(digest)) == (b"a", True)


def test_missing_is_none(store: Store) -> None:
    """A missing object is None, not an error."""
    assert (store.get(sha256(b"a")), store.has(sha256(b"a"))) == (None, False)


@pytest.mark.parametrize("bit", [0, 7])
def test_flipped_bit_is_reported(store: Store, bit: int) -> None:
    """One flipped bit makes an object damaged: the error of reading it names it and the command that mends it."""
    digest = store.put(b"content")
    path = store.path(digest)
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1 << bit]) + b"ontent")
    with pytest.raises(DamagedObject, match=f"store object {digest[:12]}… is damaged") as raised:
        store.get(digest)
    assert raised.value.mend == f"rm {path}, and it is made or fetched again"
    assert store.damaged() == [path]


def test_truncated_is_reported(store: Store) -> None:
    """An object that was cut short is damaged."""
    path = store.path(store.put(b"content"))
    path.chmod(0o644)
    path.write_bytes(b"con")
    assert store.damaged() == [path]


def test_damaged_is_replaced(store: Store) -> None:
    """Putting the right bytes again mends a damaged object."""
    digest = store.put(b"content")
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(b"c0ntent")
    assert store.put(b"content") == digest
    assert store.get(digest) == b"content"


def test_objects_are_read_only(store: Store) -> None:
    """An object's file can't be written by mistake, and is not a link to its source."""
    path = store.path(store.put(b"a"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.stat().st_nlink == 1


def test_source_can_change(store: Store, tmp_path: Path) -> None:
    """A later change of the source changes no object."""
    source = tmp_path / "a.txt"
    source.write_bytes(b"a")
    digest = store.put(source)
    source.write_bytes(b"b")
    assert store.get(digest) == b"a"


def test_bytes_are_shared(tmp_path: Path) -> None:
    """Where the file system can share bytes, an object takes no room of its own, and is no link all the same."""
    disk, folder = tmp_path / "disk", tmp_path / "mounted"
    folder.mkdir()
    with disk.open("wb") as stream:
        stream.truncate(320 << 20)
    for command in (("mkfs.xfs", "-q", "-m", "reflink=1", disk), ("mount", "-o", "loop", disk, folder)):
        if not shutil.which(command[0]) or subprocess.run(command, check=False).returncode:
            refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
            refuse(f"{command[0]} is missing or not allowed: apt-get install xfsprogs, as root")
    try:
        source = folder / "a.bin"
        source.write_bytes(os.urandom(50 << 20))
        used = _used(folder)
        store = Store(folder / "store")
        digest = store.put(source)
        assert _used(folder) - used < 5 << 20
        source.write_bytes(b"b")
        assert store.is_whole(digest)
    finally:
        subprocess.run(["umount", folder], check=True)


def _used(folder: Path) -> int:
    os.sync()
    return shutil.disk_usage(folder).used


def test_writers_do_not_mix(store: Store) -> None:
    """Several processes that put the same and other objects at once leave whole ones, and nothing else."""
    contents = [bytes([number]) * 200_000 for number in (1, 2, 1, 2)]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        digests = list(pool.map(put_often, [store.root] * 4, contents))
    assert digests == [sha256(content) for content in contents]
    assert [path.name for path in files(store)] == sorted(set(digests))
    assert store.damaged() == []


def test_failed_put_leaves_nothing(store: Store, tmp_path: Path) -> None:
    """A put that fails half-way leaves no object and no temporary file."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        store.put(folder)
    assert files(store) == []


def test_other_files_are_not_objects(store: Store) -> None:
    """Other files in the folders of the store are not objects, and do not count as damaged."""
    digest = store.put(b"a")
    (store.path(digest).parent / ".tmp-half").write_bytes(b"half")
    assert [path.name for path in store.objects()] == [digest]
    assert store.unreferenced([]) == [store.path(digest)]
    assert store.unreferenced([digest]) == []
