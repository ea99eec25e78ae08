"""The fonts of a kernel: those of packages, and none that only this machine has."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import pytest

from samebook.reads import fonts

CODE = """
import sys
from samebook.reads import undeclared
undeclared.start(sys.argv[1], sys.argv[2])
from matplotlib import font_manager
print(*(font.fname for font in font_manager.fontManager.ttflist), sep="\\n")
"""


def test_machine_has_more(tmp_path: Path) -> None:
    """A font that is installed on this machine alone is not matplotlib's in a run."""
    own = Path(mpl.get_data_path()) / "fonts" / "ttf"
    (tmp_path / "share" / "fonts").mkdir(parents=True)
    installed = shutil.copy(own / "cmr10.ttf", tmp_path / "share" / "fonts" / "installed.ttf")
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "share"), "MPLCONFIGDIR": str(tmp_path / "cache")}
    listed = {}
    for name, code in {"plain": CODE.replace("undeclared.start", "print"), "run": CODE}.items():
        command = [sys.executable, "-c", code, str(tmp_path), str(tmp_path)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        listed[name] = done.stdout.splitlines()
    assert str(installed) in listed["plain"]
    assert {Path(name).parent for name in listed["run"]} == {own}
    assert str(own / "DejaVuSans.ttf") in listed["run"]


def test_locked_fonts_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fonts of Debian packages in the lock, which every image has, stay."""
    monkeypatch.setattr(fonts, "INSTALLED", tmp_path)
    (tmp_path / "fonts-noto.list").write_text("/.\n/usr/share/fonts/noto.ttf\n")
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "apt.lock").write_text("# fonts-noto\nfonts-noto 1 amd64 1 1 0 x.deb\n")
    names = ["/usr/share/fonts/noto.ttf", "/usr/share/fonts/arial.ttf", "/site/matplotlib/mpl-data/fonts/a.ttf"]
    manager = SimpleNamespace(ttflist=[SimpleNamespace(fname=name) for name in names], afmlist=[])
    fonts.of_packages(tmp_path)(SimpleNamespace(__file__="/site/matplotlib/font_manager.py", fontManager=manager))
    assert [font.fname for font in manager.ttflist] == [names[0], names[2]]
