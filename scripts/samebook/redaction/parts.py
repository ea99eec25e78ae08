"""The parts of a secret that are secrets themselves: a notebook, or an error of a library, shows one without the rest.

They are its lines, as a notebook's file splits a text into lines; the password of a URL, the keys in its query, also
where the query stands alone, and the path of a webhook; the values in JSON and in `name=value` whose names say so; and
what follows `Bearer`. A part may be a common word, which stands in code and in results by chance.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from samebook.core.secret import SHORTEST, WORD_ENDS, is_in_query, is_name

PASSWORD = re.compile(r"[\w+.-]+://[^\s:/@]*:(\S+)@")
PAIR = re.compile(r"""([\w.-]+)\s*[=:]\s*("[^"]*"|'[^']*'|[^\s;&,'"]+)""")
SCHEME = re.compile(r"(?:Basic|Bearer|Token)\s+(\S+)", re.IGNORECASE)
# The query of a URL by itself, as a shared access signature is handed over.
QUERY = re.compile(r"[\w.-]+=[^\s&]*(&[\w.-]+=[^\s&]*)+")
# The first and the last line of a key, which those of others are, too.
FRAME = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")
# A path that is as long as this may be the secret of a URL without any other.
PATH = 16
# The ends of names of what is public, though a word before says that it belongs to a secret: token_uri, keyFile.
PUBLIC = ("_uri", "_url", "_type", "_id", "_file", "_path")
# What may be a word of any text, and what is most likely one. Sixteen letters are a password of a mail server.
WORD, COMMON = re.compile(r".{1,9}|[A-Za-z]{1,15}"), re.compile(r"[a-z]{1,9}")


def whole(text: str) -> list[str]:
    """A secret, as it is and without the blanks around it, as a program strips the line break at a file's end; and the
    parts of it that are long enough to be redacted.
    """
    stripped = text.strip()
    found = (part.strip() for part in (*_of_url(stripped), *_of_json(text), *_of_pairs(stripped)))
    return list(dict.fromkeys((text, stripped, *(part for part in found if len(part) >= SHORTEST))))


def words(text: str) -> list[str]:
    """The parts of a secret that may be words: a file that holds one need not hold the secret."""
    return [part for part in whole(text) if part not in (text, text.strip()) and WORD.fullmatch(part)]


def parts(text: str) -> list[str]:
    """The secret and its parts, but for common words, and the lines of each."""
    common = [part for part in words(text) if COMMON.fullmatch(part)]
    pieces = [part for part in whole(text) if part not in common]
    lines = (line.strip() for part in pieces for line in part.splitlines())
    found = (line for line in lines if len(line) >= SHORTEST and not FRAME.fullmatch(line))
    return list(dict.fromkeys((*pieces, *found)))


def _of_url(text: str) -> Iterator[str]:
    try:
        url = urlsplit(text)
    except ValueError:
        return
    # Some programs take a password that is not escaped, with a slash in it.
    passwords = [url.password, *PASSWORD.findall(text)]
    is_web, is_named = url.scheme in ("http", "https"), "@" in url.netloc
    found = [part for part in passwords if part] or ([url.username or ""] if is_web else [])
    query = text if QUERY.fullmatch(text) else url.query
    found += [value for name, value in parse_qsl(query) if is_in_query(name, value) and not _is_public(name)]
    if is_web and not any(found) and not is_named and len(url.path) >= PATH:
        found.append(url.path)
    yield from (form for part in found for form in (part, unquote(part)))


def _of_json(text: str) -> Iterator[str]:
    with suppress(ValueError, RecursionError):
        yield from _values(json.loads(text))


def _values(value: Any, name: str = "") -> Iterator[str]:
    """The texts in a JSON value that names say are secret."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, name)
    elif isinstance(value, str) and is_name(name) and not _is_public(name):
        yield value


def _of_pairs(text: str) -> Iterator[str]:
    yield from (value.strip("\"'") for name, value in PAIR.findall(text) if is_name(name) and not _is_public(name))
    if match := SCHEME.fullmatch(text):
        yield match[1]


def _is_public(name: str) -> bool:
    """Whether a name says where a secret is, or of what kind, and not what it is."""
    return WORD_ENDS.sub("_", name).lower().endswith(PUBLIC)
