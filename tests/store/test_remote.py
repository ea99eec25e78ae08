"""The store's remote in a real S3: whole objects only, verified both ways, whatever happens in between."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from s3 import KEY, MARK, S3, TEXT, changing_wire
from tiny import Result, Tiny, wait_until

from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.environment import sections
from samebook.store import bucket, remote
from samebook.store.objects import DamagedObject, Store

pytestmark = pytest.mark.host

LARGE = 3 * bucket.PART + 1
MANY = [b"%d" % number for number in range(600)]
RUN = "20130101T000000Z-train-abcdef"
SMALL_DISK = (
    """mount -t tmpfs -o size=256k tmpfs store && shift 0 && "$@"; code=$?; find store -type f >left; exit $code"""
)


def machine(root: Path, s3: S3, **changes: str) -> Tiny:
    """A workspace whose store has its remote in the bucket; nothing ran in it yet."""
    return Tiny.create(root, s3.settings(**changes))


def ran(tiny: Tiny, *contents: bytes) -> set[str]:
    """Give a workspace a run with these outputs, and its store all of them; the objects that it then holds."""
    outputs = tiny.root / "runs" / RUN / "outputs"
    outputs.mkdir(parents=True)
    for number, content in enumerate(contents):
        (outputs / str(number)).write_bytes(content)
    tiny.receipt(RUN)
    kept = Store(tiny.root / "store")
    return {kept.put(path) for path in (*outputs.iterdir(), outputs.parent / "receipt.json")}


def held(tiny: Tiny) -> set[str]:
    """The names of all files in the store, temporary ones too."""
    return {path.name for path in (tiny.root / "store").glob("??/??/*")}


def hand_over(tiny: Tiny, other: Tiny) -> None:
    """Give another machine the receipt of the newest run, and nothing else of it."""
    (other.root / "runs" / tiny.last.name).mkdir(parents=True)
    shutil.copy(tiny.last / "receipt.json", other.root / "runs" / tiny.last.name)


def damage(path: Path) -> None:
    """Change an object's first byte, behind the store's back."""
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def keyless(ended: Result) -> str:
    """What was said on stderr, which never names the key, nor is a traceback."""
    assert KEY not in ended.stdout + ended.stderr
    assert TEXT not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def here(s3: S3, tmp_path: Path, **changes: str) -> tuple[remote.Remote, Store]:
    """The remote as settings name it, and an empty store."""
    named = {"url": f"s3://samebook/{s3.prefix}", "endpoint": s3.endpoint, "access_key": "S3_KEY"}
    found = remote.of(sections.Store(**{**named, "secret_key": "S3_TEXT", **changes}))
    assert found
    return found, Store(tmp_path / "store")


# --- What it is for -------------------------------------------------------------------------------------------


def test_two_machines_share(s3: S3, tmp_path: Path) -> None:
    """What one machine pushes another pulls, with nothing between them but the bucket and a receipt."""
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    one.notebook("work", work="import samebook\nsamebook.output_path('a.bin').write_bytes(bytes(300_000))")
    assert one.samebook("run", "work").code == 0
    made = held(one)
    pushed = one.samebook("store", "push")
    assert pushed.stdout.startswith(f"sent {len(made)} objects, "), pushed
    hand_over(one, other)
    assert other.samebook("store", "pull").stdout.startswith(f"brought {len(made)} objects, ")
    assert held(other) == made == s3.names()
    assert other.samebook("store", "verify").code == 0


def test_what_is_there_stays(s3: S3, tmp_path: Path) -> None:
    """A second push sends nothing, and a second pull brings nothing."""
    one = machine(tmp_path / "one", s3)
    made = len(ran(one, b"a"))
    one.samebook("store", "push")
    assert one.samebook("store", "push").stdout == f"sent 0 objects, 0.0 KiB; {made} were there\n"
    assert one.samebook("store", "pull").stdout == f"brought 0 objects, 0.0 KiB; {made} were here\n"


def test_dry_run_moves_nothing(s3: S3, tmp_path: Path) -> None:
    """--dry-run counts objects and bytes, and neither side changes."""
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    made = len(ran(one, bytes(2**20)))
    counted = one.samebook("store", "push", "--dry-run").stdout
    assert counted.startswith(f"would send {made} objects, 1.0 MiB; 0 are there")
    assert s3.names() == set()
    one.samebook("store", "push")
    hand_over(one, other)
    told = other.samebook("store", "pull", "--dry-run").stdout
    assert told.replace("bring", "send").replace("here", "there") == counted
    assert held(other) == set()


def test_large_object_in_parts(s3: S3, tmp_path: Path) -> None:
    """An object of several parts arrives as it was, and comes back as it was."""
    there, kept = here(s3, tmp_path)
    digest = kept.put(os.urandom(LARGE))
    there.push([digest], kept, str)
    assert there.get(digest) == kept.get(digest)
    other = Store(tmp_path / "other")
    assert there.fetch([digest], other, str) == []
    assert other.is_whole(digest)


def test_missing_is_none(s3: S3, tmp_path: Path) -> None:
    """What the remote lacks is None to get, named by fetch, and no error of either."""
    there, kept = here(s3, tmp_path)
    digest = kept.put(b"")
    assert (there.get(digest), there.fetch([sha256(b"a"), digest], kept, str)) == (None, [sha256(b"a")])
    there.push([digest], kept, str)
    assert there.get(digest) == b""


def test_no_remote_told(tiny: Tiny) -> None:
    """Without a remote in the settings, push and pull say where to name one."""
    assert remote.of(sections.Store()) is None
    for verb in ("push", "pull"):
        ended = tiny.samebook("store", verb)
        assert ended.code == 2
        assert (
            "store: {url: s3://bucket/prefix}` in environments/dev.yml, or export SAMEBOOK_STORE__URL" in ended.stderr
        )


# --- Damage ---------------------------------------------------------------------------------------------------


def test_damaged_there_never_enters(s3: S3, tmp_path: Path) -> None:
    """A damaged object in the bucket is named and stays out, the others come; `push --again` mends it."""
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    made = ran(one, b"a")
    one.samebook("store", "push")
    s3.put(sha256(b"a"), b"b")
    hand_over(one, other)
    pulled = other.samebook("store", "pull")
    assert pulled.code == 1
    assert f"damaged: {sha256(b'a')[:12]}…, outputs/0 of {RUN}" in pulled.stderr
    assert "samebook store push --again" in pulled.stderr
    assert held(other) == made - {sha256(b"a")}
    one.samebook("store", "push", "--again")
    assert other.samebook("store", "pull").code == 0


@pytest.mark.parametrize("content", [b"a", bytes(LARGE)])
def test_damaged_there_is_refused(content: bytes, s3: S3, tmp_path: Path) -> None:
    """get raises DamagedObject for other bytes; fetch names it as good as missing, and leaves no trace of it."""
    there, kept = here(s3, tmp_path)
    s3.put(sha256(content), content[:-1] + b"b")
    with pytest.raises(DamagedObject, match=f"object {sha256(content)[:12]}… is damaged"):
        there.get(sha256(content))
    assert there.fetch([sha256(content)], kept, str) == [sha256(content)]
    assert [path for path in kept.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("size", [10, LARGE])
def test_damaged_here_is_not_sent(size: int, s3: S3, tmp_path: Path) -> None:
    """An object that is damaged here is reported, and never seen in the bucket, in parts or whole."""
    there, kept = here(s3, tmp_path)
    digest, other = kept.put(os.urandom(size)), kept.put(b"whole")
    damage(kept.path(digest))
    found = there.push([digest, other], kept, str)
    assert (found.damaged, found.moved) == ([digest], [other])
    assert s3.names() == {other}


def test_damaged_here_is_brought(s3: S3, tmp_path: Path) -> None:
    """pull mends what is damaged here."""
    one = machine(tmp_path / "one", s3)
    ran(one, b"a")
    one.samebook("store", "push")
    damage(Store(one.root / "store").path(sha256(b"a")))
    assert one.samebook("store", "pull").stdout.startswith("brought 1 objects, ")
    assert one.samebook("store", "verify").code == 0


def test_nowhere_is_named(s3: S3, tmp_path: Path) -> None:
    """What a receipt needs and neither store nor bucket has is named; the rest is sent all the same."""
    one = machine(tmp_path / "one", s3)
    made = ran(one, b"a")
    Store(one.root / "store").path(sha256(b"a")).unlink()
    pushed = one.samebook("store", "push")
    assert pushed.code == 1
    assert f"sent {len(made) - 1} objects" in pushed.stderr
    assert f"missing: {sha256(b'a')[:12]}…, outputs/0 of {RUN}" in pushed.stderr


@pytest.mark.parametrize("size", [100, LARGE])
def test_changed_on_its_way_out(size: int, s3: S3, tmp_path: Path) -> None:
    """Bytes that change between here and the server are refused by the server: it has the sha256 of what was sent."""
    with changing_wire(s3) as endpoint:
        there, kept = here(s3, tmp_path, endpoint=endpoint)
        digest = kept.put(bytes(size) + MARK)
        with pytest.raises(bucket.RemoteError, match="answers 400 BadDigest"):
            there.push([digest], kept, str)
    assert s3.names() == set()


def test_changed_on_its_way_in(s3: S3, tmp_path: Path) -> None:
    """Bytes that change between the server and here are noticed, and don't enter the store."""
    digest = sha256(MARK)
    s3.put(digest, MARK)
    with changing_wire(s3) as endpoint:
        there, kept = here(s3, tmp_path, endpoint=endpoint)
        assert there.fetch([digest], kept, str) == [digest]
    assert not kept.has(digest)
    assert here(s3, tmp_path)[0].fetch([digest], kept, str) == []


# --- The server says no, or nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["push", "pull"])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"S3_TEXT": "not-the-text-of-the-key"}, "denies access (403 SignatureDoesNotMatch)"),
        ({"S3_KEY": "NOBODYS-KEY"}, "denies access (403 InvalidAccessKeyId)"),
        ({"SAMEBOOK_STORE__URL": "s3://nosuch/a"}, "s3://nosuch/a: there is no such bucket at http://127.0.0.1:"),
        ({"SAMEBOOK_STORE__ENDPOINT": "http://127.0.0.1:1"}, "at http://127.0.0.1:1: the connection is refused"),
        ({"SAMEBOOK_STORE__ENDPOINT": "http://nosuch.invalid"}, "at http://nosuch.invalid: no such host"),
    ],
)
def test_denied_or_down(verb: str, changes: dict[str, str], told: str, s3: S3, tmp_path: Path) -> None:
    """A wrong key, a missing bucket and a server that is down are told within seconds, without the key."""
    one = machine(tmp_path / "one", s3)
    ran(one, b"a")
    start = time.monotonic()
    ended = one.samebook("store", verb, **changes)
    assert ended.code == 1
    assert told in keyless(ended)
    assert "not-the-text" not in ended.stderr
    assert time.monotonic() - start < 15


def pushing(one: Tiny, s3: S3) -> subprocess.Popen[str]:
    """A push under way: some objects are there, others aren't."""
    process = one.start("store", "push", "--jobs", "1")
    wait_until(s3.names)
    assert process.poll() is None
    return process


def test_denied_in_mid_push(s3: S3, tmp_path: Path) -> None:
    """A key that loses its right to write ends the push; once it may again, the next one goes on from there."""
    one = machine(tmp_path / "one", s3)
    ran(one, *MANY)
    process = pushing(one, s3)
    s3.allow("Read", "List")
    stdout, stderr = process.communicate(timeout=60)
    assert "denies access (403 AccessDenied)" in keyless(Result(process.returncode, stdout, stderr))
    assert process.returncode == 1
    resumes(one, s3)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_push_goes_on(signum: signal.Signals, code: int, s3: S3, tmp_path: Path) -> None:
    """A push that is killed or stopped leaves whole objects only; the next one sends the others."""
    one = machine(tmp_path / "one", s3)
    ran(one, *MANY)
    process = pushing(one, s3)
    process.send_signal(signum)
    process.communicate(timeout=60)
    assert process.returncode == code
    resumes(one, s3)


def resumes(one: Tiny, s3: S3) -> None:
    """Push again: what is there is whole and is not sent again, and then all is there."""
    found = s3.objects()
    assert {name for name, content in found.items() if sha256(content) != name} == set()
    assert 0 < len(found) < len(held(one))
    s3.allow("Read", "Write", "List")
    assert one.samebook("store", "push").stdout.endswith(f"; {len(found)} were there\n")
    assert s3.names() == held(one)


def test_killed_pull_goes_on(s3: S3, tmp_path: Path) -> None:
    """A pull that is killed leaves no half object under an object's name; the next one brings the others."""
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    ran(one, *MANY)
    one.samebook("store", "push")
    hand_over(one, other)
    process = other.start("store", "pull", "--jobs", "1")
    wait_until(lambda: held(other))
    process.kill()
    process.communicate(timeout=60)
    assert Store(other.root / "store").damaged() == []
    assert other.samebook("store", "pull").code == 0
    assert held(one) <= held(other)


def test_full_disk_told(s3: S3, tmp_path: Path) -> None:
    """A pull onto a full disk says so, and leaves nothing half-written."""
    if subprocess.run(("unshare", "-m", "true"), capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs a small one to be mounted, which only root may")
    one, other = machine(tmp_path / "one", s3), machine(tmp_path / "other", s3)
    ran(one, bytes(2**20))
    one.samebook("store", "push")
    hand_over(one, other)
    (other.root / "store").mkdir()
    command = ("unshare", "-m", "sh", "-c", SMALL_DISK, "sh", *other.command("store", "pull"))
    ended = subprocess.run(
        command, cwd=other.root, env=other.environ(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "No space left on device" in ended.stderr
    assert {len(Path(line).name) for line in (other.root / "left").read_text().splitlines()} <= {64}


# --- Settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"access_key": None}, "one of store.access_key and store.secret_key"),
        ({"url": "s3://samebook/a/../b"}, "found s3://samebook/a/../b"),
    ],
)
def test_wrong_settings_told(changes: dict[str, str], told: str, s3: S3, tmp_path: Path) -> None:
    """Half a key, and a path that climbs, are refused."""
    with pytest.raises(UsageError, match=told):
        here(s3, tmp_path, **changes)


def test_no_key(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key requests are not signed; at AWS the machine's role is asked for, and a lack of one told."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    none = {"access_key": None, "secret_key": None}
    with pytest.raises(bucket.RemoteError, match=r"denies access \(403 AccessDenied\)"):
        here(s3, tmp_path, **none)[0].get(sha256(b""))
    with pytest.raises(bucket.RemoteError, match="settings name no key, and this machine has none"):
        here(s3, tmp_path, **none, endpoint="")[0].get(sha256(b""))


def test_other_keys_around(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that are meant for other S3 clients don't mix with the key and endpoint that settings name."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-key")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    there, kept = here(s3, tmp_path)
    assert there.push([kept.put(b"a")], kept, str).moved == [sha256(b"a")]


def test_url_in_any_shape(s3: S3, tmp_path: Path) -> None:
    """A slash too many in URL or endpoint is none; without a prefix the objects are at the bucket's top."""
    there, kept = here(s3, tmp_path, url=f"s3://samebook//{s3.prefix}/", endpoint=f"{s3.endpoint}/")
    there.push([kept.put(b"a")], kept, str)
    assert s3.objects() == {sha256(b"a"): b"a"}
    assert here(s3, tmp_path, url="s3://samebook")[0].bucket.prefix == ""
