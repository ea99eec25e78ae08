"""Everything that samebook raises. One root; each leaf is an exit code.

SamebookError              1   something went wrong while running
├── CellFailed             1   a cell raised, or ran over its time limit
├── UsageError             2   the call, its parameters, settings or files are not usable
├── NotReproduced          3   a reproduction gave another result
├── DataRejected           4   data breaks its schema
├── EnvironmentMismatch    5   the environment is not the lock's
├── PolicyRefused          6   a gate or policy says no
├── Interrupted      130, 143   Ctrl-C or SIGTERM
└── KernelDied           138   the kernel's process ended in mid-run
"""

import difflib
import signal
from collections.abc import Iterable

SHOWN = 12


class SamebookError(Exception):
    """An error whose message names the thing, what was found and what was expected.

    `mend` is the command, or the step, that puts it right.
    """

    exit_code = 1

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        super().__init__(message)
        self.mend = mend


class CellFailed(SamebookError):
    exit_code = 1


class UsageError(SamebookError):
    exit_code = 2


class NotReproduced(SamebookError):
    exit_code = 3


class DataRejected(SamebookError):
    exit_code = 4


class EnvironmentMismatch(SamebookError):
    exit_code = 5


class PolicyRefused(SamebookError):
    exit_code = 6


class Interrupted(SamebookError):
    """Raised where the signal found the program; shells expect 128 + the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class KernelDied(SamebookError):
    exit_code = 138


def error_class(name: str) -> type[SamebookError]:
    """The error class that a cell raised, by name: a notebook's `DataRejected` exits with 4.

    pandera's own errors are rejections too; anything else is a failed cell.
    """
    if name in ("SchemaError", "SchemaErrors"):
        return DataRejected
    found = globals().get(name)
    is_ours = isinstance(found, type) and issubclass(found, SamebookError)
    return found if is_ours and found not in (SamebookError, Interrupted) else CellFailed


def from_exit_code(
    code: int, message: str, *, mend: str | None = None, default: type[SamebookError] = SamebookError
) -> SamebookError:
    """The error that the exit code of another `samebook` means; `default` for a code that no class has to itself."""
    classes = (UsageError, NotReproduced, DataRejected, EnvironmentMismatch, PolicyRefused, KernelDied)
    error = next((candidate for candidate in classes if candidate.exit_code == code), default)
    return error(message, mend=mend)


def nearest(name: str, candidates: Iterable[str]) -> str:
    """A hint for a mistyped name: `; did you mean train?`, or what there is to choose from."""
    options = sorted(candidates)
    close = difflib.get_close_matches(name, options, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    shown = ", ".join(options[:SHOWN]) + (", …" if len(options) > SHOWN else "")
    return f"; expected one of: {shown}" if options else "; there are none"
