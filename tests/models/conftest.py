"""One signed repository for all the cheats against the policy."""

import os
import shutil
from pathlib import Path

import promoting
import pytest
from forging import OWNERS, PROD, TRUSTED, commit
from test_signing import key
from tiny import Tiny


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository that trusts five keys of four owners, with a run and its gate, both signed by ada."""
    tiny = promoting.create(tmp_path_factory.mktemp("forger") / "workspace")
    (tiny.root / TRUSTED).mkdir()
    for name in ("ada", "laptop", "ben", "cleo", "dan"):
        (tiny.root / TRUSTED / f"{name}.pem").write_bytes(key(tiny.root.parent / f"{name}.pem"))
    key(tiny.root.parent / "stranger.pem")
    (tiny.root / TRUSTED / "owners.yml").write_text(OWNERS)
    (tiny.root / "environments" / "prod.yml").write_text(PROD)
    commit(tiny)
    signed = {"SIGNING_KEY": str(tiny.root.parent / "ada.pem")}
    assert tiny.samebook("run", "train", **signed).code == 0
    assert tiny.samebook("run", "gate", "-p", f"candidate={tiny.last.name}", **signed).code == 0
    return tiny


@pytest.fixture
def tiny(site: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A copy of the site, with this process in it."""
    for name in ("ada", "laptop", "ben", "cleo", "dan", "stranger"):
        shutil.copyfile(site.root.parent / f"{name}.pem", tmp_path / f"{name}.pem")
    copy = promoting.copy(site, tmp_path / "workspace")
    for name in [name for name in os.environ if name.startswith("SAMEBOOK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(copy.root))
    monkeypatch.delenv("SIGNING_KEY", raising=False)
    return copy
