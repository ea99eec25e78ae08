"""Kept wheels: an environment is made from the store alone, by hash, when its index is gone."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from s3 import KEY, S3, TEXT
from tiny import CHECKOUT, Tiny, git

from samebook.core.digest import sha256
from samebook.core.errors import EnvironmentMismatch, SamebookError
from samebook.core.workspace import Workspace
from samebook.models import kept_environments, store_use
from samebook.reproduction.front import Front
from samebook.store.objects import HOUR, Store
from samebook.wheelhouse import environments, lists
from samebook.wheelhouse.environments import Platform
from samebook.wheelhouse.lists import KeptFiles

HOST = CHECKOUT / "environments" / "host"
UV = CHECKOUT / ".samebook" / "uv"
HERE = Platform("local")
NAME = "pebble_stone-1.0-py3-none-any.whl"


def wheel(text: str) -> bytes:
    """The bytes of a wheel whose one module holds a text."""
    notes = "pebble_stone-1.0.dist-info"
    files = {
        "pebble.py": f"TEXT = {text!r}\n",
        f"{notes}/METADATA": "Metadata-Version: 2.1\nName: pebble-stone\nVersion: 1.0\n",
        f"{notes}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{notes}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{notes}/RECORD"))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, lines in files.items():
            archive.writestr(zipfile.ZipInfo(name), lines)
    return content.getvalue()


WHEEL = wheel("the lock's")


@dataclass(frozen=True)
class Place:
    """A workspace whose lock names one wheel, and the folder that is its only index."""

    tiny: Tiny
    index: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.tiny.root)

    @property
    def store(self) -> Store:
        return Store(self.tiny.root / "store")

    @property
    def lock(self) -> Path:
        return self.tiny.root / "environments" / "runtime.txt"

    def installing(self, target: Path, **variables: str) -> subprocess.Popen[str]:
        """An installation of the lock from the kept wheels, in an empty home, without any index."""
        home = target.with_name(f"home-of-{target.name}")
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "UV_DEFAULT_INDEX": "http://127.0.0.1:9", **variables}
        install = ("pip", "install", "--quiet", "--require-hashes", "--target", str(target), "-r", str(self.lock))
        options = ("--python", sys.executable)
        command = (str(HOST), "from_kept", str(self.store.root), str(self.lock), "--", str(UV / "bin" / "uv"))
        return subprocess.Popen([*command, *install, *options], env=env, stderr=subprocess.PIPE, text=True)

    def installed(self, target: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """The end of such an installation."""
        process = self.installing(target, **variables)
        _, stderr = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, "", stderr)


@pytest.fixture
def place(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Place:
    index = tiny.root.with_name("index")
    (index / "pebble-stone").mkdir(parents=True)
    (index / "pebble-stone" / NAME).write_bytes(WHEEL)
    (index / "pebble-stone" / "index.html").write_text(f'<a href="{NAME}">{NAME}</a>')
    for name in environments.LOCKS:
        (tiny.root / "environments" / name).unlink(missing_ok=True)
    digest = hashlib.sha256(WHEEL).hexdigest()
    (tiny.root / "environments" / "runtime.txt").write_text(f"pebble-stone==1.0 \\\n    --hash=sha256:{digest}\n")
    (tiny.root / ".samebook").mkdir(exist_ok=True)
    (tiny.root / ".samebook" / "uv").symlink_to(UV)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", index.as_uri())
    monkeypatch.setenv("PIP_RETRIES", "0")
    return Place(tiny, index)


@pytest.fixture
def kept(place: Place) -> Place:
    environments.keep(place.workspace, "", HERE, print)
    (place.index / "pebble-stone" / NAME).unlink()
    return place


def test_installs_without_an_index(kept: Place, tmp_path: Path) -> None:
    """What the lock names comes from the store, in an empty home; what is kept is not asked for again."""
    target = tmp_path / "packages"
    ended = kept.installed(target)
    assert ended.returncode == 0, ended.stderr
    assert (target / "pebble.py").read_text() == 'TEXT = "the lock\'s"\n'
    environments.keep(kept.workspace, "", HERE, pytest.fail)
    assert environments.size(kept.store, lists.digests(kept.store)) == (1, len(WHEEL))


def test_damaged_object_is_named(kept: Place, tmp_path: Path) -> None:
    """A wheel with a flipped bit is named, with what brings it anew, and nothing is installed; keeping mends it."""
    victim = kept.store.path(sha256(WHEEL))
    victim.chmod(0o644)
    victim.write_bytes(WHEEL[:-1] + bytes([WHEEL[-1] ^ 1]))
    ended = kept.installed(tmp_path / "packages")
    assert ended.returncode != 0
    assert f"the store has {NAME} damaged" in ended.stderr
    assert not (tmp_path / "packages" / "pebble.py").exists()
    (kept.index / "pebble-stone" / NAME).write_bytes(WHEEL)
    environments.keep(kept.workspace, "", HERE, print)
    assert kept.installed(tmp_path / "packages").returncode == 0


@pytest.mark.parametrize("cache", ["/proc/none", "a cache with blanks"])
def test_cache_that_cannot_be_written(cache: str, kept: Place, tmp_path: Path) -> None:
    """Where the user's cache can't be written, or its path is no address, the index stands elsewhere, and goes."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    home = {"XDG_CACHE_HOME": str(tmp_path / cache), "UV_CACHE_DIR": str(tmp_path / "uv"), "TMPDIR": str(temporary)}
    ended = kept.installed(tmp_path / "packages", **home)
    assert ended.returncode == 0, ended.stderr
    assert list(temporary.iterdir()) == []


def test_two_at_once_and_one_killed(kept: Place, tmp_path: Path) -> None:
    """Two checkouts share the index in the user's cache, whatever a killed third has left of it."""
    other = Place(Tiny(Path(shutil.copytree(kept.tiny.root, tmp_path / "other", symlinks=True))), kept.index)
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    (tmp_path / "cache" / "samebook" / "wheels" / "pebble-stone").mkdir(parents=True)
    (tmp_path / "cache" / "samebook" / "wheels" / "pebble-stone" / NAME).symlink_to(tmp_path / "gone")
    killed = kept.installing(tmp_path / "killed", **cache)
    both = [place.installing(tmp_path / name, **cache) for name, place in {"one": kept, "two": other}.items()]
    killed.kill()
    killed.communicate()
    assert [(process.communicate()[1], process.returncode) for process in both] == [("", 0)] * 2


@pytest.mark.parametrize("name", [NAME, "pebble_stone-1.0-1-py3-none-any.whl", "../../pebble.whl", "/tmp/pebble.whl"])
def test_planted_wheel_is_refused(name: str, kept: Place, tmp_path: Path) -> None:
    """A wheel that somebody has put into the store, and into the list, is not taken: the lock has not its hash."""
    planted = kept.store.put(wheel("a stranger's"))
    file = lists.path(kept.store, sha256(kept.lock))
    file.write_text(f"{planted}  {name}\n" + ("" if name == NAME else file.read_text()))
    ended = kept.installed(tmp_path / "packages")
    module = tmp_path / "packages" / "pebble.py"
    assert "stranger" not in (module.read_text() if module.exists() else "")
    assert (ended.returncode == 0) == (name != NAME)


def test_commit_that_knows_no_store(kept: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reproduction of a commit whose make only knows an index gets that of the kept wheels, once its own fails."""
    checkout = tmp_path / "checkout"
    shutil.copytree(kept.tiny.root / "environments", checkout / "environments")
    (checkout / "environments" / "build.txt").write_text("")
    (checkout / "Makefile").write_text(
        ".PHONY: environment\nenvironment:\n"
        '\t@test "$$UV_OFFLINE" && test "$$PIP_INDEX_URL" = "$$UV_DEFAULT_INDEX" && \\\n'
        '\tgrep -q pebble_stone "$${UV_DEFAULT_INDEX#file://}/pebble-stone/index.html"\n'
    )
    shutil.copy(HOST, kept.tiny.root / "environments" / "host")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    front = Front(kept.tiny.root, checkout, "local")
    with pytest.raises(EnvironmentMismatch):  # its other lock is not kept
        front.environment({"PATH": os.environ["PATH"]})
    lists.put(kept.store, b"", [], HERE.name)
    front.environment({"PATH": os.environ["PATH"]})


def test_index_that_has_other_bytes(place: Place) -> None:
    """Where an index has other bytes under the name, or none, nothing is kept, and pip's own words are said."""
    (place.index / "pebble-stone" / NAME).write_bytes(wheel("another"))
    with pytest.raises(SamebookError, match="hash"):
        environments.keep(place.workspace, "", HERE, print)
    (place.index / "pebble-stone" / NAME).unlink()
    with pytest.raises(SamebookError, match="could not be downloaded"):
        environments.keep(place.workspace, "", HERE, print)
    assert lists.digests(place.store) == []


def test_lists_of_platforms_are_joined(kept: Place) -> None:
    """What another platform has kept for the same lock stays in its list."""
    digest = sha256(kept.lock)
    lists.add(kept.store, digest, KeptFiles({"other.whl": "0" * 64}, frozenset({"docker-linux-aarch64"})))
    both = lists.read(kept.store, digest)
    assert both.files == {NAME: sha256(WHEEL), "other.whl": "0" * 64}
    assert both.platforms == {HERE.name, "docker-linux-aarch64"}
    assert lists.parse(both.content()) == both


def test_gc_knows_what_is_needed(kept: Place) -> None:
    """Kept wheels stay as long as a branch has their lock, are missed where they are gone, and go after it."""
    for words in (("init", "--quiet", "--initial-branch=main"), ("add", "environments"), ("commit", "-qm", "one")):
        git(kept.tiny, *words)
    git(kept.tiny, "branch", "old")
    kept.lock.write_text("")
    git(kept.tiny, "commit", "-qam", "two")
    assert kept_environments.unneeded(kept.workspace) == set()
    store_use.gc(kept.workspace, dry_run=False)
    assert kept.store.is_whole(sha256(WHEEL))
    kept.store.path(sha256(WHEEL)).rename(kept.index / "away")
    assert store_use.report(kept.workspace).missing == {sha256(WHEEL): f"{NAME}, kept"}
    (kept.index / "away").rename(kept.store.path(sha256(WHEEL)))
    git(kept.tiny, "reset", "--hard", "-q", "HEAD~1")
    kept.lock.write_text("")
    git(kept.tiny, "commit", "-q", "--amend", "-am", "two alone")
    git(kept.tiny, "branch", "-D", "old")
    assert store_use.gc(kept.workspace, dry_run=True).reclaimable == len(WHEEL)
    store_use.gc(kept.workspace, dry_run=False, grace=HOUR)
    assert kept.store.has(sha256(WHEEL))
    assert lists.digests(kept.store) != []
    store_use.gc(kept.workspace, dry_run=False)
    assert not kept.store.has(sha256(WHEEL))
    assert lists.digests(kept.store) == []


def first_pull(store: Path, place: Place, **secrets: str) -> subprocess.CompletedProcess[str]:
    """The end of the first pull of a machine with this machine's oldest Python, no package, and these secrets."""
    settings = place.tiny.root / "environments" / "dev.yml"
    command = (str(HOST), "brought", str(store), str(settings), str(CHECKOUT / "scripts"), str(place.lock))
    env = {"PATH": os.environ["PATH"], **secrets}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.host
def test_shared_in_a_bucket(kept: Place, s3: S3, tmp_path: Path) -> None:
    """Kept wheels go to the bucket and come from it: by `pull`, and without samebook, on a machine that has nothing."""
    (kept.tiny.root / "environments" / "dev.yml").write_text(s3.settings())
    sent = kept.tiny.samebook("store", "push")
    assert sent.stdout.startswith("sent 1 objects"), sent.stderr
    digests = {sha256(WHEEL), sha256(kept.lock)}
    assert s3.names() == digests

    bare = tmp_path / "bare"
    refused = first_pull(bare, kept)
    assert refused.returncode != 0
    assert "it answers 403" in refused.stderr
    secrets = {"S3_KEY": KEY, "S3_TEXT": TEXT}
    ended = first_pull(bare, kept, **secrets)
    assert ended.returncode == 0, ended.stderr
    assert TEXT not in ended.stderr + refused.stderr
    assert Store(bare).is_whole(sha256(WHEEL))
    assert lists.read(Store(bare), sha256(kept.lock)).files == {NAME: sha256(WHEEL)}

    store = kept.store.root.rename(tmp_path / "away")
    pulled = kept.tiny.samebook("store", "pull")
    assert pulled.stdout.startswith("brought 1 objects"), pulled.stderr
    # That nothing of a platform is missing is no word that a bucket can give.
    assert lists.read(kept.store, sha256(kept.lock)) == KeptFiles(lists.read(Store(store), sha256(kept.lock)).files)
    assert kept.installed(tmp_path / "packages").returncode == 0


@pytest.mark.host
def test_planted_in_a_bucket(kept: Place, s3: S3, tmp_path: Path) -> None:
    """What is planted in the bucket is not taken: other bytes under an object's name, files that the lock has not."""
    (kept.tiny.root / "environments" / "dev.yml").write_text(s3.settings())
    assert kept.tiny.samebook("store", "push").code == 0
    other, secrets = wheel("a stranger's"), {"S3_KEY": KEY, "S3_TEXT": TEXT}
    s3.bucket().put(s3.path(sha256(WHEEL)), other)
    ended = first_pull(tmp_path / "bare", kept, **secrets)
    assert ended.returncode != 0
    assert "is damaged there" in ended.stderr
    assert not list((tmp_path / "bare").glob("*/*/*"))
    s3.bucket().put(s3.path(sha256(other)), other)
    s3.bucket().put(f"{s3.prefix}/kept/{sha256(kept.lock)}", f"{sha256(other)}  {NAME}\n".encode())
    shutil.rmtree(kept.store.root)
    assert first_pull(kept.store.root, kept, **secrets).returncode == 0
    assert not kept.store.has(sha256(other))
    assert kept.tiny.samebook("store", "pull").code == 0
    assert not kept.store.has(sha256(other))
    assert kept.installed(tmp_path / "packages").returncode != 0
