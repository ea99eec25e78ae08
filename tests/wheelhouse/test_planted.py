"""What others may plant: beside a download, in a bucket's lists, and in the tree that make works on."""

import hashlib
import io
import os
import subprocess
import tarfile
import urllib.error
import zipfile
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest
from published import Checkout
from tiny import CHECKOUT, Tiny

from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.store.objects import Store
from samebook.verbs import promote
from samebook.wheelhouse import environments, exchange, first_pull, lists, pinned_base
from samebook.wheelhouse.environments import Platform
from samebook.wheelhouse.lists import KeptFiles

HOST = CHECKOUT / "environments" / "host"
LOCK = "0" * 64
BACKEND = """
import os
from pathlib import Path
if {is_planted}:
    Path({mark!r}).touch()
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    notes = Path(folder) / "gravel-1.0.dist-info"
    notes.mkdir()
    (notes / "METADATA").write_text("Metadata-Version: 2.1\\nName: gravel\\nVersion: 1.0\\n")
    return notes.name
def build_wheel(*arguments, **options):
    raise NotImplementedError
"""


def backend(version: str, code: str) -> bytes:
    """A wheel of what builds the source distribution."""
    notes, content = f"mason-{version}.dist-info", io.BytesIO()
    files = {
        "mason.py": code,
        f"{notes}/METADATA": f"Metadata-Version: 2.1\nName: mason\nVersion: {version}\n",
        f"{notes}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{notes}/RECORD": "",
    }
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def source() -> bytes:
    """A source distribution that any version of it may build."""
    content, text = io.BytesIO(), b'[build-system]\nrequires = ["mason"]\nbuild-backend = "mason"\n'
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        entry = tarfile.TarInfo("gravel-1.0/pyproject.toml")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return content.getvalue()


def test_builds_by_what_the_lock_names(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a source distribution pip makes the metadata by what the lock of builds has, and not by the index's newest."""
    mark, index, folder = tiny.root / "mark", tiny.root.with_name("index"), tiny.root / "environments"
    files = {"mason-1.0-py3-none-any.whl": backend("1.0", BACKEND.format(is_planted=False, mark=""))}
    files["mason-2.0-py3-none-any.whl"] = backend("2.0", BACKEND.format(is_planted=True, mark=str(mark)))
    files["gravel-1.0.tar.gz"] = source()
    for name, content in files.items():
        page = index / name.partition("-")[0]
        page.mkdir(parents=True, exist_ok=True)
        (page / name).write_bytes(content)
        (page / "index.html").open("a").write(f'<a href="{name}">{name}</a>')
    for name in environments.LOCKS:
        (folder / name).unlink(missing_ok=True)
    hashes = {name.partition(".")[0]: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / "build.txt").write_text(f"mason==1.0 --hash=sha256:{hashes['mason-1']}\n")
    (folder / "runtime.txt").write_text(f"gravel==1.0 --hash=sha256:{hashes['gravel-1']}\n")
    (tiny.root / ".samebook").mkdir(exist_ok=True)
    (tiny.root / ".samebook" / "uv").symlink_to(CHECKOUT / ".samebook" / "uv")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", index.as_uri())
    workspace, store = Workspace(tiny.root), Store(tiny.root / "store")
    here = Platform("local")
    built = [index / "mason" / "mason-1.0-py3-none-any.whl"]
    lists.put(store, (folder / "build.txt").read_bytes(), built, here.name)  # kept already
    environments.keep(workspace, "", here, print)
    assert not mark.exists()
    assert environments.size(store, lists.digests(store))[0] == 2


@pytest.mark.fast
def test_list_of_a_bucket_takes_nothing_away(tmp_path: Path) -> None:
    """A bucket's list changes no name that leads to a whole object here, and mends one that leads to none."""
    store = Store(tmp_path)
    good, other = store.put(b"good"), store.put(b"other")
    lists.add(store, LOCK, KeptFiles({"a.whl": good, "lost.whl": "f" * 64}, frozenset({"here"})))
    exchange.pull(store, LOCK, KeptFiles({"a.whl": other, "lost.whl": other, "b.whl": other}))
    assert lists.read(store, LOCK).files == {"a.whl": good, "lost.whl": other, "b.whl": other}


class Planted:
    """A bucket with a list that somebody else has written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, _: str) -> list[bytes]:
        return [self.text.encode()]


@pytest.mark.fast
def test_list_of_a_bucket_is_no_proof() -> None:
    """That all of a platform's files are kept counts from an index alone; of an image only its archive counts."""
    text = f"# complete for local-linux-x86_64\n{'a' * 64}  a.whl\n{'b' * 64}  base-image.oci.tar\n"
    found = exchange.found(Planted(text), {LOCK: {"a" * 64}, "1" * 64: None})
    assert found == {LOCK: KeptFiles({"a.whl": "a" * 64}), "1" * 64: KeptFiles({"base-image.oci.tar": "b" * 64})}


@pytest.mark.fast
def test_first_pull_imports_nothing_of_the_tree(tmp_path: Path) -> None:
    """The working directory of make may be a stranger's tree: its modules are not those of the first pull."""
    package, mark = tmp_path / "samebook" / "wheelhouse", tmp_path / "mark"
    package.mkdir(parents=True)
    for name in ("../__init__.py", "__init__.py", "first_pull.py", "../../json.py"):
        (package / name).write_text(f"open({str(mark)!r}, 'w')\n")
    command = (HOST, "brought", "store", "none.yml", CHECKOUT / "scripts", LOCK)
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert "no bucket: store.url is not set" in done.stderr
    assert not mark.exists()


def test_first_pull_writes_nowhere_else(tmp_path: Path) -> None:
    """The digest in the name of a base image may be any text of a Dockerfile."""
    (tmp_path / "dev.yml").write_text("store: {url: s3://team}\n")
    with pytest.raises(ValueError, match="no digest of 64 digits"):
        first_pull.main(tmp_path / "store", tmp_path / "dev.yml", ["../../owned"])


def test_first_pull_goes_on_with_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is listed here is no end: what others have kept since comes too, a damaged file anew; one may be nowhere."""
    wheels = {"a.whl": b"a", "b.whl": b"b"}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in wheels.items()}
    store, lock = Store(tmp_path / "store"), tmp_path / "runtime.txt"
    lock.write_text("".join(f"{name}==1 --hash=sha256:{digest}\n" for name, digest in hashes.items()))
    there = {f"{digest[:2]}/{digest[2:4]}/{digest}": wheels[name] for name, digest in hashes.items()}
    nowhere = "c" * 64  # of another platform, say
    lock.write_text(f"{lock.read_text()}c==1 --hash=sha256:{nowhere}\n")
    listed = {**hashes, "c.whl": nowhere}
    there[f"kept/{sha256(lock)}"] = "".join(f"{digest}  {name}\n" for name, digest in listed.items()).encode()

    def opened(_: first_pull.Bucket, name: str) -> io.BytesIO:
        if name not in there:
            raise urllib.error.HTTPError(name, 404, "none", Message(), None)
        return io.BytesIO(there[name])

    monkeypatch.setattr(first_pull.Bucket, "open", opened)
    (tmp_path / "dev.yml").write_text("store: {url: s3://team/samebook}\n")
    store.put(b"a")
    lists.add(store, sha256(lock), KeptFiles({"a.whl": hashes["a.whl"]}, frozenset({"elsewhere"})))
    store.path(hashes["a.whl"]).chmod(0o644)
    store.path(hashes["a.whl"]).write_bytes(b"z")
    for _ in range(2):
        first_pull.main(store.root, tmp_path / "dev.yml", [str(lock)])
        assert lists.read(store, sha256(lock)) == KeptFiles(hashes, frozenset({"elsewhere"}))
        assert all(map(store.is_whole, hashes.values()))
        there.pop(f"kept/{sha256(lock)}", None)  # nobody lists it there any more: what is here stays


def test_base_is_that_of_the_commit(tmp_path: Path) -> None:
    """The environment of a commit has the base that it pins, and not today's; a base that was named stays."""
    checkout = Checkout(tmp_path)
    old, new = (f"python:3@sha256:{digit * 64}" for digit in "ab")
    checkout.write("Dockerfile", f"ARG BASE_IMAGE={old}\n")
    first = checkout.commit()
    checkout.write("Dockerfile", f"ARG BASE_IMAGE={new}\n")
    for commit, given, base in (("", new, new), (first, new, old), (first, "mine", "mine"), ("", "mine", "mine")):
        assert pinned_base.for_commit(checkout.workspace, commit, given) == base
    assert environments.digests(checkout.workspace, first) >= {"a" * 64}


def test_promotion_keeps_the_base_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A promotion keeps the base image that the run's receipt names, whatever make builds on today."""
    digest, kept = "a" * 64, list[Platform]()
    monkeypatch.setenv("BASE_IMAGE", f"python:4@sha256:{'b' * 64}")
    monkeypatch.setattr(promote.subcommand, "has_kernels", lambda: False)
    monkeypatch.setattr(environments, "keep", lambda *words: kept.append(words[2]) or environments.Kept({}))
    for uri in (f"python:3@sha256:{digest}", "mine"):
        facts = [{"name": "base image", "uri": uri}]
        statement = {"predicate": {"buildDefinition": {"resolvedDependencies": facts}}}
        promote._keep(SimpleNamespace(workspace=None, statement=statement), print)
    assert [platform.base_image for platform in kept] == [f"python:3@sha256:{digest}", os.environ["BASE_IMAGE"]]
