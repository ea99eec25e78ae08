"""The files of the package, which receipts and warm runners hash."""

import shutil
from pathlib import Path

import pytest
from tiny import CHECKOUT

from samebook.core import code
from samebook.core.workspace import Workspace
from samebook.records import source

PACKAGE = CHECKOUT / "scripts" / "samebook"
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a copy of the package, and a notebook folder that is empty."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, root / "scripts" / "samebook", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "notebooks").mkdir()
    return Workspace(root)


def changed_digest(copy: Workspace, file: Path) -> str:
    """The hash of the code while this file of the package has a line more."""
    path = copy.root / "scripts" / "samebook" / file
    content = path.read_bytes()
    path.write_bytes(content + b"# changed")
    digest = source.code_digest(copy)
    path.write_bytes(content)
    return digest


def test_receipt_covers_each_file(copy: Workspace) -> None:
    """The hash of the code in a receipt changes with any file of the package, in whatever wing it stands."""
    before = source.code_digest(copy)
    digests = {file: changed_digest(copy, file) for file in FILES}
    assert [file for file, digest in digests.items() if digest == before] == []
    assert len({*digests.values()}) == len(FILES)
    assert source.code_digest(copy) == before


@pytest.mark.parametrize("name", ["churn/helpers.py", "samebook-1-py3-none-any.whl"])
def test_receipt_covers_a_project(copy: Workspace, name: str) -> None:
    """The hash of the code covers a project's own modules in scripts/, and the wheel of samebook that it has there."""
    before = source.code_digest(copy)
    path = copy.root / "scripts" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x = 1\n")
    assert source.code_digest(copy) != before
    path.unlink()
    assert source.code_digest(copy) == before


def test_checkpoint_is_not_code(copy: Workspace) -> None:
    """The copy that Lab keeps of a module that is open there is not hashed: a reproduction's checkout has none."""
    before = source.code_digest(copy)
    checkpoint = copy.notebooks / "old" / ".ipynb_checkpoints" / "helpers-checkpoint.py"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("x = 1")
    assert source.code_digest(copy) == before


def test_files_are_those_of_the_package() -> None:
    """The list of files covers all files of the package, in all of its wings."""
    assert [path.relative_to(code.FOLDER) for path in code.files()] == FILES
    assert len({path.parts[0] for path in FILES}) > 12
