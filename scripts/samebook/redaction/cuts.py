"""Texts that a program has cut short: what it shows of a secret, beside an ellipsis."""

import re
from collections.abc import Iterable, Iterator, Sequence

from samebook.core.secret import SHORTEST

# Programs that cut a text end it with one of these: pandas, polars, textwrap, HTML pages.
ELLIPSES = ("...", "…", "&hellip;")
# The same behind a piece and before one, as textwrap writes them.
OPENING, CLOSING = (*ELLIPSES, "[...", " [..."), (*ELLIPSES, "...]", "...] ")
# What is left of a character's code that is cut, and the ellipsis behind it.
CUT = re.compile(rf"(?={'|'.join(map(re.escape, OPENING))})")
CUT_CODE = re.compile(rf"[\\&%=#\w;]{{0,16}}?{CUT.pattern}")


def has_ellipsis(text: str) -> bool:
    """Whether there is a place at which a program has cut something."""
    return any(ellipsis in text for ellipsis in ELLIPSES)


def heads(text: str, parts: Sequence[tuple[re.Pattern[str], bool]]) -> Iterator[tuple[int, int]]:
    """The places of a piece that begins a secret, beside an ellipsis, by the patterns of the secret's parts.

    Beside each pattern stands whether it is a plain character: of any other the code may be cut, too.
    """
    (beginning, is_first_plain), *others = parts
    for match in beginning.finditer(text):
        end, is_plain, next_plain = match.end(), is_first_plain, True
        for part, next_plain in others:
            if CUT.match(text, end) or not (found := part.match(text, end)):
                break
            end, is_plain = found.end(), next_plain
        if found := (CUT if is_plain and next_plain else CUT_CODE).match(text, end):
            yield match.start(), found.end()


def of_forms(text: str, forms: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The places of the pieces that begin or end one of these forms, beside an ellipsis."""
    if has_ellipsis(text):
        for form in forms:
            yield from _cuts(form, text)


def replaced(text: str, spans: Iterable[tuple[int, int]], label: str) -> str:
    """The text with a label in these places; of two that overlap, in the first one and in what the other adds."""
    ends, starts = [0], list[int]()
    for start, end in sorted(spans):
        if starts and start <= ends[-1]:
            ends[-1] = max(end, ends[-1])
        else:
            starts.append(start)
            ends.append(end)
    return label.join(text[end:start] for end, start in zip(ends, [*starts, len(text)], strict=True))


def _cuts(form: str, text: str) -> Iterator[tuple[int, int]]:
    """The places in a text of a piece that begins or ends a form, beside an ellipsis."""
    for start in _positions(text, form[:SHORTEST]):
        # Most often it is a word with which the secret begins.
        if not text.startswith((form[SHORTEST : SHORTEST + 1], *OPENING), start + SHORTEST):
            continue
        end = start + _shared(form, text[start : start + len(form)])
        if text.startswith(OPENING, end):
            yield start, end
    for position in _positions(text, form[-SHORTEST:]):
        end = position + SHORTEST
        start = end - _shared(form[::-1], text[max(0, end - len(form)) : end][::-1])
        if text.endswith(CLOSING, 0, start):
            yield start, end


def _shared(one: str, other: str) -> int:
    """The number of characters with which both texts begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))


def _positions(text: str, part: str) -> Iterator[int]:
    position = text.find(part)
    while position >= 0:
        yield position
        position = text.find(part, position + 1)
