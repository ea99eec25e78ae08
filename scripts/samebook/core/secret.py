"""Secrets: git has only their names. The text is in the variable NAME, or in the file /run/secrets/NAME."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from samebook.core.errors import UsageError

SECRETS = Path("/run/secrets")
SHORTEST = 6
# The files of a service account that are no secret: the name of its namespace is a common word.
PUBLIC = ("serviceaccount/namespace", "serviceaccount/ca.crt")
# The secrets that samebook itself keeps in a checkout.
OWN = {"CLUSTER_KEY": ".samebook/cluster/key.pem"}
# `Secret("NAME")` in the JSON of a notebook.
NAMED = re.compile(rb"""\bSecret\(\s*\\?["']([A-Z][A-Z0-9_]*)\\?["']""")
# The words in a name of what is secret: of a variable, of a key in JSON.
WORDS = re.compile(
    r"(^|_)(\w*(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|SIGNATURE)"
    r"|(API|ACCESS|ACCOUNT|APP|AUTH|MASTER|PRIVATE|SHARED|SUBSCRIPTION)?KEY"
    r"|PASS|PWD|PIN|AUTH|AUTHORIZATION|COOKIE|DSN|JWT)(_|$)",
    re.IGNORECASE,
)
# Those in the name of a part of a URL's query, which is no program's or setting's own: a wider list.
QUERY_WORDS = re.compile(r"(^|_)sas(_|$)|sig$|signature|token|password|secret|credential|key$", re.IGNORECASE)
WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^0-9A-Za-z]+")
# Keys that open nothing: those of databases, tables and caches; and words that only end in three such letters.
PLAIN_KEYS = re.compile(
    r"(^|_)((cache|column|composite|distribution|foreign|group|index|join|object|order|partition|primary|public|row|sort"
    r"|unique)_?|don|hoc|joc|mon|tur|whis)key$",
    re.IGNORECASE,
)
# A password in the URL, or in the words, that a variable holds; alone before the @ of a web address, a name is one.
PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]*@|https?://[^/\s@]+@|\bpassword\s*=", re.IGNORECASE)

# The names and values in the query of a URL.
KEYS = re.compile(r"[?&]([\w.-]+)=([^&#\s]*)")


class Secret(str):
    """A notebook's parameter that is a secret: a str with the secret's text.

    Its repr names it, and every output that holds the text is redacted. Raises UsageError where it is not set.
    """

    name: str

    def __new__(cls, name: str) -> "Secret":
        secret = super().__new__(cls, text(name))
        secret.name = name
        return secret

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        """A pickle has the name alone, so that no text leaves this machine in one; it is read again from that."""
        return Secret, (self.name,)


def text(name: str) -> str:
    """The text of a secret. Raises UsageError where it is not set, or too short to be redacted everywhere."""
    content = optional_text(name)
    if not content:
        raise UsageError(f"the secret {name} is not set", mend=f"export {name}=…")
    if (length := len(content.strip())) < SHORTEST:
        raise UsageError(
            f"the secret {name} has {length} characters; expected at least {SHORTEST}",
            mend=f"export {name}=…, a longer one",
        )
    return content


def optional_text(name: str) -> str:
    """The text of a secret; empty where it is not set. Raises UsageError for one that is not UTF-8."""
    file = SECRETS / name
    try:
        variable = os.fsencode(os.environ.get(name, "")).decode()
        return variable or (file.read_text(encoding="utf-8").rstrip("\n") if file.is_file() else "")
    except UnicodeDecodeError:
        raise UsageError(f"the secret {name} is not UTF-8, and so can't be redacted", mend=f"export {name}=…") from None


def names(notebook: Path) -> set[str]:
    """The names of the secrets that a notebook's file has, as `Secret("NAME")`; none where it can't be read."""
    with suppress(OSError):
        return {name.decode() for name in NAMED.findall(notebook.read_bytes())}
    return set()


def is_name(name: str) -> bool:
    """Whether a name, as `apiKey` or `X-Amz-Signature`, says that what it names is secret."""
    return WORDS.search(_without_plain_key(name)) is not None


def is_in_query(name: str, value: str) -> bool:
    """Whether a part of a URL's query is secret by its name, as `sig` or `hapikey`; a number of `maxTokens` is not."""
    is_number = name.lower().endswith("tokens") and value.isdigit()
    return is_name(name) or (QUERY_WORDS.search(_without_plain_key(name)) is not None and not is_number)


def _without_plain_key(name: str) -> str:
    """The words of a name, without a key at their end that is no secret."""
    return PLAIN_KEYS.sub("", WORD_ENDS.sub("_", name))


def is_likely(variable: str, value: str) -> bool:
    """Whether a variable holds a secret, by its name or for a password or a key in its value."""
    is_in_url = PASSWORD.search(value) is not None or any(is_in_query(*part) for part in KEYS.findall(value))
    return is_name(variable) or is_in_url


def files() -> list[str]:
    """The names of the secrets that are files here, `kubernetes.io/serviceaccount/token` too, and that can be read as
    texts.
    """
    names = []
    for path in sorted(SECRETS.rglob("*")):
        name = path.relative_to(SECRETS).as_posix()
        # Kubernetes links to a folder `..2013_06_30`, which has the same files.
        if name.endswith(PUBLIC) or name.startswith("..") or "/.." in name:
            continue
        with suppress(OSError, UnicodeDecodeError):
            if path.is_file() and path.read_text(encoding="utf-8"):
                names.append(name)
    return names


def short(names: Iterable[str]) -> list[str]:
    """The names of the secrets that are set here and too short to be redacted."""
    return [name for name in names if 0 < len(optional_text(name).strip()) < SHORTEST]


def own_texts(root: Path) -> dict[str, str]:
    """The texts, by name, of the secrets that samebook itself keeps in the checkout `root`."""
    paths = {name: root / path for name, path in OWN.items()}
    return {name: path.read_text() for name, path in paths.items() if path.is_file()}


def texts(names: Iterable[str]) -> dict[str, str]:
    """The texts, by name, of the secrets that are set here and long enough to be redacted."""
    return {name: text for name in names if len((text := optional_text(name)).strip()) >= SHORTEST}
