"""The fonts of a kernel: those that packages bring.

A style may name others first, as seaborn's do, which one machine has and the next one has not: a figure would then
have other bytes there.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

# The files of each Debian package that is installed.
INSTALLED = Path("/var/lib/dpkg/info")
MANAGER = "matplotlib.font_manager"


def of_packages(workspace: Path) -> Callable[[Any], None]:
    """The change of matplotlib's list: its own fonts stay, and those of Debian packages in environments/apt.lock."""
    locked = set(_locked(workspace / "environments" / "apt.lock"))

    def change(module: Any) -> None:
        own = f"{Path(module.__file__).parent}/"
        for fonts in (module.fontManager.ttflist, module.fontManager.afmlist):
            fonts[:] = [font for font in fonts if font.fname.startswith(own) or font.fname in locked]

    return change


def _locked(lock: Path) -> list[str]:
    """The files of the packages in a lock, as far as this machine has them."""
    files = list[str]()
    with suppress(OSError):
        for line in lock.read_text().splitlines():
            with suppress(OSError):
                files += (INSTALLED / f"{line.partition(' ')[0]}.list").read_text().splitlines()
    return files
