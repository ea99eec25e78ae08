"""Redaction: secrets stay out of the output and the files of a run."""

import csv
import html
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import nbformat
import pytest
from tiny import Tiny

from samebook.core.errors import PolicyRefused
from samebook.core.redaction import Redaction

SECRET = "s3cr3t-'quoted'&tök€n"
PARAMETERS = 'from samebook import Secret\ntoken: str = Secret("API_TOKEN")'


def test_secret_refused_in_names(tmp_path: Path) -> None:
    """A file whose name holds a secret is refused as well, and the message does not hold the secret."""
    (tmp_path / f"{SECRET}.txt").touch()
    with pytest.raises(PolicyRefused, match=r"\[redacted TOKEN\]\.txt holds a secret"):
        Redaction({"TOKEN": SECRET}).check_files(tmp_path)


def test_missing_secret_starts_nothing(tiny: Tiny) -> None:
    """A notebook whose secret is not set is refused before anything is started or written."""
    tiny.notebook("tells", parameters=PARAMETERS)
    ended = tiny.samebook("run", "tells")
    assert (ended.code, tiny.runs) == (2, [])
    assert "the secret API_TOKEN is not set\n  -> export API_TOKEN=…" in ended.stderr


def csv_line(text: str) -> str:
    """A line of a CSV file with the text in it."""
    line = io.StringIO()
    csv.writer(line).writerow([text, 1])
    return line.getvalue()


WRITERS: dict[str, Callable[[str], str]] = {
    "print": str,
    "repr": repr,
    "repr of a dict": lambda text: str({"token": text}),
    "repr of bytes": lambda text: repr(text.encode()),
    "JSON": lambda text: json.dumps({"token": text}),
    "JSON in Unicode": lambda text: json.dumps({"token": text}, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps([text])),
    "repr in JSON": lambda text: json.dumps(repr(text)),
    "HTML": html.escape,
    "HTML without quotes": lambda text: html.escape(text, quote=False),
    "HTML in JSON": lambda text: json.dumps(html.escape(text)),
    "a URL's path": quote,
    "a URL's part": lambda text: quote(text, safe=""),
    "a form": lambda text: urlencode({"token": text}),
    "CSV": csv_line,
    "a shell": shlex.quote,
    "an escaped text": lambda text: text.encode("unicode_escape").decode(),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "secret",
    [
        "plain-secret",
        'quo"ted-secret',
        "it's-secret",
        "back\\slash-secret",
        "ümläut-secret",
        "a&b <secret>",
        "a/b+secret",
    ],
)
def test_forms_are_redacted(secret: str, writer: str) -> None:
    """A secret is redacted in every form that writers of the standard library give it."""
    text = WRITERS[writer](secret)
    assert "secret" not in Redaction({"TOKEN": secret}).text(text), text


def test_lines_are_redacted() -> None:
    """A secret of several lines, such as a private key, is redacted where a notebook's file splits it into lines."""
    key = "-----BEGIN KEY-----\nfirst-of-key\nsecond-of-key\n-----END KEY-----"
    output = nbformat.v4.new_output("stream", text=f"the key: {key}\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(key)", outputs=[output])])
    assert "of-key" not in Redaction({"KEY": key}).text(nbformat.writes(notebook))


def test_longer_secret_first() -> None:
    """A secret that begins with another is redacted whole."""
    assert Redaction({"A": "secret", "B": "secret-and-more"}).text("secret-and-more") == "[redacted B]"


def test_bytes_are_searched(tmp_path: Path) -> None:
    """A secret is found in a binary file."""
    (tmp_path / "model.bin").write_bytes(b"\xff\x00" + SECRET.encode() + b"\x00")
    with pytest.raises(PolicyRefused, match=r"model\.bin holds a secret"):
        Redaction({"TOKEN": SECRET}).check_files(tmp_path)
    Redaction({}).check_files(tmp_path)
