"""The variables of make: its own, and those on its command line, none of which is for a notebook."""

import os

OWN = ("MAKE", "MAKE_", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKEFILES", "MFLAGS", "GNUMAKEFLAGS")
# The variable in which our Makefile names those that are meant for it.
COMMAND_LINE = "GIVEN_TO_MAKE"


def variables() -> list[str]:
    """The variables of this process that are meant for make alone."""
    return [COMMAND_LINE, *os.environ.get(COMMAND_LINE, "").split()]
