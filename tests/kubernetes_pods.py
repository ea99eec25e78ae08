"""Pods of a stand-in for Kubernetes, as processes in a copy of the committed files."""

import shutil
import subprocess
from pathlib import Path

from kubernetes_cluster import Ended, Pod
from tiny import PATIENCE, Tiny, git, image_python

IMAGE = f"registry.example.com/samebook@sha256:{'1' * 64}"
PARAMETERS = "n: int = 1"
WORK = """
import samebook
samebook.log_metrics({"score": -(n - 3) ** 2})
samebook.output_path("n.txt").write_text(f"{n}")
"""


class Pods:
    """Pods as processes: each in a fresh copy of the image, which has the committed files of a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.image, self.number = folder, folder / "image", 0
        self.python = image_python(folder / "environment")
        self.ended: list[Ended] = []

    def build(self, tiny: Tiny) -> None:
        shutil.rmtree(self.image, ignore_errors=True)
        shutil.copytree(tiny.root, self.image, ignore=shutil.ignore_patterns(".git", "runs", "store", "data", "hold"))

    def __call__(self, pod: Pod) -> Ended:
        self.number += 1
        folder = self.folder / f"pod-{self.number}"
        shutil.copytree(self.image, folder / "workspace")
        for name, text in pod.files.items():
            (folder / name).write_text(text)
        program = [*pod.container["command"], *pod.container.get("args", ())]
        command = [part.replace("/etc/samebook", str(folder)) for part in program]
        assert command[0] == "python"
        env = {**Tiny(folder / "workspace").environ(), **pod.env}
        process = subprocess.Popen(
            [self.python, *command[1:]],
            cwd=folder / "workspace",
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while process.poll() is None:
            if pod.stop.wait(0.1):
                process.terminate()
                process.wait(PATIENCE)
        assert process.stdout is not None
        self.ended.append(Ended(process.returncode, process.stdout.read()))
        return self.ended[-1]


def commit(tiny: Tiny, pods: Pods, work: str = WORK) -> None:
    """Commit the notebook with this work, and make the image of it."""
    tiny.notebook("train", parameters=PARAMETERS, work=work)
    (tiny.root / ".gitignore").write_text("/runs/\n/store/\n/data/\n/hold\n/.samebook/\n")
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "--message", "work")
    pods.build(tiny)
