"""The pins of a run: the inputs that its kernel must read, and whether the run is a trial.

The kernel of each run has a file of them, so that no variable of its own tells a notebook that it is being reproduced.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from samebook.core.digest import json_bytes

# The path of the file. Runs that a kernel starts, to make its inputs, have its pins.
VARIABLE = "SAMEBOOK_PINNED"


@dataclass(frozen=True)
class Pins:
    """The sha256 of each input by its name; None in a run that may read any. A trial publishes nothing."""

    inputs: Mapping[str, str] | None = None
    is_trial: bool = False

    @classmethod
    def current(cls) -> Self:
        """The pins of the run around this process; without one, or once it has ended, there are none."""
        with suppress(KeyError, FileNotFoundError):
            return cls(**json.loads(Path(os.environ[VARIABLE]).read_text()))
        return cls()

    def write(self, path: Path) -> dict[str, str]:
        """Write the file; returns the variable that names it."""
        path.write_bytes(json_bytes(asdict(self)))
        return {VARIABLE: str(path)}
