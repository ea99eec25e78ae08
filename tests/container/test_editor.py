"""The container that an editor opens: by the command line of Dev Containers, as VS Code does it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from containers import NOBODY, base
from tiny import PATIENCE, Tiny

CLI = "@devcontainers/cli@0.89.0"
SHOW = "import json, os\nwith open('../{name}.json', 'w') as file: json.dump(dict(os.environ), file)"
# VS Code starts a kernel by itself, without a provisioner.
KERNEL = """
import os, sys
os.environ["JUPYTER_DEFAULT_PROVISIONER_NAME"] = "local-provisioner"
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(cwd="notebooks")
client.execute_interactive(sys.argv[1])
manager.shutdown_kernel(now=True)
"""


@dataclass(frozen=True)
class Editor:
    """A checkout that is open in its container: what the command line said, and the facts that the engine has."""

    checkout: Path
    said: dict[str, Any]
    facts: dict[str, Any]

    def run(self, *command: str) -> None:
        _cli(self.checkout, "exec", *command)


def _cli(checkout: Path, verb: str, *command: str) -> str:
    variables = {"BASE_IMAGE": base(), "SAMEBOOK_TAG": "-editor"}
    typed = [
        "npm",
        "exec",
        "--yes",
        f"--package={CLI}",
        "--",
        "devcontainer",
        verb,
        "--workspace-folder",
        str(checkout),
    ]
    done = subprocess.run(
        [*typed, *command], env=os.environ | variables, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def editor(engine: docker.DockerClient, checkout: Path) -> Iterator[Editor]:
    if not shutil.which("npm"):
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("npm is not installed, which brings the command line of Dev Containers")
    project = ""
    try:
        said = json.loads(_cli(checkout, "up").splitlines()[-1])
        project = said["composeProjectName"]
        yield Editor(checkout, said, engine.api.inspect_container(said["containerId"]))
    finally:
        if project:
            command = ["docker", "compose", "--project-name", project, "down", "--volumes", "--timeout", "1"]
            subprocess.run(command, check=True, capture_output=True)


def test_editor_opens_the_environment_of_runs(editor: Editor) -> None:
    """The container has no right, no open port and no user but the checkout's; a kernel that the editor starts there
    has each variable that decides a result as a headless run has it.
    """
    assert editor.said["remoteUser"] == str(NOBODY)
    host = editor.facts["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], None, False)
    assert (host["SecurityOpt"], host["ReadonlyRootfs"]) == (["no-new-privileges:true"], True)
    assert not host["PortBindings"]
    assert editor.facts["Config"]["User"] == f"{NOBODY}:{NOBODY}"
    notebook = Tiny(editor.checkout).notebook("show", work=SHOW.format(name="run"))
    os.chown(notebook, NOBODY, NOBODY)
    editor.run("python", "-c", KERNEL, SHOW.format(name="editor"))
    editor.run("samebook", "run", "show")
    opened, run = (json.loads((editor.checkout / f"{name}.json").read_text()) for name in ("editor", "run"))
    lines = (editor.checkout / ".samebook" / "editor" / "kernel.env").read_text().splitlines()
    decisive = dict(line.split("=", 1) for line in lines)
    assert decisive.keys() > {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED"}
    assert {name: opened.get(name) for name in decisive} == decisive
    assert {name: run.get(name) for name in decisive} == decisive
