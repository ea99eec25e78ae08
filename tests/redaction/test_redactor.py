"""Redaction: secrets stay out of the output and the files of a run."""

import base64
import bz2
import contextlib
import csv
import gzip
import html.entities
import io
import json
import lzma
import os
import pprint
import quopri
import random
import re
import reprlib
import shlex
import subprocess
import tarfile
import textwrap
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import nbformat
import pandas
import pyarrow
import pytest
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiny import Tiny

from samebook.core.errors import PolicyRefused
from samebook.core.workspace import Workspace
from samebook.records import run_folder
from samebook.records.run_folder import RunFolder
from samebook.redaction import own_parts, patch
from samebook.redaction.redactor import Redaction

pytestmark = pytest.mark.secrets

SECRET = "s3cr3t-'quoted'&tök€n"
# Seconds of the processor, of a slow machine: a search that grows with the square of a text takes minutes.
LONGEST = 10
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


def basic(text: str) -> str:
    """A header of HTTP with the text as a password."""
    return base64.b64encode(f"user:{text}".encode()).decode()


ENCODERS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 in a header": basic,
    "base64 among others": lambda text: base64.b64encode(f"ab{text}yz".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(f"?{text}".encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "base64 in a form": lambda text: quote_plus(basic(text)),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper(),
    "a URL's path": lambda text: quote(text, safe="/"),
    "a form's path": lambda text: urlencode({"token": text}, safe="/"),
    "a URL in small letters": lambda text: re.sub("%..", lambda match: match[0].lower(), quote(text, safe="")),
    "HTML for Django": lambda text: html.escape(text).replace("&#x27;", "&#39;"),
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text))),
    "JSON for JavaScript": lambda text: re.sub("[<>&/']", lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text)),
    "JSON of pandas": lambda text: pandas.Series([text]).to_json(),
    "a frame": lambda text: pandas.DataFrame({text: [text]}).to_html(),
    "XML": lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    "a regular expression": re.escape,
    "a URL in a URL": lambda text: quote(urlencode({"next": quote(text, safe="")}), safe=""),
    "base64 in lines among others": lambda text: base64.encodebytes(b"x" * 50 + text.encode() + b"y" * 50).decode(),
    "base64 in escaped lines": lambda text: repr(base64.encodebytes(b"x" * 50 + text.encode() + b"y" * 50)),
    "pairs of hexadecimal": lambda text: text.encode().hex(":"),
    "base32": lambda text: base64.b32encode(f"abc{text}".encode()).decode(),
    "base32 in small letters": lambda text: base64.b32encode(text.encode()).decode().lower(),
    "a mail": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "a name of git": lambda text: "".join(c if c.isascii() else _octal(c) for c in text).replace('"', r"\""),
    "HTML by names": lambda text: "".join(_named(character) for character in text),
    "HTML of a regular expression": lambda text: html.escape(re.escape(text)),
    "a repr in two colours": lambda text: repr(f"\x1b[31m{text[:4]}\x1b[0m{text[4:]}"),
    "JSON in two colours": lambda text: json.dumps([f"\x1b[31m{text[:4]}\x1b[0m{text[4:]}"]),
}


def _octal(character: str) -> str:
    """A character as git and C quote it."""
    return "".join(f"\\{byte:03o}" for byte in character.encode())


def _named(character: str) -> str:
    """A character by its name in HTML."""
    names = [name for name, text in html.entities.html5.items() if text == character and name.endswith(";")]
    return f"&{max(names)}" if names and not character.isspace() else character


FOLDED = "correct horse battery staple"


@pytest.mark.parametrize(
    "text",
    [
        yaml.dump({"a": f"{'words ' * 11}{FOLDED} and more"}),
        json.dumps(yaml.dump({"a": f"{'wörds ' * 9}{FOLDED} and more"})),
        *(textwrap.fill(f"{'words ' * number}{FOLDED}", 70, subsequent_indent="  ") for number in range(8, 12)),
        *(pprint.pformat({"a": f"{'words ' * number}{FOLDED}"}) for number in range(8, 13)),
        textwrap.shorten(f"the words {FOLDED} and more", 30),
        FOLDED.replace(" ", "\xa0"),
        FOLDED.replace(" ", "&nbsp;"),
    ],
)
def test_folded_is_redacted(text: str) -> None:
    """A secret of words is redacted where a program has folded it into lines, or shows its blanks in another way."""
    redacted = Redaction({"TOKEN": FOLDED}).text(text)
    assert "[redacted TOKEN]" in redacted
    assert not any(word in redacted for word in FOLDED.split()[:2])


WIDE = "canary_of-one.word_0123456789abcdefXYZ"


@pytest.mark.parametrize(
    "text",
    [
        textwrap.fill(WIDE, 11),
        json.dumps(textwrap.fill(f"the token {WIDE}", 20)),
        pprint.pformat({"a": WIDE.encode() * 3}, width=30),
        "\n".join(f"│ {line:14} │" for line in textwrap.wrap(WIDE, 14)),
        textwrap.fill(WIDE, 9).replace("\n", "\r\n"),
    ],
)
def test_wrapped_is_redacted(text: str) -> None:
    """A secret of one word is redacted where a program has cut it into lines of one width."""
    redacted = Redaction({"TOKEN": WIDE}).text(text)
    assert "[redacted TOKEN]" in redacted
    assert not any(piece in redacted for piece in (WIDE[:6], WIDE[12:18], WIDE[-6:]))


KEY = "-----BEGIN KEY-----\nMIIEvgIBADANBgkqAB\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"


@pytest.mark.parametrize(
    ("secret", "part"),
    [
        ("postgresql://joe:pa55w%2Frd@db.example/flights", "pa55w/rd"),
        ("postgresql://joe:pa55/w0rd@db.example/flights", "pa55/w0rd"),
        ("https://t0ken-canary@git.example/a", "t0ken-canary"),
        ("https://hooks.example/services/T01/B02/canary", "/services/T01/B02/canary"),
        ("https://data.example/rows.csv?day=1&X-Amz-Signature=c4nary0", "c4nary0"),
        ("host=db.example user=joe password='c4nary 0'", "c4nary 0"),
        ("AccountName=joe;AccountKey=c4nary0==;Suffix=x", "c4nary0=="),
        ("Bearer c4nary0", "c4nary0"),
        (json.dumps({"type": "account", "private_key": KEY}, indent=2), KEY),
        (json.dumps({"client": [{"refreshToken": "c4nary0"}]}), "c4nary0"),
        ("sv=2024-11-04&ss=b&srt=o&sp=r&sig=c4nary%2B0123%3D", "c4nary+0123="),
    ],
)
def test_part_is_redacted(secret: str, part: str) -> None:
    """The part of a secret that is one itself is redacted without the rest, plain and encoded."""
    redaction = Redaction({"TOKEN": secret})
    basic = base64.b64encode(f"joe:{part}".encode()).decode()
    for text in (f"refused: {part}", f"Authorization: Basic {basic}"):
        assert not any(line in redaction.text(text) for line in (*part.split("\n")[1:3], part, basic))
    for other in ("the account of joe at db.example", "/flights/a.csv", "rows.csv?day=1"):
        assert redaction.text(other) == other


@pytest.mark.parametrize(
    ("secret", "line"),
    [
        ("postgresql://samebook:samebook@localhost/db", "import samebook"),
        (json.dumps({"access_token": "c4nary-0123", "token_type": "Bearer-Token"}), "Bearer-Token"),
        (json.dumps({"private_key": KEY, "token_uri": "https://oauth2.example/token"}), "https://oauth2.example/token"),
        (json.dumps({"tokenType": "JsonWebToken", "secretPath": "rows/secret"}), "JsonWebToken of rows/secret"),
        ("user=joe auth=standard", "StandardScaler of a standard"),
        ("https://data.example/rows.csv?token_id=longer-than-ten&sig=c4nary-0123", "longer-than-ten"),
        ("https://data.example/v1?maxTokens=1280000000&sortKey=departure-2013&sig=c4nary", "1280000000 departure-2013"),
    ],
)
def test_common_word_stays(secret: str, line: str, tmp_path: Path) -> None:
    """A part of a secret that is a common word, or that its name says to be public, stays in texts and in files."""
    redaction = Redaction({"TOKEN": secret})
    (tmp_path / "own.py").write_text(line)
    redaction.check_files(tmp_path)
    redaction.check_content([line.encode()], "the uncommitted work")
    assert redaction.text(line) == line
    assert redaction.text(f"it is {secret}") == "it is [redacted TOKEN]"


@pytest.mark.parametrize(
    ("part", "is_refused"),
    [
        ("c4nary0", False),
        ("Standard", False),
        ("correcthorse", False),
        ("abcdefghijklmnop", True),
        ("c4nary-012", True),
    ],
)
def test_plain_word_is_in_files(part: str, is_refused: bool, tmp_path: Path) -> None:
    """A part that may be a word is redacted in texts, and refuses no file, which may hold the word by chance."""
    redaction = Redaction({"TOKEN": f"smtp://joe:{part}@mail.example"})
    encoded = base64.b64encode(f"joe:{part}".encode()).decode()
    assert not any(text in redaction.text(f"{part} {encoded}") for text in (part, encoded))
    for text in (part, encoded):
        (tmp_path / "own.py").write_text(text)
        with pytest.raises(PolicyRefused) if is_refused else contextlib.nullcontext():
            redaction.check_files(tmp_path)
    whole = Redaction({"TOKEN": part})
    with pytest.raises(PolicyRefused):
        whole.check_content([part.encode()], "the uncommitted work")


@pytest.mark.parametrize("secret", ["hunter2-canary\n", "hunter2-canary\r", "\thunter2-canary  "])
def test_stripped_is_redacted(secret: str) -> None:
    """A secret is redacted without the blanks around it, as a program strips the line break at a file's end."""
    redaction = Redaction({"TOKEN": secret})
    plain, encoded = secret.strip(), base64.b64encode(secret.strip().encode()).decode()
    assert redaction.text(f"{plain}, {encoded}").startswith("[redacted TOKEN], [redacted TOKEN]")


def test_number_is_redacted() -> None:
    """A secret of digits is redacted as a number of JSON; other numbers stay."""
    value = {"pin": 12345678, "near": [1234567, 12345678.0, 12345678.5, True, None]}
    redacted = Redaction({"PIN": "12345678"}).value(value)
    assert redacted == {"pin": "[redacted PIN]", "near": [1234567, "[redacted PIN]", 12345678.5, True, None]}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_encoded_is_redacted(encoder: str) -> None:
    """A secret is redacted in the forms that libraries give it, with any characters in it."""
    for secret in ("plain-Canary-0123456789", 'a/b+c?"quo\'ted" <canary> & ümläut\\'):
        text = ENCODERS[encoder](secret)
        redacted = Redaction({"TOKEN": secret}).text(text)
        assert "[redacted TOKEN]" in redacted
        assert len(redacted) - len("[redacted TOKEN]") * redacted.count("[redacted") <= len(text) - len(secret), (
            redacted
        )


LONG = "canary-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 3


@pytest.mark.parametrize(
    "text",
    [
        repr(pandas.DataFrame({"token": [LONG]})),
        pandas.DataFrame({"token": [f"Bearer {LONG}"]}).to_html(),
        repr(pandas.Series(["x" * 30 + LONG])),
        reprlib.repr(LONG),
        f"the end: ...{LONG[-9:]}; {LONG[:12]}… and {LONG[:7]}&hellip;",
        f"{base64.b64encode(LONG.encode()).decode()[:20]}... and {LONG.encode().hex()[:30]}…",
    ],
)
def test_cut_is_redacted(text: str) -> None:
    """The piece of a secret that is shown of a text cut short is redacted."""
    redacted = Redaction({"TOKEN": LONG}).text(text)
    assert "[redacted TOKEN]" in redacted
    assert not any(piece in redacted for piece in (LONG[:6], LONG[-6:]))


@pytest.mark.parametrize("writer", [*WRITERS, "HTML in HTML", "a name of git", "a mail"])
def test_cut_anywhere_is_redacted(writer: str) -> None:
    """The piece of a secret that is shown of a text cut short is redacted in each form, wherever the cut is, amid the
    code of a character too.
    """
    secret = "canary <'qu0ted'>&\"tök€n\" w1th/m0re"
    text = (WRITERS | ENCODERS)[writer](secret)
    start = text.index("canary")
    redaction = Redaction({"TOKEN": secret})
    for end in range(start + 7, len(text)):
        for ellipsis in ("...", "…", "&hellip;"):
            redacted = redaction.text(f"{text[:end]}{ellipsis}")
            assert not any(piece in redacted for piece in ("canary", "qu0ted", "w1th")), text[:end]


def test_structure_is_by_place() -> None:
    """Only what Jupyter has written itself stays: the same keys anywhere else, and their values, are redacted."""
    output = nbformat.v4.new_output(
        "display_data", data={"application/json": {"sha256": "canary", "name": {"canary": 1}}}
    )
    cell = nbformat.v4.new_code_cell("x", id="canary", outputs=[output], metadata={"id": "canary"})
    redacted = Redaction({"A": "canary", "B": "source", "C": "display_data"}).value(
        nbformat.v4.new_notebook(cells=[cell]), own_parts.NOTEBOOK
    )
    assert redacted.cells[0].id == "canary"
    assert redacted.cells[0].metadata.id == "[redacted A]"
    assert redacted.cells[0].outputs[0].output_type == "display_data"
    assert redacted.cells[0].outputs[0].data["application/json"] == {
        "sha256": "[redacted A]",
        "name": {"[redacted A]": 1},
    }
    nbformat.validate(redacted)


def zipped(content: bytes) -> bytes:
    """A zip archive with a gzip file in it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("inner.txt.gz", gzip.compress(content))
    return archive.getvalue()


def parquet(content: bytes) -> bytes:
    """A Parquet file with the text in a column of categories."""
    frame = pandas.DataFrame({"token": pandas.Categorical([content.decode()])})
    return frame.to_parquet(compression="zstd")


def codec(content: bytes, name: str) -> bytes:
    """The content, packed by a codec of pyarrow."""
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, name) as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def archived(content: bytes) -> bytes:
    """An archive of tar, packed, with the content in it as a file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:xz") as archive:
        entry = tarfile.TarInfo("a.gz")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def picture(text: str) -> bytes:
    """A PNG with a text in it, packed."""
    file, info = io.BytesIO(), PngInfo()
    info.add_itxt("note", text, zip=True)
    Image.new("L", (9, 9)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def columns(content: bytes, write: Callable[[pandas.DataFrame, io.BytesIO], None]) -> bytes:
    """A file of columns in which the text is so often that only packed bytes are left of it."""
    file = io.BytesIO()
    write(pandas.DataFrame({"token": [" ".join(content.decode())] * 9 + [content.decode()] * 99}), file)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "binary": lambda content: b"\xff\x00" + content + b"\x00",
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zlib": zlib.compress,
    "zip": zipped,
    "Parquet": parquet,
    "Feather": lambda content: columns(content, lambda frame, file: frame.to_feather(file, compression="zstd")),
    "ORC": lambda content: columns(
        content, lambda frame, file: frame.to_orc(file, engine_kwargs={"compression": "zlib"})
    ),
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "UTF-16, big end first": lambda content: b"x" + content.decode().encode("utf-16-be"),
    "UTF-32": lambda content: content.decode().encode("utf-32"),
    "Latin-1": lambda content: content.decode().encode("cp1252"),
    "base64": base64.b64encode,
    "LZMA": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
    "zlib of a small window": lambda content: zlib.compress(content, wbits=9),
    "a zip archive with a program": lambda content: b"#!/usr/bin/env python\n" + zipped(content),
    "base64 in lines": lambda content: base64.encodebytes(content),
    "zstd": lambda content: codec(b" ".join(bytes([byte]) for byte in content) * 9 + content, "zstd"),
    "lz4": lambda content: codec(gzip.compress(content), "lz4"),
    "a packed file in an archive": lambda content: archived(gzip.compress(content)),
    "a text of a picture": lambda content: picture(content.decode()),
    "large": lambda content: b"x" * ((4 << 20) - 9) + content,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_is_refused(packer: str, tmp_path: Path) -> None:
    """A file with a secret is refused however its bytes are written; one that is damaged counts as it is."""
    content = PACKERS[packer](b" " * 99 + SECRET.encode() + b" " * 99)
    (tmp_path / "damaged").write_bytes(PACKERS[packer](b"nothing" * 99)[:-20])
    Redaction({"TOKEN": SECRET}).check_files(tmp_path)
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(PolicyRefused, match=r"model\.bin holds a secret: \[redacted TOKEN\]"):
        Redaction({"TOKEN": SECRET}).check_files(tmp_path)


@pytest.mark.host
def test_patch_is_unpacked(tmp_path: Path) -> None:
    """A secret in a binary file is found in a patch, where git has packed it: whole, and as a change of a file."""

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", "-C", tmp_path, *arguments], check=True, capture_output=True).stdout

    git("init", "--quiet")
    noise = b"\0" + random.Random(0).randbytes(5000)
    (tmp_path / "changed").write_bytes(noise)
    git("add", ".")
    (tmp_path / "changed").write_bytes(noise[:2000] + LONG.encode() * 2 + noise[2000:])
    delta = git("diff", "--binary")
    (tmp_path / "changed").write_bytes(b"\0" + gzip.compress(noise))
    (tmp_path / "core").write_bytes(b"\0" + noise + LONG.encode())
    git("add", ".")
    whole = git("diff", "--cached", "--binary")
    assert (b"delta" in delta, b"literal" in whole, LONG.encode() in delta + whole) == (True, True, False)
    for content in (delta, whole):
        with pytest.raises(PolicyRefused, match="the patch holds a secret"):
            Redaction({"TOKEN": LONG}).check_content(patch.contents(content), "the patch")


def test_error_is_redacted() -> None:
    """An error of a library, or of the file system, is shown without the secret."""
    for error in (ValueError(f"refused: {SECRET}", 1), FileNotFoundError(2, "no file", f"/tmp/{SECRET}.txt")):
        Redaction({"TOKEN": SECRET}).redact_error(error)
        assert "[redacted TOKEN]" in str(error)
        assert SECRET not in str(error)


def test_short_secret_is_cut_nowhere() -> None:
    """A secret of the shortest length is redacted beside an ellipsis as well."""
    assert (
        Redaction({"TOKEN": "canary"}).text("canary... and ...canary") == "[redacted TOKEN]... and ...[redacted TOKEN]"
    )


def test_large_output_is_quick() -> None:
    """Text of 4 MB, with ellipses and a word of the secret in each line, is redacted at once."""
    text = "a row of s3cr3t values ... | " * (4_000_000 // 29)
    start = time.process_time()
    assert Redaction({"TOKEN": SECRET}).text(text) == text
    assert time.process_time() - start < LONGEST


@pytest.mark.parametrize("separator", [" ", "\n", "    ", "/", '"', "\\", "é"])
def test_near_miss_is_quick(separator: str) -> None:
    """A text that has all of a secret but its end is searched at once, as a text and in a file."""
    words = [f"w{number:03}" for number in range(40)]
    redaction = Redaction({"TOKEN": separator.join(words) + "\n"})
    text = f"'{separator.join(words[:-1])}' without {words[-1]}"
    start = time.process_time()
    assert redaction.text(text) == text
    redaction.check_content([text.encode(), json.dumps(text).encode()], "outputs/a.txt")
    assert time.process_time() - start < LONGEST


def test_colours_hide_nothing() -> None:
    """A secret that is printed in two colours is redacted; other colours stay."""
    text = f"\x1b[31m{SECRET[:4]}\x1b[0;1m{SECRET[4:]}\x1b[0m"
    assert Redaction({"TOKEN": SECRET}).text(text) == "[redacted TOKEN]"
    assert Redaction({"TOKEN": SECRET}).text(f"\x1b[31m{SECRET}\x1b[0m") == "\x1b[31m[redacted TOKEN]\x1b[0m"


def test_names_are_searched(tmp_path: Path) -> None:
    """A secret in the name of an empty folder, or in what a link leads to, is refused, and removed."""
    for make in (lambda path: (path / SECRET).mkdir(), lambda path: (path / "a").symlink_to(SECRET)):
        make(tmp_path)
        with pytest.raises(PolicyRefused, match="holds a secret"):
            Redaction({"TOKEN": SECRET}).check_files(tmp_path)
        Redaction({"TOKEN": SECRET}).remove_files(tmp_path)
        assert not list(tmp_path.iterdir())


def test_cut_gzip_is_searched(tmp_path: Path) -> None:
    """A packed file that was cut, as its writer was killed, is searched up to the cut, and not kept: nobody knows its
    end. Other files that only begin like one are kept.
    """
    (tmp_path / "a.gz").write_bytes(gzip.compress(SECRET.encode() * 20)[:-9])
    with pytest.raises(PolicyRefused, match="holds a secret"):
        Redaction({"TOKEN": SECRET}).check_files(tmp_path)
    for name in ("gzip", "zip", "Parquet", "Feather", "ORC", "bzip2", "xz", "LZMA"):
        (tmp_path / name).write_bytes(PACKERS[name](SECRET.encode())[:-15])
    whole = {"whole.gz": gzip.compress(b"x"), "numbers": b"]\0\0\0\1\0\0\0", "a.txt": b"BZhang", "b.txt": b"PAR1S"}
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
    Redaction({"TOKEN": SECRET}).remove_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*whole}


def test_other_secret_searches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed run whose secret has another text now loses its outputs: they can't be searched for the old one."""
    workspace = Workspace(tmp_path)
    for text, left in (("canary-before", ["a.txt"]), ("canary-after", [])):
        run = RunFolder.create(workspace, f"20130101T000000Z-a-{len(left):06}")
        run_folder.note_secrets(run.path, Redaction({"TOKEN": "canary-before"}))
        (run.outputs / "a.txt").write_text("nothing")
        os.close(run.lock)
        monkeypatch.setenv("TOKEN", text)
        run_folder.recover(workspace)
        assert [path.name for path in (tmp_path / "runs" / run.id).glob("outputs/*")] == left


def test_folder_is_no_output(tmp_path: Path) -> None:
    """The name of the folder in which a workspace stands is no reason to refuse its outputs."""
    outputs = tmp_path / "canary" / "outputs"
    outputs.mkdir(parents=True)
    (outputs / "a.txt").touch()
    Redaction({"TOKEN": "canary"}).check_files(outputs)
