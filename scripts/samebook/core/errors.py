"""The errors that samebook raises. They have one root; each leaf stands for an exit code.

SamebookError              1   something went wrong while running
├── CellFailed             1   a cell raised, or ran over its time limit
├── UsageError             2   the call, its parameters, its settings or its files cannot be used
├── NotReproduced          3   a reproduction gave another result than the original
├── DataRejected           4   the data breaks its schema
├── EnvironmentMismatch    5   the installed packages are not those of the lock
├── PolicyRefused          6   a gate or a policy refused
├── Interrupted 129, 130, 143   a closed terminal, Ctrl-C or SIGTERM ended the command
└── KernelDied           138   the kernel's process ended before its notebook did
"""

import difflib
import signal
from collections.abc import Iterable

MAX_SHOWN = 12
# Before the command that mends an error.
ARROW = "-> "


class SamebookError(Exception):
    """An error. Its message says what could not be done, what was found, and what was expected.

    `mend` is the command, or the step, that puts it right. It is also a note, which Python and IPython show at the end
    of a traceback.
    """

    exit_code = 1

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        super().__init__(message)
        self.mend = mend
        if mend:
            self.add_note(ARROW + mend)


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
    """A signal ended the command. Shells expect the exit code 128 + the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class KernelDied(SamebookError):
    exit_code = 138


def notes(error: BaseException) -> list[str]:
    """The notes of an error, without the command that mends it."""
    return [note for note in getattr(error, "__notes__", ()) if not note.startswith(ARROW)]


def error_class(name: str) -> type[SamebookError]:
    """The class for an error that a cell raised, by the error's name: `DataRejected` in a notebook exits with 4.

    pandera's schema errors count as DataRejected; every name that is not samebook's counts as CellFailed.
    """
    if name in ("SchemaError", "SchemaErrors"):
        return DataRejected
    kind = globals().get(name)
    is_ours = isinstance(kind, type) and issubclass(kind, SamebookError)
    return kind if is_ours and kind not in (SamebookError, Interrupted) else CellFailed


def from_exit_code(
    code: int, message: str, *, mend: str | None = None, default: type[SamebookError] = SamebookError
) -> SamebookError:
    """The error for the exit code of another `samebook` process; `default` where no class has that code alone."""
    classes = (UsageError, NotReproduced, DataRejected, EnvironmentMismatch, PolicyRefused, KernelDied)
    error = next((candidate for candidate in classes if candidate.exit_code == code), default)
    return error(message, mend=mend)


def close(name: str, candidates: Iterable[str]) -> list[str]:
    """The candidates that a mistyped name may mean, the likeliest first: those of other capitals alone, or three."""
    options = sorted(candidates)
    same = [option for option in options if option.lower() == name.lower()]
    return same or difflib.get_close_matches(name, options, n=3)


def closest(name: str, candidates: Iterable[str]) -> str:
    """The candidate that a mistyped name most likely means, for the command that mends it."""
    return next(iter(close(name, candidates)), "…")


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The end of a message about a mistyped name: `; did you mean train?`, or a list of the candidates."""
    options = sorted(candidates)
    if likely := close(name, options):
        return f"; did you mean {' or '.join(likely)}?"
    shown = ", ".join(options[:MAX_SHOWN]) + (", …" if len(options) > MAX_SHOWN else "")
    return f"; expected one of: {shown}" if options else "; there are none"
