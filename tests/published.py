"""Checkouts with published images, which no registry has."""

import subprocess
from pathlib import Path

from samebook.core.workspace import Workspace
from samebook.environment.sections import Published
from samebook.release import publication

NAME = "registry.example.com:5000/team/churn"
IMAGES = [f"{NAME}@sha256:{digit * 64}" for digit in "abc"]


def of(commit: str, image: str = IMAGES[0]) -> Published:
    return Published(commit=commit, runtime=image)


class Checkout:
    """A repository with settings of prod and preprod, and a notebook."""

    def __init__(self, root: Path) -> None:
        self.root, self.workspace = root, Workspace(root)
        self.git("init", "--quiet", "--initial-branch=main")
        self.write("environments/prod.yml", "promotion: {pinned_image: true}\n")
        self.write("environments/preprod.yml", "cell_timeout: 60\n")
        self.write("environments/runtime.txt", "")
        self.write("Dockerfile", "")
        self.write("notebooks/train.ipynb", "{}")
        self.first = self.commit()

    def git(self, *arguments: str) -> str:
        command = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments)
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout.strip()

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a")
        return self.git("rev-parse", "HEAD")

    def publish(self, env: str, published: Published) -> str:
        path = self.root / "environments" / f"{env}.yml"
        path.write_bytes(publication.written(path.read_bytes(), published, path))
        return self.commit()
