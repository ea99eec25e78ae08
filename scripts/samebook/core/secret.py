"""Secrets: named in git, kept elsewhere. The text comes from the variable NAME, or from the file /run/secrets/NAME."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from samebook.core.errors import UsageError

SECRETS = Path("/run/secrets")
SHORTEST = 6

# How settings name one: never the text itself.
type SecretName = Annotated[
    str,
    Field(pattern=r"^[A-Z][A-Z0-9_]*$", description="the NAME of a secret: of a variable, or of /run/secrets/NAME"),
]


class Secret(str):
    """A parameter that is a secret.

    In a notebook it is the secret's text; its repr, and every output that holds it, is redacted.
    """

    name: str

    def __new__(cls, name: str) -> "Secret":
        secret = super().__new__(cls, text(name))
        secret.name = name
        return secret

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


def text(name: str) -> str:
    """The secret's text. Raises UsageError where it is not set, or too short to be redacted everywhere."""
    found = optional_text(name)
    if not found:
        raise UsageError(f"the secret {name} is not set", mend=f"export {name}=…, or write it to {SECRETS / name}")
    if len(found) < SHORTEST:
        raise UsageError(f"the secret {name} has {len(found)} characters; expected at least {SHORTEST}")
    return found


def optional_text(name: str) -> str:
    """The secret's text; empty where it is not set."""
    file = SECRETS / name
    return os.environ.get(name) or (file.read_text().rstrip("\n") if file.is_file() else "")


def texts(names: Iterable[str]) -> dict[str, str]:
    """The texts, by name, of those that are set here and can be redacted: whoever needs another says so itself."""
    return {name: text for name in names if len(text := optional_text(name)) >= SHORTEST}
