"""A project of the example `tiny`: made, cloned, the jobs of a forge committed, and keys that it trusts."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
from containers import CHECKOUT
from tiny import of_its_own_make

IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
OWNERS = "ada: {keys: [ada], signs: [runs, releases]}\nci: {keys: [ci], signs: [reproductions]}\n"
# A scheduled pipeline that trains, and compares with the champion.
CANDIDATE = """
parameters: {model: tumours}
steps:
  fit: {notebook: train}
  gate: {needs: [fit], parameters: {candidate: $fit, champion: $model}}
"""
POLICY = {"reproduced": True, "signed": True, "gate": {"notebook": "gate", "metric": "auc", "margin": 0}}


@contextmanager
def new(engine: docker.DockerClient, folder: Path, *variables: str) -> Iterator[Path]:
    """A new project in a folder that is not there yet, of its name; its images are gone at the end."""
    make(CHECKOUT, "new", f"PROJECT={folder}", "EXAMPLE=tiny", *variables)
    yield folder
    for image in engine.images.list():
        for tag in (*image.tags, *image.attrs.get("RepoDigests", [])):
            if tag.startswith(f"{folder.name}:") or f"/team/{folder.name}" in tag:
                with suppress(docker.errors.ImageNotFound):
                    engine.images.remove(tag, force=True)


def make(folder: Path, *words: str, **variables: str) -> str:
    """Make, as a person on the local engine calls it."""
    env = {**of_its_own_make(), **IDENTITY, **variables}
    command = ["make", "--silent", *words, "ENGINE=local"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    env = {**os.environ, **IDENTITY}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def key(folder: Path, name: str) -> str:
    """A new private key, whose public one is trusted in a checkout; its text."""
    private, trusted = folder.parent / f"{name}.pem", folder / "environments" / "trusted-keys" / f"{name}.pem"
    trusted.parent.mkdir(exist_ok=True)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", trusted], check=True)
    return private.read_text()


def cloned(project: Path, folder: Path) -> Path:
    """A clone on main."""
    folder.mkdir()
    git(folder, "clone", "--quiet", str(project), project.name)
    return folder / project.name


def commit_jobs(clone: Path, forge: str) -> None:
    """Commit the jobs of a forge, with all that is there."""
    make(clone, "ci", f"AS={forge}", "INTO=.", "ENV=preprod", "OWNERS=@ada")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "jobs")
