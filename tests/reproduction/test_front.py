"""Make in a rerun's checkout on the local engine."""

import os
from pathlib import Path

import pytest

from samebook.reproduction.front import Front

MAKEFILE = ".samebook/uv/bin/uv: environments/build.txt\n\t@echo downloads >&2\nenvironment: .samebook/uv/bin/uv\n"


@pytest.mark.parametrize("lock", ["uv==1\n", "uv==2\n"])
def test_uv_is_handed_over(lock: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A commit that locks the caller's uv gets it, executable and up to date; one that locks another downloads it."""
    caller, checkout = tmp_path / "caller", tmp_path / "checkout"
    uv = Path(".samebook") / "uv" / "bin" / "uv"
    for folder, content in ((caller, "uv==1\n"), (checkout, lock)):
        (folder / "environments").mkdir(parents=True)
        (folder / "environments" / "build.txt").write_text(content)
    (caller / uv).parent.mkdir(parents=True)
    (caller / uv).write_bytes(b"#!")
    (caller / uv).chmod(0o755)
    (checkout / "Makefile").write_text(MAKEFILE)
    Front(caller, checkout, "local").environment(os.environ)
    is_same = lock == "uv==1\n"
    assert ("downloads" in capfd.readouterr().err) != is_same
    assert os.access(checkout / uv, os.X_OK) == is_same
