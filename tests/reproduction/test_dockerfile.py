"""The Dockerfile of a stranger's commit takes no image of this machine."""

import shutil
from pathlib import Path

import pytest
from promoting import clone
from reproducing import commit, make_repository
from tiny import CHECKOUT, git

from samebook.core.errors import EnvironmentMismatch, UsageError
from samebook.reproduction import dockerfile
from samebook.reproduction.front import PATCH, Front

pytestmark = [pytest.mark.host, pytest.mark.forger]
DIGEST = f"python:3.13@sha256:{'a' * 64}"
COMMIT = "c" * 40
PLAIN = f"ARG BASE_IMAGE={DIGEST}\nARG SYSTEM=base\nFROM ${{BASE_IMAGE}} AS base\nFROM ${{SYSTEM}} AS runtime\n"


@pytest.fixture(autouse=True)
def _without_index(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in dockerfile.ADDRESSES:
        monkeypatch.delenv(name, raising=False)


def test_own_dockerfile_is_taken(tmp_path: Path) -> None:
    """This project's Dockerfile, one that is written in other ways, and none at all are taken."""
    dockerfile.check(tmp_path, COMMIT, "")
    shutil.copyfile(CHECKOUT / "Dockerfile", tmp_path / "Dockerfile")
    dockerfile.check(tmp_path, COMMIT, "samebook-base:trixie")
    lines = "from --platform=linux/amd64 base as Other\nCOPY --from=other a b\nCOPY --from=0 a b\nFROM scratch\n"
    (tmp_path / "Dockerfile").write_text(f"{PLAIN}{lines}RUN --mount=type=bind,from='{DIGEST}',target=/x true\n")
    dockerfile.check(tmp_path, COMMIT, "")
    (tmp_path / "Dockerfile").write_text(PLAIN.replace(DIGEST, "python:3.13"))
    dockerfile.check(tmp_path, COMMIT, "samebook-base:trixie")  # which make says in its place
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "apt.lock").touch()
    with pytest.raises(UsageError, match="the image 'system'"):
        dockerfile.check(tmp_path, COMMIT, "samebook-base:trixie")


@pytest.mark.parametrize(
    "text",
    [
        f"{PLAIN}COPY --from=private:latest /secret /\n",
        f"{PLAIN}copy --FROM=private:latest /secret /\n",
        f'{PLAIN}RUN --mount=type=bind,from="private:latest",target=/x cat /x/secret\n',
        f"{PLAIN}RUN --mount=type=bind,target=/x,\\\n# more\nfrom=private:latest cat /x/secret\n",
        f"{PLAIN}FROM private:latest\n",
        f"{PLAIN}FROM \\\n  private:latest\n",
        f"{PLAIN}fr\\\nom private:latest\n",
        PLAIN.replace(DIGEST, "private:latest"),
        PLAIN.replace("SYSTEM=base", "SYSTEM=private:latest"),
        f"ARG A=1 B=private:latest\n{PLAIN}FROM $B\n",
        f"{PLAIN}FROM ${{SYSTEM:-private:latest}}\n",
        f"{PLAIN}FROM private${{SYSTEM}}\n",
        f"{PLAIN}FROM private AS private\n",
        f"{PLAIN}COPY --from=private /secret /\nFROM base AS private\n",
        f"{PLAIN}# a comment \\\nFROM private:latest\n",
        f"\ufeffFROM private:latest\n{PLAIN}",
        f'{PLAIN}COPY --fr"om"=private:latest /secret /\n',
        f"{PLAIN}COPY --fr\\om=private:latest /secret /\n",
        f"{PLAIN}ONBUILD COPY --from=private:latest /secret /\n",
    ],
)
def test_image_of_this_machine_refused(text: str, tmp_path: Path) -> None:
    """An image without a digest, however it is named, is refused before anything is built."""
    (tmp_path / "Dockerfile").write_text(text)
    with pytest.raises(UsageError, match=r"private.*, which this machine alone may have"):
        dockerfile.check(tmp_path, COMMIT, "")


@pytest.mark.parametrize(
    "text",
    [
        f"# syntax=private:latest\n{PLAIN}",
        f"//  Syntax = private:latest\n{PLAIN}",
        f"# escape=`\n{PLAIN}COPY --fro`\nm=private:latest /secret /\n",
        f"{PLAIN}RUN <<END\nFROM base AS private\nEND\nCOPY --from=private /secret /\n",
        f"{PLAIN}RUN true\rFROM base AS private\nCOPY --from=private /secret /\n",
        f"{PLAIN}RUN true \\\\\nFROM private:latest\n",
        f"{PLAIN}FROM\vprivate:latest\n",
        f"{PLAIN}\u00a0FROM private:latest\n",
        f"{PLAIN}RUN --mount=type=bind,target=/m\\\n\x1c#,from=private:latest,source=/ true\n",
        f"{PLAIN}RUN --mount=type=bind,target=/m\\\n\x1c\n,from=private:latest,source=/ true\n",
        f"{PLAIN}# caf\u00e9 \x1d\n",
        f'ARG A={DIGEST}\nARG "A"=private:latest\nFROM $A\n',
        f'{PLAIN}FROM --platform="linux base" private:latest\n',
    ],
)
def test_unclear_line_refused(text: str, tmp_path: Path) -> None:
    """A line by which the build may read other instructions than the check is refused."""
    (tmp_path / "Dockerfile").write_bytes(text.encode())
    with pytest.raises(UsageError, match="by which its build may read other instructions"):
        dockerfile.check(tmp_path, COMMIT, "")


def test_number_is_a_stage_for_copies_alone(tmp_path: Path) -> None:
    """A stage can be named by its number where files are copied from; a FROM with a number takes an image."""
    (tmp_path / "Dockerfile").write_text(f"# check=skip=all\n{PLAIN}COPY --from=0 a b\nFROM 0\n")
    with pytest.raises(UsageError, match="takes the image '0'"):
        dockerfile.check(tmp_path, COMMIT, "")


@pytest.mark.parametrize("name", dockerfile.ADDRESSES)
def test_password_of_an_index_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of a package index does not reach the build of a stranger; an address without one does."""
    (tmp_path / "Dockerfile").write_text(PLAIN)
    monkeypatch.setenv(name, "https://index.example/simple")
    dockerfile.check(tmp_path, COMMIT, "")
    monkeypatch.setenv(name, "me:secret@index.example:3128")
    with pytest.raises(UsageError, match=f"{name} has a password") as refusal:
        dockerfile.check(tmp_path, COMMIT, "")
    assert "secret" not in str(refusal.value)


def test_strangers_build_does_not_begin(tmp_path: Path) -> None:
    """No image of a stranger's commit is built with one of this machine; a commit of this branch may take any."""
    caller = make_repository(tmp_path / "caller")
    (caller.root / "Dockerfile").write_text("FROM private:latest\n")
    commit(caller)
    stranger = clone(caller, tmp_path / "stranger")
    assert Front(caller.root, stranger.root, "docker")._image({}) == [PATCH, "TARGETS=runtime"]
    git(stranger, "commit", "--quiet", "--allow-empty", "-m", "mine")
    with pytest.raises(UsageError, match="takes the image 'private:latest'"):
        Front(caller.root, stranger.root, "docker").environment({})


def test_strangers_failure_leads_nobody_to_the_local_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that fails on purpose has no command named that would run the stranger's commit on this machine."""
    caller = make_repository(tmp_path / "caller")
    stranger = clone(caller, tmp_path / "stranger")
    monkeypatch.setattr(Front, "_make", lambda *_: 2)
    front = Front(caller.root, stranger.root, "docker")
    with pytest.raises(EnvironmentMismatch) as own:
        front.environment({})
    git(stranger, "commit", "--quiet", "--allow-empty", "-m", "mine")
    with pytest.raises(EnvironmentMismatch) as strange:
        front.environment({})
    assert [error.value.mend for error in (own, strange)] == [
        "again, with ENGINE=local",
        f"git show {git(stranger, 'rev-parse', 'HEAD')[:12]}:Dockerfile",
    ]
