"""The remote store in a real S3: whole objects only, verified in both directions, whatever interrupts a transfer."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from s3 import KEY, MARK, S3, TEXT, changing_wire
from tiny import PATIENCE, Result, Tiny, wait_until

from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.environment import sections
from samebook.records import data_manifest, receipt
from samebook.store import bucket, remote
from samebook.store.objects import DamagedObject, Store

pytestmark = pytest.mark.host

LARGE = 3 * bucket.PART + 1
MANY = [b"%d" % number for number in range(600)]
RUN = "20130101T000000Z-train-abcdef"
MAKE_DAYS = """
import datetime, pandas, samebook
for day in (1, 2, 3):
    samebook.write_partition("rows", datetime.date(2013, 1, day), pandas.DataFrame({"n": [day]}))
"""
READ_DAYS = """
import datetime, samebook
samebook.read_dataset("rows", datetime.date(2013, 1, 1), datetime.date(2013, 1, 3))
"""
SMALL_DISK = (
    """mount -t tmpfs -o size=256k tmpfs store && shift 0 && "$@"; code=$?; find store -type f >left; exit $code"""
)


def machine(root: Path, s3: S3, **changes: str) -> Tiny:
    """A workspace without runs, whose settings name the bucket."""
    return Tiny.create(root, s3.settings(**changes))


def add_run(tiny: Tiny, *contents: bytes) -> set[str]:
    """Give a workspace a run with these outputs; returns the digests of the objects in its store."""
    outputs = tiny.root / "runs" / RUN / "outputs"
    outputs.mkdir(parents=True)
    for number, content in enumerate(contents):
        (outputs / str(number)).write_bytes(content)
    tiny.receipt(RUN)
    store = Store(tiny.root / "store")
    return {store.put(path) for path in (*outputs.iterdir(), outputs.parent / "receipt.json")}


def object_names(tiny: Tiny) -> set[str]:
    """The names of all files in the store, temporary ones too."""
    return {path.name for path in (tiny.root / "store").glob("??/??/*")}


def copy_receipt(tiny: Tiny, other: Tiny) -> None:
    """Copy the receipt of the newest run, and nothing else of it, to another machine."""
    (other.root / "runs" / tiny.last.name).mkdir(parents=True)
    shutil.copy(tiny.last / "receipt.json", other.root / "runs" / tiny.last.name)


def damage(path: Path) -> None:
    """Change the first byte of an object's file."""
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def safe_stderr(ended: Result) -> str:
    """The standard error, which must hold neither the key nor a traceback."""
    assert KEY not in ended.stdout + ended.stderr
    assert TEXT not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def remote_and_store(s3: S3, tmp_path: Path, **changes: str) -> tuple[remote.Remote, Store]:
    """The remote store of these settings, and an empty local store."""
    settings = {"url": f"s3://samebook/{s3.prefix}", "endpoint": s3.endpoint, "access_key": "S3_KEY"}
    shared = remote.connect(sections.Store(**{**settings, "secret_key": "S3_TEXT", **changes}))
    assert shared
    return shared, Store(tmp_path / "store")


# --- Sharing --------------------------------------------------------------------------------------------------


def test_two_machines_share(s3: S3, tmp_path: Path) -> None:
    """A machine pulls the objects that another has pushed: they share a bucket and a receipt."""
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    one.notebook("work", work="import samebook\nsamebook.output_path('a.bin').write_bytes(bytes(300_000))")
    assert one.samebook("run", "work").code == 0
    digests = object_names(one)
    pushed = one.samebook("store", "push")
    assert pushed.stdout.startswith(f"sent {len(digests)} objects, "), pushed
    copy_receipt(one, other)
    assert other.samebook("store", "pull").stdout.startswith(f"brought {len(digests)} objects, ")
    assert object_names(other) == digests == s3.names()
    assert other.samebook("store", "verify").code == 0


def test_listed_days_are_shared(s3: S3, tmp_path: Path) -> None:
    """A machine with a receipt alone pulls the list of its days, then the days; where the bucket has no list, it says
    so, and a dry run moves nothing.
    """
    one, other, third = (machine(tmp_path / name, s3) for name in ("one", "other", "third"))
    one.notebook("make", work=MAKE_DAYS)
    one.notebook("read", work=READ_DAYS)
    assert [one.samebook("run", name).code for name in ("make", "read")] == [0, 0]
    shutil.rmtree(next(run for run in one.runs if "-make-" in run.name))
    store = Store(one.root / "store")
    receipt_of_run = receipt.read(one.last / "receipt.json")
    names = data_manifest.lists(receipt_of_run)
    needed = {*names, *receipt.inputs(data_manifest.expanded(store, receipt_of_run)).values()}
    assert len(needed) == 2 + 3
    assert one.samebook("store", "push").code == 0
    for there in (other, third):
        copy_receipt(one, there)
    assert other.samebook("store", "pull", "--dry-run").code == 0
    assert object_names(other) == set()
    pulled = other.samebook("store", "pull")
    assert pulled.code == 0, pulled.stderr
    assert needed <= object_names(other) == s3.names()
    assert "3 objects more, which lists of days name" in pulled.stderr
    assert other.samebook("store", "verify").code == 0
    lost = next(digest for digest, name in names.items() if name.startswith("the list of rows/"))
    s3.bucket().delete(s3.path(lost))
    ended = third.samebook("store", "pull")
    assert ended.code == 1
    assert f"missing: {lost[:12]}…, the list of rows/day=2013-01-01..2013-01-03 of {one.last.name}" in ended.stderr


def test_present_objects_stay(s3: S3, tmp_path: Path) -> None:
    """A second push sends nothing, and a second pull brings nothing."""
    one = machine(tmp_path / "one", s3)
    count = len(add_run(one, b"a"))
    one.samebook("store", "push")
    assert one.samebook("store", "push").stdout == f"sent 0 objects, 0.0 KiB; {count} were there\n"
    assert one.samebook("store", "pull").stdout == f"brought 0 objects, 0.0 KiB; {count} were here\n"


def test_dry_run_moves_nothing(s3: S3, tmp_path: Path) -> None:
    """--dry-run counts objects and bytes, and neither side changes."""
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    count = len(add_run(one, bytes(2**20)))
    preview = one.samebook("store", "push", "--dry-run").stdout
    assert preview.startswith(f"would send {count} objects, 1.0 MiB; 0 are there")
    assert s3.names() == set()
    one.samebook("store", "push")
    copy_receipt(one, other)
    output = other.samebook("store", "pull", "--dry-run").stdout
    assert output.replace("bring", "send").replace("here", "there") == preview
    assert object_names(other) == set()


def test_large_object_in_parts(s3: S3, tmp_path: Path) -> None:
    """An object of several parts arrives as it was, and comes back as it was."""
    there, store = remote_and_store(s3, tmp_path)
    digest = store.put(os.urandom(LARGE))
    there.push([digest], store, str)
    assert there.get(digest) == store.get(digest)
    other = Store(tmp_path / "other")
    assert there.fetch([digest], other, str) == []
    assert other.is_whole(digest)


def test_missing_is_none(s3: S3, tmp_path: Path) -> None:
    """A missing object is None for get, and fetch returns its digest; neither raises an error."""
    there, store = remote_and_store(s3, tmp_path)
    digest = store.put(b"")
    assert (there.get(digest), there.fetch([sha256(b"a"), digest], store, str)) == (None, [sha256(b"a")])
    there.push([digest], store, str)
    assert there.get(digest) == b""


def test_no_remote(tiny: Tiny) -> None:
    """Without a remote in the settings, the error of push and pull says where to name one."""
    assert remote.connect(sections.Store()) is None
    for verb in ("push", "pull"):
        ended = tiny.samebook("store", verb)
        assert ended.code == 2
        assert "-> write `store: {url: s3://bucket/prefix}` in environments/dev.yml" in ended.stderr


# --- Damage ---------------------------------------------------------------------------------------------------


def test_damaged_there_never_enters(s3: S3, tmp_path: Path) -> None:
    """A damaged object in the bucket is named and not taken, unlike the others; `push --again` mends it."""
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    digests = add_run(one, b"a")
    one.samebook("store", "push")
    s3.put(sha256(b"a"), b"b")
    copy_receipt(one, other)
    pulled = other.samebook("store", "pull")
    assert pulled.code == 1
    assert f"damaged: {sha256(b'a')[:12]}…, outputs/0 of {RUN}" in pulled.stderr
    assert "make push AGAIN=1" in pulled.stderr
    assert object_names(other) == digests - {sha256(b"a")}
    one.samebook("store", "push", "--again")
    assert other.samebook("store", "pull").code == 0


@pytest.mark.parametrize("content", [b"a", bytes(LARGE)])
def test_damaged_there_is_refused(content: bytes, s3: S3, tmp_path: Path) -> None:
    """get raises DamagedObject for other bytes; fetch reports the object like a missing one, and leaves no file."""
    there, store = remote_and_store(s3, tmp_path)
    s3.put(sha256(content), content[:-1] + b"b")
    with pytest.raises(DamagedObject, match=f"object {sha256(content)[:12]}… is damaged"):
        there.get(sha256(content))
    assert there.fetch([sha256(content)], store, str) == [sha256(content)]
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("size", [10, LARGE])
def test_damaged_here_is_not_sent(size: int, s3: S3, tmp_path: Path) -> None:
    """An object that is damaged here is reported, and no part of it reaches the bucket."""
    there, store = remote_and_store(s3, tmp_path)
    digest, other = store.put(os.urandom(size)), store.put(b"whole")
    damage(store.path(digest))
    result = there.push([digest, other], store, str)
    assert (result.damaged, result.moved) == ([digest], [other])
    assert s3.names() == {other}


def test_damaged_here_is_brought(s3: S3, tmp_path: Path) -> None:
    """pull mends an object that is damaged here."""
    one = machine(tmp_path / "one", s3)
    add_run(one, b"a")
    one.samebook("store", "push")
    damage(Store(one.root / "store").path(sha256(b"a")))
    assert one.samebook("store", "pull").stdout.startswith("brought 1 objects, ")
    assert one.samebook("store", "verify").code == 0


def test_nowhere_is_named(s3: S3, tmp_path: Path) -> None:
    """An object of a receipt that neither store has is named; the others are sent all the same."""
    one = machine(tmp_path / "one", s3)
    digests = add_run(one, b"a")
    Store(one.root / "store").path(sha256(b"a")).unlink()
    pushed = one.samebook("store", "push")
    assert pushed.code == 1
    assert f"sent {len(digests) - 1} objects" in pushed.stderr
    assert f"missing: {sha256(b'a')[:12]}…, outputs/0 of {RUN}" in pushed.stderr


@pytest.mark.parametrize("size", [100, LARGE])
def test_changed_on_its_way_out(size: int, s3: S3, tmp_path: Path) -> None:
    """Bytes that change on their way are refused by the server, which has the SHA-256 of the original."""
    with changing_wire(s3) as endpoint:
        there, store = remote_and_store(s3, tmp_path, endpoint=endpoint)
        digest = store.put(bytes(size) + MARK)
        with pytest.raises(bucket.RemoteError, match="answers 400 BadDigest"):
            there.push([digest], store, str)
    assert s3.names() == set()


def test_changed_on_its_way_in(s3: S3, tmp_path: Path) -> None:
    """Bytes that change between the server and here are noticed, and do not enter the store."""
    digest = sha256(MARK)
    s3.put(digest, MARK)
    with changing_wire(s3) as endpoint:
        there, store = remote_and_store(s3, tmp_path, endpoint=endpoint)
        assert there.fetch([digest], store, str) == [digest]
    assert not store.has(digest)
    assert remote_and_store(s3, tmp_path)[0].fetch([digest], store, str) == []


# --- A server that denies or is down ------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["push", "pull"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"S3_TEXT": "not-the-text-of-the-key"}, "denies access (403 SignatureDoesNotMatch)"),
        ({"S3_KEY": "NOBODYS-KEY"}, "denies access (403 InvalidAccessKeyId)"),
        ({"SAMEBOOK_STORE__URL": "s3://nosuch/a"}, "s3://nosuch/a: there is no such bucket at http://127.0.0.1:"),
        ({"SAMEBOOK_STORE__ENDPOINT": "http://127.0.0.1:1"}, "at http://127.0.0.1:1: the connection is refused"),
        ({"SAMEBOOK_STORE__ENDPOINT": "http://nosuch.invalid"}, "at http://nosuch.invalid: no such host"),
    ],
)
def test_denied_or_down(verb: str, changes: dict[str, str], message: str, s3: S3, tmp_path: Path) -> None:
    """A wrong key, a missing bucket and a server that is down are reported within seconds, without the key."""
    one = machine(tmp_path / "one", s3)
    add_run(one, b"a")
    start = time.monotonic()
    ended = one.samebook("store", verb, **changes)
    assert ended.code == 1
    assert message in safe_stderr(ended)
    assert "not-the-text" not in ended.stderr
    assert time.monotonic() - start < 15


def pushing(one: Tiny, s3: S3) -> subprocess.Popen[str]:
    """A push that has sent some objects, but not all."""
    process = one.start("store", "push", "--jobs", "1")
    wait_until(s3.names)
    assert process.poll() is None
    return process


def test_denied_in_mid_push(s3: S3, tmp_path: Path) -> None:
    """A key that loses its right to write ends the push; once it may again, the next one goes on from there."""
    one = machine(tmp_path / "one", s3)
    add_run(one, *MANY)
    process = pushing(one, s3)
    s3.allow("Read", "List")
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert "denies access (403 AccessDenied)" in safe_stderr(Result(process.returncode, stdout, stderr))
    assert process.returncode == 1
    push_rest(one, s3)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_push_goes_on(signum: signal.Signals, code: int, s3: S3, tmp_path: Path) -> None:
    """A push that is killed or stopped leaves whole objects only; the next one sends the others."""
    one = machine(tmp_path / "one", s3)
    add_run(one, *MANY)
    process = pushing(one, s3)
    process.send_signal(signum)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    push_rest(one, s3)


def push_rest(one: Tiny, s3: S3) -> None:
    """Push again: the objects in the bucket are whole and are not sent again, and then none is missing."""
    sent = s3.objects()
    assert {name for name, content in sent.items() if sha256(content) != name} == set()
    assert 0 < len(sent) < len(object_names(one))
    s3.allow("Read", "Write", "List")
    assert one.samebook("store", "push").stdout.endswith(f"; {len(sent)} were there\n")
    assert s3.names() == object_names(one)


def test_killed_pull_goes_on(s3: S3, tmp_path: Path) -> None:
    """A pull that is killed leaves no half object under an object's name; the next one brings the others."""
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    add_run(one, *MANY)
    one.samebook("store", "push")
    copy_receipt(one, other)
    process = other.start("store", "pull", "--jobs", "1")
    wait_until(lambda: object_names(other))
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert Store(other.root / "store").damaged() == []
    assert other.samebook("store", "pull").code == 0
    assert object_names(one) <= object_names(other)


def test_full_disk(s3: S3, tmp_path: Path) -> None:
    """A pull onto a full disk says so, and leaves nothing half-written."""
    if subprocess.run(("unshare", "-m", "true"), capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs a small one to be mounted, which only root may")
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    add_run(one, bytes(2**20))
    one.samebook("store", "push")
    copy_receipt(one, other)
    (other.root / "store").mkdir()
    command = ("unshare", "-m", "sh", "-c", SMALL_DISK, "sh", *other.command("store", "pull"))
    ended = subprocess.run(
        command, cwd=other.root, env=other.environ(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 1
    assert "No space left on device" in ended.stderr
    assert {len(Path(line).name) for line in (other.root / "left").read_text().splitlines()} <= {64}


# --- Settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"access_key": None}, "one of store.access_key and store.secret_key"),
        ({"url": "s3://samebook/a/../b"}, "found s3://samebook/a/../b"),
    ],
)
def test_wrong_settings(changes: dict[str, str], message: str, s3: S3, tmp_path: Path) -> None:
    """Half a key, and a path with `..`, are refused."""
    with pytest.raises(UsageError, match=message):
        remote_and_store(s3, tmp_path, **changes)


def test_no_key(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key requests are not signed; at AWS the machine's role is used, and a missing one is reported."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    none = {"access_key": None, "secret_key": None}
    with pytest.raises(bucket.RemoteError, match=r"denies access \(403 AccessDenied\)"):
        remote_and_store(s3, tmp_path, **none)[0].get(sha256(b""))
    with pytest.raises(bucket.RemoteError, match="settings name no key, and this machine has none"):
        remote_and_store(s3, tmp_path, **none, endpoint="")[0].get(sha256(b""))


def test_other_keys_around(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables for other S3 clients do not change the key and the endpoint of the settings."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-key")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    there, store = remote_and_store(s3, tmp_path)
    assert there.push([store.put(b"a")], store, str).moved == [sha256(b"a")]


def test_url_in_any_shape(s3: S3, tmp_path: Path) -> None:
    """Extra slashes in URL or endpoint are ignored; without a prefix the objects are at the top of the bucket."""
    there, store = remote_and_store(s3, tmp_path, url=f"s3://samebook//{s3.prefix}/", endpoint=f"{s3.endpoint}/")
    there.push([store.put(b"a")], store, str)
    assert s3.objects() == {sha256(b"a"): b"a"}
    assert remote_and_store(s3, tmp_path, url="s3://samebook")[0].bucket.prefix == ""
