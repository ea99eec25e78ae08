"""The fixture for tests of notebooks: a kernel with some cells run, warm from the second on, and its own each time."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from testbook.client import TestbookNotebookClient

from samebook.testing import _session_zygotes

type Start = Callable[[str, list[str]], TestbookNotebookClient]


def test_kernels_share_imports(notebook: Start, pytestconfig: pytest.Config) -> None:
    """Two kernels of a notebook come from one process, and know nothing of each other."""
    first, second = (notebook("train", ["imports"]) for _ in range(2))
    first.inject("secret = 1")
    parents = {client.value("__import__('os').getppid()") for client in (first, second)}
    assert len(parents) == 1
    assert os.getpid() not in parents
    assert second.value("'secret' in globals()") is False
    assert sum(_session_zygotes(pytestconfig).is_usable.values()) >= 1


def test_kernel_is_in_the_notebooks_folder(notebook: Start) -> None:
    """A kernel is where the runner would start it: modules beside the notebook are found."""
    client = notebook("train", ["imports"])
    assert Path(client.value("__import__('os').getcwd()")).name == "notebooks"
    assert client.value("flights.__name__") == "flights"
