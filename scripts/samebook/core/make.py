"""The variables of make: its own, and those on its command line. None of them is meant for a notebook."""

import os

# The Makefile lists the names of its command line's variables in this variable.
COMMAND_LINE = "GIVEN_TO_MAKE"
OWN = (
    *("MAKE", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKEFILES", "MFLAGS", "GNUMAKEFLAGS"),
    *("MAKE_TERMOUT", "MAKE_TERMERR", "MAKE_RESTARTS"),
)


def variables() -> list[str]:
    """The names of make's own variables, of those on its command line, and of the one that lists them."""
    return [*OWN, COMMAND_LINE, *os.environ.get(COMMAND_LINE, "").split()]


def clean_environment() -> dict[str, str]:
    """The environment variables without those by which a make rules the makes that it starts."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
