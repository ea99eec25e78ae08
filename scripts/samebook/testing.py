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
from testbook import testbook
from testbook.client import TestbookNotebookClient
from traitlets.config import Config

from samebook.core import workspace
from samebook.environment import interactive
from samebook.execution import provisioner
from samebook.execution.provisioner import KernelSource
from samebook.execution.warm import face
from samebook.execution.warm.face import Kind

type Start = Callable[[str, Sequence[str]], TestbookNotebookClient]

# A zygote takes memory: a module of tests that has more kinds starts the kernels of the others cold.
MAX_ZYGOTES = 4


class _Zygotes:
    """The zygotes of a test session, each started for the first kernel of its kind; the latest used comes last."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.folder: Path | None = None
        # By the name of its kind: whether the zygote can fork, and what ends it.
        self.zygotes: dict[str, tuple[bool, ExitStack]] = {}

    def source(self, kind: Kind, cwd: Path) -> KernelSource:
        if not face.can_fork():
            return KernelSource()
        if self.folder is None:
            self.folder = Path(self.stack.enter_context(face.socket_folder()))
        if kind.name in self.zygotes:
            self.zygotes[kind.name] = self.zygotes.pop(kind.name)
        elif len(self.zygotes) < MAX_ZYGOTES:
            end = self.stack.enter_context(ExitStack())
            zygote = end.enter_context(face.zygote(kind, cwd, self.folder))
            self.zygotes[kind.name] = (not zygote.refusal, end)
        is_usable, _ = self.zygotes.get(kind.name, (False, None))
        return KernelSource(self.folder, kind) if is_usable else KernelSource()

    def make_room(self) -> None:
        """End the zygote that was not used for longest, where there are as many as there may be. No kernel lives."""
        if len(self.zygotes) == MAX_ZYGOTES:
            _, end = self.zygotes.pop(next(iter(self.zygotes)))
            end.close()


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
    session.make_room()
    config = Config({"KernelManager": {"client_class": "samebook.execution.provisioner.Client"}})
    with ExitStack() as clients:

        def start(name: str, tags: Sequence[str] = ()) -> TestbookNotebookClient:
            path = folder / f"{name}.ipynb"
            variables = interactive.outside_runs(path)
            kind = face.kernel_kind(path, "", variables)
            source = session.source(kind, path.parent)
            source.variables = variables
            with provisioner.starting_from(source):
                kernel = testbook(path, resources={"metadata": {"path": str(path.parent)}}, config=config)
                client = clients.enter_context(kernel)
            if tags:
                client.execute_cell(list(tags))
            return client

        yield start
