"""The fixture for tests of notebooks: a kernel with some cells run, warm from the second on, and its own each time."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from jupyter_client.provisioning import KernelProvisionerFactory
from testbook.client import TestbookNotebookClient

from samebook.execution.warm import kernels
from samebook.testing import MAX_ZYGOTES, _session_zygotes, _Zygotes

type Start = Callable[[str, list[str]], TestbookNotebookClient]


def test_kernels_share_imports(notebook: Start, pytestconfig: pytest.Config) -> None:
    """Two kernels of a notebook come from one process, and know nothing of each other."""
    first, second = (notebook("train", ["imports"]) for _ in range(2))
    first.inject("secret = 1")
    parents = {client.value("__import__('os').getppid()") for client in (first, second)}
    assert len(parents) == 1
    assert os.getpid() not in parents
    assert second.value("'secret' in globals()") is False
    assert any(is_usable for is_usable, _ in _session_zygotes(pytestconfig).zygotes.values())


def test_later_modules_start_warm(tmp_path: Path) -> None:
    """A session with more kinds of kernels than zygotes: the next module has a free place, and the latest stay."""
    session = _Zygotes()
    with session.stack:
        kinds = [kernels.kind("", (), {"NUMBER": str(number)}) for number in range(MAX_ZYGOTES + 1)]
        assert all(session.source(kind, tmp_path).kind for kind in kinds[:-1])
        assert session.source(kinds[0], tmp_path).kind
        assert not session.source(kinds[-1], tmp_path).kind
        session.make_room()
        assert session.source(kinds[-1], tmp_path).kind
        assert set(session.zygotes) == {kinds[number].name for number in range(MAX_ZYGOTES + 1) if number != 1}


def test_kernel_is_in_the_notebooks_folder(notebook: Start) -> None:
    """A kernel is where the runner would start it: modules beside the notebook are found."""
    client = notebook("train", ["imports"])
    assert Path(client.value("__import__('os').getcwd()")).name == "notebooks"
    assert client.value("flights.__name__") == "flights"


def test_other_kernels_start_as_before(notebook: Start) -> None:
    """The kernels that other tests of the session start have no variables of this house."""
    factory = KernelProvisionerFactory.instance()
    before = factory.default_provisioner_name
    notebook("train", [])
    assert factory.default_provisioner_name == before
