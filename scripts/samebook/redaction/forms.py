"""The forms in which programs write a secret: as it is, quoted, escaped, encoded, in other texts, and cut short.

Letters and digits stay what they are in all quoting; each other character may be written in one of several ways, so a
regular expression finds every mixture of them. A text without a word of the secret can't match, and to look for
words is much cheaper than to match.
"""

import base64
import functools
import html.entities
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from samebook.core.secret import SHORTEST
from samebook.redaction import cuts

ENCODINGS = ("utf-8", "cp1252", "utf-16-le", "utf-16-be")
# Bytes of a line of base64 in a mail or a PEM file, and the shortest encoded text that is looked for.
BASE64_LINE, ENCODED = 57, 7
# The shortest piece of a secret that tells something of it.
SHOWN = 4
# Characters in which the last ones of a text are looked for that are neither blanks nor frames.
LAST = 1000
# A text in base64 that is broken into lines, as they are or escaped; the breaks, and the texts that they consist of.
BREAK = re.compile(r"(?:\r?\n|\\+r\\+n|\\+n)[ \t]*")
BREAKS = ("\\r", "\\n", "\\", "\r", "\n", " ", "\t")
BROKEN = re.compile(rf"(?<![\w+/-])[\w+/-]{{20,}}+(?:{BREAK.pattern}[\w+/=-]++)+", re.ASCII)
# A run of blanks, or another character; and a blank where a text is folded, also in a new pair of quotes as by pprint.
PARTS = re.compile(r"\s+|\S")
BLANK = r"""(?i:\\*\s|\\+[nrt]|&(?:amp;)*nbsp;|['"]\s*['"])"""
# A line break in the midst of a text that has been cut into lines of one width, with what programs put around it: the
# quotes of pprint, the frame of a table; the characters that may stand there; and the shortest text that is so cut.
FRAME = " \t|│┃"
WRAP = rf"""(?:["']?[{FRAME}]*(?:\r?\n|\\+r\\+n|\\+n)[{FRAME}]*(?:b?["'])?)?"""
EDGE, WRAPPED = f"{FRAME}\r\\\"'", 12
# The names of characters in HTML: &euro; and the many of HTML 5, as &sol;.
ENTITIES = {f"&{name.lower()}": text for name, text in html.entities.html5.items() if name.endswith(";")}


@dataclass(frozen=True)
class Quoted:
    """A text that is looked for as it is, quoted and escaped in any way, and cut short."""

    text: str

    @functools.cached_property
    def words(self) -> list[str]:
        """The longer runs of letters and digits, which stay in all quoting."""
        return sorted(re.findall(r"[0-9a-zA-Z]{3,}", self.text), key=len, reverse=True)

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile("".join(map(_alternatives, PARTS.findall(self.text))))

    @functools.cached_property
    def in_bytes(self) -> re.Pattern[bytes]:
        return re.compile(b"".join(map(_alternatives_in_bytes, PARTS.findall(self.text))))

    @functools.cached_property
    def wrapped(self) -> re.Pattern[str]:
        return re.compile(WRAP.join(map(_alternatives, PARTS.findall(self.text))))

    @functools.cached_property
    def shown(self) -> set[str]:
        """The text as it is shown: in a page, in a list, or as it is."""
        return {self.text, html.escape(self.text), html.escape(self.text, quote=False), repr(self.text)[1:-1]}

    @functools.cached_property
    def _first_word(self) -> str:
        """The letters and digits with which the text begins: what is cut has all of them."""
        return re.split(r"[^0-9a-zA-Z]", self.text[:SHORTEST])[0]

    @functools.cached_property
    def _parts(self) -> list[tuple[re.Pattern[str], bool]]:
        """The patterns of the beginning, and of each part behind it, and whether it is written in one way alone."""
        parts = PARTS.findall(self.text)
        beginning = re.compile("".join(map(_alternatives, parts[:SHORTEST])))
        others = [(re.compile(_alternatives(part)), _is_plain(part)) for part in parts[SHORTEST:]]
        return [(beginning, _is_plain(parts[:SHORTEST][-1])), *others]

    def replace(self, text: str, label: str) -> str:
        """The text with `label` in place of this one."""
        if all(word in text for word in self.words):
            text = self.pattern.sub(lambda _: label, text)
        if cuts.has_ellipsis(text) and self._first_word in text:
            text = cuts.replaced(text, cuts.heads(text, self._parts), label)
        return cuts.replaced(text, cuts.of_forms(text, self.shown), label)

    def is_in(self, content: bytes) -> bool:
        """Whether `content` holds this text. Its zero bytes are left out: so UTF-16 and UTF-32 read as plain text."""
        return all(word.encode() in content for word in self.words) and self.in_bytes.search(content) is not None


def encoded(text: str) -> set[str]:
    """A text in base64, wherever it stands in what is encoded, whole and in lines, and in hexadecimal."""
    content = text.encode()
    lines = base64.encodebytes(content).decode().splitlines() if len(content) > BASE64_LINE else []
    forms = {*_in_base64(content), *(line for line in lines if len(line) >= ENCODED)}
    forms |= {form.replace("+", "-").replace("/", "_") for form in forms}
    forms |= {quote(form, safe="") for form in forms} | {quote(form) for form in forms}
    forms |= {form for text in _in_base32(content) for form in (text, text.lower())}
    pairs = {content.hex(), *(content.hex(separator) for separator in ": -")}
    return forms | pairs | {text.upper() for text in pairs}


def without_breaks(text: str, forms: Mapping[str, str]) -> str:
    """The text with a label in place of each piece of base64 in lines that holds a form; labels are by form."""

    def replaced(match: re.Match[str]) -> str:
        joined = BREAK.sub("", match[0])
        return next((label for form, label in forms.items() if form in joined), match[0])

    # A regular expression is much slower than this.
    joined = functools.reduce(lambda rest, part: rest.replace(part, ""), BREAKS if forms else (), text)
    return BROKEN.sub(replaced, text) if any(form in joined for form in forms) else text


def lines_joined(text: str) -> str:
    """The text without its line breaks, and without what programs put around one."""
    lines = text.replace("\\n", "\n").split("\n")
    return "".join(line.strip(EDGE).removeprefix("b'").removeprefix('b"') for line in lines)


def without_wraps(text: str, quoted: Sequence[tuple[Quoted, str]]) -> str:
    """The text with its label in place of each quoted one that a program has cut into lines of one width."""
    long = [(form, label) for form, label in quoted if len(form.text) >= WRAPPED]
    joined = lines_joined(text) if long and ("\n" in text or "\\n" in text) else ""
    for form, label in long:
        if form.text in joined:
            text = form.wrapped.sub(lambda _, label=label: label, text)
    return text


def may_begin(text: str, pieces: Container[str]) -> bool:
    """Whether the last characters of a text, but for blanks and frames, are one of these pieces, or few."""
    end = "".join(text[-LAST:].split()).rstrip(EDGE)[-SHOWN:]
    return end in pieces or any(character in EDGE for character in end)


def begun(text: str, forms: Iterable[str]) -> int:
    """The index of the line in which a form may begin that the lines to come would end; the text's length for none."""
    lines = text.splitlines(keepends=True)
    plain = ["".join(line.split()).strip(EDGE) for line in lines]
    longest = max((len(form) for form in forms), default=0)
    end = "".join(plain[-longest:])[-longest:] if longest else ""
    lengths = (_begun(end, "".join(form.split())) for form in forms)
    left, index = max(lengths, default=0), len(lines)
    while left > 0:
        index -= 1
        left -= len(plain[index])
    return sum(map(len, lines[:index]))


def _begun(end: str, form: str) -> int:
    """The number of characters at the end of a text that begin a form and do not end it; too few show nothing."""
    return next((n for n in range(min(len(form) - 1, len(end)), SHOWN - 1, -1) if end.endswith(form[:n])), 0)


def _in_base64(content: bytes) -> Iterator[str]:
    """The part of the base64 that does not depend on what stands before and behind, for each of three alignments."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + content).decode().rstrip("=")
        whole = text[(0, 2, 3)[before] : -1 if (before + len(content)) % 3 else None]
        if len(whole) >= ENCODED:
            yield whole


def _in_base32(content: bytes) -> Iterator[str]:
    """The same of base32, whose letters stand for five bits, for each of five alignments."""
    for before in range(5):
        text = base64.b32encode(b"\0" * before + content).decode()
        whole = text[-(-8 * before // 5) : 8 * (before + len(content)) // 5]
        if len(whole) >= ENCODED:
            yield whole


def _alternatives(part: str) -> str:
    """A regular expression for the ways to write a character, or a run of blanks."""
    return part if _is_plain(part) else f"(?:{'|'.join(_ways(part))}){'+' * part.isspace()}"


def _alternatives_in_bytes(part: str) -> bytes:
    """The same for bytes without zeros, in any encoding."""
    if _is_plain(part):
        return part.encode()
    ways = "|".join(_ways(part)).encode()
    raw = {character.encode(name, errors="ignore").replace(b"\0", b"") for character in part for name in ENCODINGS}
    others = [re.escape(form) for form in sorted(raw) if form and not re.fullmatch(ways, form)]
    return b"(?:" + b"|".join((ways, *others)) + b")" + b"+" * part.isspace()


def _is_plain(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _ways(part: str) -> list[str]:
    return list(dict.fromkeys(way for character in part for way in _written(character)))


def _written(character: str) -> list[str]:
    r"""Regular expressions, longer ones first; what is escaped is so again in JSON in JSON: \\+ and &(?:amp;)*.

    They are for: JSON and reprs, of text and of bytes; HTML; URLs and forms; mails; names that git and C quote; CSV,
    SQL, Markdown and a shell's quotes.
    No two match the same: with two for each of n characters, a text that ends otherwise would be tried in 2^n ways.
    """
    if character in "'\"":
        plain = r"""(?:\\*['"])+"""
    elif character.isspace():
        plain = BLANK
    else:
        plain = r"\\+" if character == "\\" else rf"\\*{re.escape(character)}"
    code = ord(character)
    escapes = {json.dumps(character)[1:-1], repr(character.encode())[2:-1], rf"\x{code:02x}", rf"\u{code:04x}"}
    escapes.add(character.encode("unicode_escape").decode())
    percents = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode())
    if not character.isascii():
        escapes.add("".join(f"\\{byte:03o}" for byte in character.encode()))
    mail = "".join(f"={byte:02x}" for byte in character.encode())
    entities = {html.escape(character), f"&#{code};", f"&#0{code};", f"&#x{code:x};"}
    entities |= {name for name, text in ENTITIES.items() if text == character}
    others = (escape for escape in escapes if not re.fullmatch(plain, escape))
    ways = {re.sub(r"(?:\\\\)+", lambda _: r"\\+", re.escape(escape)) for escape in others}
    ways |= {re.escape(entity).replace(r"\&", r"\\*&(?:amp;)*") for entity in entities if len(entity) > 1}
    ways |= {percents, mail, *((r"\+", "%(?:25)*2b") if character == " " else ())}
    return [*(f"(?i:{way})" for way in sorted(ways, key=lambda way: (-len(way), way))), plain]
