"""Wrong on purpose: `make check` fails when the type checker finds nothing here."""


def seconds() -> int:
    return "three"
