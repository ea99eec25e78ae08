"""The variables of make: its own, and those on its command line. None of them is meant for a notebook."""

import os

OWN = ("MAKE", "MAKE_", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKEFILES", "MFLAGS", "GNUMAKEFLAGS")
# The Makefile lists the names of its command line's variables in this variable.
COMMAND_LINE = "GIVEN_TO_MAKE"


def variables() -> list[str]:
    """The names of the variables on make's command line, and of the variable that lists them."""
    return [COMMAND_LINE, *os.environ.get(COMMAND_LINE, "").split()]
