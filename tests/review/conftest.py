"""A repository with a promoted model on main, and a branch `retrain` that promotes another."""

from pathlib import Path

import promoting
import pytest
from forging import commit
from tiny import Tiny, git


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    tiny = promoting.create(tmp_path_factory.mktemp("review") / "workspace")
    (tiny.root / "environments" / "prod.yml").write_text("promotion: {reproduced: true}\n")
    commit(tiny)
    for level in (2, 3):
        assert tiny.samebook("run", "train", "-p", f"level={level}").code == 0
    promoting.promote(tiny, 2)
    git(tiny, "switch", "--quiet", "-c", "retrain")
    promoting.promote(tiny, 3)
    return tiny


@pytest.fixture
def tiny(site: Tiny, tmp_path: Path) -> Tiny:
    return promoting.copy(site, tmp_path / "workspace")
