"""Podman in Docker's place: a user without root and without a daemon has the image, and the same bytes from it."""

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from containers import CHECKOUT, NOBODY, Start, base, output
from docker.models.images import Image

# A user of their own makes the whole image.
pytestmark = pytest.mark.long
NAME = "samebook-podman"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
SMALL = {"as_of": "2013-06-30", "train_days": "10", "holdout_days": "3", "n_estimators": "20"}


class User:
    """A user of this machine, with numbers of their own for what is inside of containers, and a clone."""

    def __init__(self) -> None:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", NAME], check=True)
        self.entry = pwd.getpwnam(NAME)
        self.home = Path(self.entry.pw_dir)
        self.clone = self.home / "clone"
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(self.clone)], check=True)
        for name in (".config/containers", "run"):
            (self.home / name).mkdir(parents=True)
        settings = self.home / ".config" / "containers"
        # crun refuses a machine with cgroups of both versions; layers on layers need a program that runs in user space.
        (settings / "containers.conf").write_text('[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n')
        kind = subprocess.run(["stat", "-f", "-c", "%T", str(self.home)], capture_output=True, text=True, check=True)
        program = '[storage.options.overlay]\nmount_program = "/usr/bin/fuse-overlayfs"\n'
        on_layers = kind.stdout.strip().startswith("overlay")
        (settings / "storage.conf").write_text('[storage]\ndriver = "overlay"\n' + (program if on_layers else ""))
        self.own()

    def own(self) -> None:
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, self.entry.pw_uid, self.entry.pw_gid, follow_symlinks=False)
        (self.home / "run").chmod(0o700)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        env = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "PATH": os.defpath + ":/usr/local/bin",
        }
        env |= {name: os.environ[name] for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX") if name in os.environ}
        env |= {"BASE_IMAGE": base(), "SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE", CERTIFICATES)}
        command = ("setpriv", "--reuid", NAME, "--regid", NAME, "--init-groups", *command)
        return subprocess.run(command, cwd=self.clone, env=env, capture_output=True, text=True, check=False)

    def remove(self) -> None:
        # All that is theirs, and nobody else's: containers, and the service that make has started for them.
        subprocess.run(["pkill", "--signal", "KILL", "--uid", NAME], check=False)
        subprocess.run(["userdel", "--force", "--remove", NAME], capture_output=True, check=False)
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture(scope="module")
def user(engine: docker.DockerClient, build: None) -> Iterator[User]:
    """The user, whose Podman has the base of this checkout; afterwards nothing is left of them."""
    del build, engine
    programs = ("podman", "catatonit", "newuidmap", "slirp4netns", "setpriv")
    if missing := [name for name in programs if not shutil.which(name)]:
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse(f"ENGINE=podman is not tested: {missing[0]} is not installed")
    if os.geteuid():
        pytest.skip("ENGINE=podman is not tested: only root can make the user who runs it")
    user = User()
    try:
        archive = user.home / "base.tar"
        subprocess.run(["docker", "save", base(), "--output", str(archive)], check=True)
        user.own()
        loaded = user.run("podman", "load", "--quiet", "--input", str(archive))
        assert loaded.returncode == 0, loaded.stderr
        yield user
    finally:
        user.remove()


def test_same_bytes(user: User, runtime: Image, start: Start, tmp_path: Path) -> None:
    """A training has the subjects that it has in Docker's image; its files are those of the caller."""
    given = "PARAMS=" + " ".join(f"{name}={value}" for name, value in SMALL.items())
    done = user.run("make", "run", "NOTEBOOK=train", given, "ENGINE=podman")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "engine: docker (Podman)" in done.stderr
    written = [path for name in ("runs", "store", "data") for path in (user.clone / name).rglob("*")]
    assert {path.lstat().st_uid for path in written} == {user.entry.pw_uid}
    volumes = {}
    for name in ("runs", "store", "data"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, NOBODY, NOBODY)
        volumes[str(tmp_path / name)] = {"bind": f"/workspace/{name}", "mode": "rw"}
    parameters = [word for name, value in SMALL.items() for word in ("-p", f"{name}={value}")]
    output(start(runtime, "run", "train", *parameters, volumes=volumes))
    podman, in_docker = (
        json.loads(next(folder.glob("runs/*-train-*/receipt.json")).read_text()) for folder in (user.clone, tmp_path)
    )
    assert podman["subject"] == in_docker["subject"]
    assert "outputs/model.ubj" in {subject["name"] for subject in podman["subject"]}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert commit.stdout.strip() in json.dumps(podman["predicate"]["buildDefinition"]["resolvedDependencies"])


def test_failed_run(user: User) -> None:
    """A run that fails in the container has its exit code, and nothing of it is left."""
    done = user.run("make", "run", "NOTEBOOK=nonsense", "ENGINE=podman")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no notebook 'nonsense'" in done.stderr
    assert user.run("podman", "ps", "--all", "--quiet").stdout == ""


def test_other_files_are_another_image(user: User) -> None:
    """What a step only has bound to it, not copied, decides too whether Podman makes it again."""
    lines = []
    for text in ("", "# another\n"):
        with (user.clone / "environments" / "lab.txt").open("a") as lock:
            lock.write(text)
        printed = user.run("make", "--dry-run", "images", "ENGINE=podman", "SYSTEM=").stdout
        lines.append(next(line for line in printed.splitlines() if "sed '" in line))
    assert lines[0] != lines[1]


def test_strangers_commit(user: User) -> None:
    """A commit that may be a stranger's is not built where its steps could be taken for one's own."""
    done = user.run("make", "images", "ENGINE=podman", "CACHE_NAMESPACE=" + "0" * 40)
    assert done.returncode == 2
    assert "Podman keeps no builds apart" in done.stderr
    assert "make reproduce … ENGINE=local" in done.stderr


def test_release_image(user: User) -> None:
    """The release image, which is the same for everybody, is Docker's alone."""
    done = user.run("make", "image", "ENGINE=podman")
    assert done.returncode == 2
    assert "make image ENGINE=docker" in done.stderr
