"""Redaction: it keeps secrets out of everything that a run writes or shows."""

import functools
import json
import os
import re
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from samebook.core.digest import sha256
from samebook.core.errors import PolicyRefused
from samebook.core.text import ESCAPES
from samebook.redaction import cuts, packed
from samebook.redaction.forms import SHOWN, Quoted, begun, encoded, may_begin, without_breaks, without_wraps
from samebook.redaction.parts import parts, whole, words

# The parts of a JSON value that samebook or a format has written itself, so that they hold no secret. {"cells": [{"id":
# True}]} names the key `cells`, and in each of its items the key `id` with its value. All else may hold a secret.
type Own = bool | Mapping[str, "Own"] | Sequence["Own"]

# Times the length of a secret in its longest form: as a UTF-8 text whose characters are escaped twice.
WIDEST = 16
# The beginning of a colour's code, also as a repr or JSON shows it, and such a code.
COLOURED = ("\x1b", "\\x1b[", "\\u001b[", "\\033[")
ESCAPED = re.compile(r"\\+(?:x1b|u001b|033)\[[0-9;]*m", re.IGNORECASE)
# The kinds of secrets: those that were asked for; those that a kernel gets unasked; those of files that it can read.
ASKED, GIVEN, FILE = "asked", "given", "file"


class Redaction:
    """The replacement of secrets, plain, quoted, escaped, encoded or cut short, by `[redacted NAME]`.

    `kinds` are by name; without one, a secret was asked for. A file of several lines, as a list of package sources,
    that nobody asked for is a secret only as a whole.
    """

    def __init__(self, secrets: Mapping[str, str], kinds: Mapping[str, str] | None = None) -> None:
        kinds = kinds or {}
        self.marks = {name: (mark(text), kinds.get(name, ASKED)) for name, text in sorted(secrets.items())}
        # Longer ones are replaced first, as one secret may begin with another.
        texts = [(name, text) for name, text in secrets.items() if text]
        lone = [name for name, text in texts if kinds.get(name) == FILE and "\n" in text.strip()]
        wholes = {name: [text, text.strip()] if name in lone else whole(text) for name, text in texts}
        pieces = [(part, name) for name, text in texts for part in (wholes[name] if name in lone else parts(text))]
        pieces.sort(key=lambda item: -len(item[0]))
        self.quoted = [(Quoted(part), f"[redacted {name}]") for part, name in pieces]
        forms = {
            form: f"[redacted {name}]" for name, found in wholes.items() for part in found for form in encoded(part)
        }
        self.numbers = {text.strip(): f"[redacted {name}]" for name, text in texts}
        self._encoded_by_label = {label: [form for form in forms if forms[form] == label] for label in forms.values()}
        self.encoded = dict(sorted(forms.items(), key=lambda item: -len(item[0])))
        # What refuses a file: a part of a secret that may be a word does not.
        weak = {(part, name) for name, text in texts for part in words(text)}
        self.refused = [item for item, piece in zip(self.quoted, pieces, strict=True) if piece not in weak]
        sure = (part for name, found in wholes.items() for part in found if (part, name) not in weak)
        strong = {form for part in sure for form in encoded(part)}
        self.refused_encoded = {form: label for form, label in self.encoded.items() if form in strong}
        self.longest = WIDEST * max((len(text) for _, text in texts), default=0)

    @property
    def note(self) -> str:
        """The marks and the kinds of the secrets, as JSON: a file's name may hold blanks."""
        return json.dumps(self.marks)

    def text(self, text: str) -> str:
        """The text with the secrets in it replaced; without its colours where one is in the midst of a secret."""
        text = self._replaced(text)
        if self.quoted and any(escape in text for escape in COLOURED):
            plain = ESCAPED.sub("", ESCAPES.sub("", text))
            redacted = self._replaced(plain)
            return text if redacted == plain else redacted
        return text

    def _replaced(self, text: str) -> str:
        for quoted, label in self.quoted:
            text = quoted.replace(text, label)
        for form, label in self.encoded.items():
            text = text.replace(form, label)
        for label, forms in self._encoded_by_label.items():
            text = cuts.replaced(text, cuts.of_forms(text, forms), label)
        return without_breaks(without_wraps(text, self.quoted), self.encoded)

    def whole_lines(self, text: str) -> int:
        """The index up to which lines can be redacted alone: behind it, one is not whole, or goes on in the next."""
        end = text.rfind("\n") + 1
        if end < len(text) and self.text(text[:end]) + self.text(text[end:]) != self.text(text):
            return 0
        return begun(text[:end], self._beginnings) if may_begin(text[:end], self._pieces) else end

    @functools.cached_property
    def _beginnings(self) -> list[str]:
        """The forms of the secrets, which a program may fold into lines."""
        return [*(quoted.text for quoted, _ in self.quoted), *self.encoded]

    @functools.cached_property
    def _pieces(self) -> frozenset[str]:
        """The shortest pieces of these forms: a line that ends with none of them begins no secret."""
        plain = ("".join(form.split()) for form in self._beginnings)
        return frozenset(form[index : index + SHOWN] for form in plain for index in range(len(form) - SHOWN + 1))

    def value(self, value: Any, own: Own = False) -> Any:
        """A JSON value, or a notebook, with the secrets in its texts and keys replaced, except for what is `own`."""
        if own is True or not self.quoted:
            return value
        if isinstance(value, Mapping):
            owns = own if isinstance(own, Mapping) else {}
            changed = {
                key if key in owns else self.text(key): self.value(item, owns.get(key, False))
                for key, item in value.items()
            }
            return type(value)(changed) if isinstance(value, dict) else changed  # a notebook's nodes are dicts too
        if isinstance(value, list):
            return [self.value(item, own[0] if isinstance(own, Sequence) else False) for item in value]
        if isinstance(value, float) and value.is_integer():
            return self.numbers.get(str(int(value)), value)
        return self.text(value) if isinstance(value, str) else self.numbers.get(str(value), value)

    def redact_error(self, error: BaseException) -> None:
        """Replace the secrets in what is shown of an error: its message, its notes, and those of its causes."""
        errors, current = list[BaseException](), [error]
        while current:
            errors += current
            of_each = ([one.__cause__, one.__context__, *getattr(one, "exceptions", ())] for one in current)
            current = [one for found in of_each for one in found if one and not any(one is other for other in errors)]
        for one in errors:
            one.args = tuple(self.value([*one.args]))
            if notes := getattr(one, "__notes__", None):
                one.__notes__ = self.value([*notes])
            if isinstance(one, OSError):
                for name in ("filename", "filename2", "strerror"):
                    setattr(one, name, self.value(getattr(one, name)))

    def check_files(self, folder: Path, but: Collection[str] = ()) -> None:
        """Raise PolicyRefused for the first entry below `folder` that holds a secret: bytes cannot be redacted. Those
        of the names `but` are not looked at, nor is what is in them.
        """
        for path in self._entries(folder, but):
            self._check(self._label_of(path, folder), str(path.relative_to(folder.parent)))

    def check_content(self, contents: Iterable[bytes], name: str) -> None:
        """Raise PolicyRefused where one of the contents holds a secret; the message calls them `name`."""
        self._check(next(filter(None, map(self._label, contents)), None) if self.quoted else None, name)

    def remove_files(self, folder: Path, but: Collection[str] = ()) -> None:
        """Remove the entries below `folder` that hold a secret, of folders those whose names do; and packed files
        that were cut, which can't be searched. Those of the names `but` stay, with what is in them.
        """
        for path in reversed(self._entries(folder, but)):
            if self._label_of(path, folder) or _is_cut(path):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _label_of(self, path: Path, folder: Path) -> str | None:
        """The replacement of a secret that an entry holds, in its path in the folder, in the path to which it links,
        in its bytes, or packed in them.
        """
        target = os.fsencode(path.readlink()) if path.is_symlink() else b""
        if label := self._label(os.fsencode(path.relative_to(folder)) + b"\n" + target):
            return label
        if not path.is_file():
            return None
        end = b""
        with path.open("rb") as file:
            for content in packed.pieces(file):
                if label := self._label(end + content):
                    return label
                end = content[-self.longest :]
        return None

    def _entries(self, folder: Path, but: Collection[str]) -> list[Path]:
        paths = sorted(folder.rglob("*")) if self.quoted else []
        return [path for path in paths if path.relative_to(folder).parts[0] not in but]

    def _check(self, label: str | None, name: str) -> None:
        if label:
            raise PolicyRefused(
                f"{self.text(name)} holds a secret: {label}",
                mend="leave the secret out of it, and of each file that git sees",
            )

    def _label(self, content: bytes) -> str | None:
        """The replacement of the first secret in `content`, which names it."""
        content = content.replace(b"\0", b"")
        labels = [label for quoted, label in self.refused if quoted.is_in(content)]
        found = (label for form, label in self.refused_encoded.items() if form.encode() in content)
        return next(iter(labels), None) or next(found, None) or self._label_in_lines(content)

    def _label_in_lines(self, content: bytes) -> str | None:
        """The replacement of a secret that is broken into lines, as it is or in base64."""
        text = content.decode("latin-1")
        redacted = without_breaks(without_wraps(text, self.refused), self.refused_encoded)
        return next((label for label in self.refused_encoded.values() if redacted != text and label in redacted), None)


def mark(text: str) -> str:
    """A sign of a secret's text, which shows that it has changed and next to nothing else: one byte of its hash."""
    return sha256(text.encode())[:2]


def noted(text: str) -> dict[str, tuple[str, str]]:
    """The mark and the kind of each secret by name, of a note; of an earlier version's, or a cut one, all were asked
    for.
    """
    with suppress(ValueError):
        return {name: (sign, kind) for name, (sign, kind) in json.loads(text).items()}
    return {name: (sign, ASKED) for name, _, sign in (line.partition(" ") for line in text.splitlines())}


def _is_cut(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return packed.is_cut(file)
