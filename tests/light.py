"""The light environment of the commands that work beside the image, made from packages that are installed here."""

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import override

from tiny import CHECKOUT, Tiny

# The front of the checkout, without engines and images: make runs samebook with all packages.
MAKEFILE = """\
GIVEN := $(strip $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name))))
$(foreach name,$(GIVEN),$(eval override export $(name) := $$(value $(name))))
environment removed-image: ;
run pipeline compare:
\t@SAMEBOOK_WORKSPACE=$(CURDIR) {python} -m samebook make $@ -- $(GIVEN)
rerun:
\t@env -u SAMEBOOK_PATCH SAMEBOOK_WORKSPACE=$(CURDIR) {python} -m samebook run --receipt $(RECEIPT)
"""


@dataclass(frozen=True)
class Light(Tiny):
    """A workspace whose `samebook` starts from a light environment, and its make with all packages."""

    python: Path

    @override
    def command(self, *arguments: str) -> list[str]:
        return [str(self.python), "-m", "samebook", *arguments]


def light_python(folder: Path) -> Path:
    """The Python of a new environment with the packages of environments/command.txt, and no other."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python3.*/site-packages"))
    (site / "samebook.pth").write_text(f"{CHECKOUT / 'scripts'}\n")
    lock = (CHECKOUT / "environments" / "command.txt").read_text()
    for name in re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE):
        for source in entries(name):
            (site / source.name).symlink_to(source)
    return folder / "bin" / "python"


def entries(name: str) -> set[Path]:
    """The files and folders of an installed package in site-packages; none where this platform does without it."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return set()
    tops = {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}
    return {Path(str(package.locate_file(top))) for top in tops}
