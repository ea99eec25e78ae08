"""The script with which IPython starts in a kernel: what looks at a notebook's reads and threads begins there."""

from pathlib import Path

# All is imported before the first read is recorded.
SCRIPT = """\
import os
from samebook.execution import background
from samebook.reads import undeclared
undeclared.start(os.environ["SAMEBOOK_RUN"], os.environ["SAMEBOOK_WORKSPACE"])
background.start(os.environ["SAMEBOOK_RUN"])
del os, background, undeclared
"""


def write_script(folder: Path) -> None:
    """Write the script for a kernel with `folder` as its IPYTHONDIR."""
    scripts = folder / "profile_default" / "startup"
    scripts.mkdir(parents=True)
    (scripts / "00-samebook.py").write_text(SCRIPT)
