"""Redaction: it keeps secrets out of everything that a run writes or shows."""

import html
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from samebook.core.errors import PolicyRefused
from samebook.core.secret import SHORTEST

# The values of these keys make up the format of a notebook or a receipt: they stay, whatever a secret's text is.
STRUCTURE = {"cell_type", "output_type", "id", "_type", "buildType", "predicateType", "sha256", "gitCommit", "name"}

# How programs write a text: in a repr (of text, of bytes), in HTML, in a URL or a form, in CSV, in a shell's quotes.
WRITERS: tuple[Callable[[str], str], ...] = (
    str,
    lambda text: repr(text)[1:-1],
    lambda text: repr(text.encode())[2:-1],
    lambda text: text.encode("unicode_escape").decode(),
    html.escape,
    lambda text: html.escape(text, quote=False),
    quote,
    quote_plus,
    lambda text: quote(text, safe=""),
    lambda text: text.replace('"', '""'),
    lambda text: shlex.quote(text).removeprefix("'").removesuffix("'"),
)


class Redaction:
    """The replacement of secrets, plain, quoted or escaped, by `[redacted NAME]`."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        forms = {form: f"[redacted {name}]" for name, text in secrets.items() for form in _forms(text)}
        # Longer forms are replaced first, as one secret may begin with another.
        self.forms = dict(sorted(forms.items(), key=lambda item: -len(item[0])))
        self.longest = max(map(len, self.forms), default=0)

    def text(self, text: str) -> str:
        """The text with the secrets in it replaced."""
        for form, label in self.forms.items():
            text = text.replace(form, label)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value, or a notebook, with the secrets in its texts replaced; its structure stays."""
        if not self.forms:
            return value
        if isinstance(value, Mapping):
            changed = {key: item if key in STRUCTURE else self.value(item) for key, item in value.items()}
            return type(value)(changed) if isinstance(value, dict) else changed  # a notebook's nodes are dicts too
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def check_files(self, folder: Path) -> None:
        """Raise PolicyRefused for the first file below `folder` that holds a secret: bytes cannot be redacted."""
        for path in self._files(folder):
            self.check_content(os.fsencode(path) + path.read_bytes(), str(path.relative_to(folder.parent)))

    def check_content(self, content: bytes, name: str) -> None:
        """Raise PolicyRefused where `content` holds a secret; the message calls it `name`."""
        if label := self._label(content):
            raise PolicyRefused(
                f"{self.text(name)} holds a secret: {label}",
                mend="leave the secret out of it, and of each file that git sees",
            )

    def remove_files(self, folder: Path) -> None:
        """Remove the files below `folder` that hold a secret."""
        for path in self._files(folder):
            if self._label(os.fsencode(path) + path.read_bytes()):
                path.unlink()

    def _files(self, folder: Path) -> list[Path]:
        return [path for path in sorted(folder.rglob("*")) if path.is_file()] if self.forms else []

    def _label(self, content: bytes) -> str | None:
        """The replacement of the first secret in `content`, which names it."""
        return next((label for form, label in self.forms.items() if form.encode() in content), None)


def _forms(text: str) -> Iterator[str]:
    """The forms in which programs write a secret, or a line of it: plain, escaped, and these in JSON once or twice."""
    for part in (text, *(line for line in text.splitlines() if len(line) >= SHORTEST)):
        for form in {write(part) for write in WRITERS}:
            for inner in (form, *_in_json(form)):
                yield from (inner, *_in_json(inner))


def _in_json(text: str) -> tuple[str, str]:
    return json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
