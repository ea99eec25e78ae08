"""The variables of make: its own, and those on its command line, none of which is for a notebook."""

import os

OWN = ("MAKE", "MAKE_", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKEFILES", "MFLAGS", "GNUMAKEFLAGS")
# The variable in which our Makefile names those that are meant for it.
GIVEN = "GIVEN_TO_MAKE"


def given() -> list[str]:
    """The variables of this process that are meant for make alone."""
    return [GIVEN, *os.environ.get(GIVEN, "").split()]
