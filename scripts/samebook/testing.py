"""For tests of notebooks with pytest: `from samebook.testing import notebook`, and a kernel is there at once.

    def test_split(notebook):
        client = notebook("train", ["imports", "split"])
        assert client.ref("split")...

https://testbook.readthedocs.io is what the client is.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from jupyter_client.provisioning import KernelProvisionerFactory
from testbook import testbook
from testbook.client import TestbookNotebookClient
from traitlets.config import Config

from samebook.core import workspace
from samebook.execution import provisioner
from samebook.execution.provisioner import Source
from samebook.execution.warm import client as zygotes
from samebook.execution.warm import imports, kernels
from samebook.execution.warm.kernels import Kind

type Start = Callable[[str, Sequence[str]], TestbookNotebookClient]

# A zygote takes memory: beyond so many, kernels start cold.
MOST = 4


class _Zygotes:
    """The zygotes of a test session, each started when its first kernel is asked for."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.folder: Path | None = None
        self.known: dict[str, bool] = {}

    def source(self, kind: Kind, cwd: Path) -> Source:
        if not zygotes.can_fork():
            return Source()
        if self.folder is None:
            self.folder = Path(self.stack.enter_context(zygotes.socket_folder()))
        if kind.name not in self.known and len(self.known) < MOST:
            started = self.stack.enter_context(zygotes.zygote(kind, cwd, self.folder))
            self.known[kind.name] = not started.refusal
        return Source(self.folder, kind) if self.known.get(kind.name) else Source()


_SESSION = pytest.StashKey[_Zygotes]()


def _session_zygotes(config: pytest.Config) -> _Zygotes:
    if _SESSION not in config.stash:
        config.stash[_SESSION] = _Zygotes()
        config.add_cleanup(config.stash[_SESSION].stack.close)
    return config.stash[_SESSION]


@pytest.fixture(scope="module")
def notebook(pytestconfig: pytest.Config) -> Iterator[Start]:
    """`notebook("train", ["imports", "split"])`: a kernel of that notebook, with the cells of these tags run.

    What it imports from installed packages is in memory from the second kernel on, as in a sweep. The kernels end
    with the module that asked for them.
    """
    zygotes, folder = _session_zygotes(pytestconfig), workspace.find().notebooks
    KernelProvisionerFactory.instance().default_provisioner_name = "samebook"
    config = Config({"KernelManager": {"client_class": "samebook.execution.provisioner.Client"}})
    with ExitStack() as clients:

        def start(name: str, tags: Sequence[str] = ()) -> TestbookNotebookClient:
            path = folder / f"{name}.ipynb"
            source = zygotes.source(kernels.kind("", imports.of_notebook(path), os.environ), path.parent)
            token = provisioner.SOURCE.set(source)
            try:
                started = testbook(path, resources={"metadata": {"path": str(path.parent)}}, config=config)
                client = clients.enter_context(started)
            finally:
                provisioner.SOURCE.reset(token)
            if tags:
                client.execute_cell(list(tags))
            return client

        yield start
