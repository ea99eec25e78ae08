"""A pytest fixture for tests of notebooks: `from samebook.testing import notebook`. Its kernels start warm.

    def test_split(notebook):
        client = notebook("train", ["imports", "split"])
        assert client.ref("split")...

The client is testbook's: https://testbook.readthedocs.io
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from jupyter_client.provisioning import KernelProvisionerFactory
from testbook import testbook
from testbook.client import TestbookNotebookClient
from traitlets.config import Config

from samebook.core import workspace
from samebook.environment import interactive
from samebook.execution import provisioner
from samebook.execution.provisioner import KernelSource
from samebook.execution.warm import client as zygotes
from samebook.execution.warm import imports, kernels
from samebook.execution.warm.kernels import Kind

type Start = Callable[[str, Sequence[str]], TestbookNotebookClient]

# A zygote takes memory: with so many, kernels of other kinds start cold.
MAX_ZYGOTES = 4


class _Zygotes:
    """The zygotes of a test session, each started for the first kernel of its kind."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.folder: Path | None = None
        # By the name of its kind, whether a zygote can fork.
        self.is_usable: dict[str, bool] = {}

    def source(self, kind: Kind, cwd: Path) -> KernelSource:
        if not zygotes.can_fork():
            return KernelSource()
        if self.folder is None:
            self.folder = Path(self.stack.enter_context(zygotes.socket_folder()))
        if kind.name not in self.is_usable and len(self.is_usable) < MAX_ZYGOTES:
            zygote = self.stack.enter_context(zygotes.zygote(kind, cwd, self.folder))
            self.is_usable[kind.name] = not zygote.refusal
        return KernelSource(self.folder, kind) if self.is_usable.get(kind.name) else KernelSource()


_ZYGOTES = pytest.StashKey[_Zygotes]()


def _session_zygotes(config: pytest.Config) -> _Zygotes:
    if _ZYGOTES not in config.stash:
        config.stash[_ZYGOTES] = _Zygotes()
        config.add_cleanup(config.stash[_ZYGOTES].stack.close)
    return config.stash[_ZYGOTES]


@pytest.fixture(scope="module")
def notebook(pytestconfig: pytest.Config) -> Iterator[Start]:
    """`notebook("train", ["imports", "split"])`: a kernel of that notebook, with the cells of these tags run.

    From the second kernel on, imports from installed packages are in memory, as in a sweep. The kernels of a test
    module end with it.
    """
    session, folder = _session_zygotes(pytestconfig), workspace.find().notebooks
    KernelProvisionerFactory.instance().default_provisioner_name = "samebook"
    config = Config({"KernelManager": {"client_class": "samebook.execution.provisioner.Client"}})
    with ExitStack() as clients:

        def start(name: str, tags: Sequence[str] = ()) -> TestbookNotebookClient:
            path = folder / f"{name}.ipynb"
            variables = interactive.outside_runs(path)
            kind = kernels.kind("", imports.of_notebook(path), variables)
            source = session.source(kind, path.parent)
            source.variables = variables
            token = provisioner.KERNEL_SOURCE.set(source)
            try:
                kernel = testbook(path, resources={"metadata": {"path": str(path.parent)}}, config=config)
                client = clients.enter_context(kernel)
            finally:
                provisioner.KERNEL_SOURCE.reset(token)
            if tags:
                client.execute_cell(list(tags))
            return client

        yield start
