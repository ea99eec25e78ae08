"""The limit of a cell's output: what a cell prints or displays beyond it is left out, and a line says how much.

Counted are the UTF-8 bytes of stdout, those of stderr, and those of displays, each for itself: only timing decides how
a kernel splits these into messages, and in which order they come. So each run of a notebook leaves out the same.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jupyter_client.jsonutil import json_default

if TYPE_CHECKING:
    from nbformat import NotebookNode

MB = 10**6
DISPLAYS = "displays"
DISPLAYED = ("display_data", "execute_result", "update_display_data")
# Where a text is cut. An ellipsis, as behind it the redaction looks for the beginning of a secret.
CUT = "…\n"
# The largest message of an error, and the largest traceback.
LONGEST_ERROR = MB


class Limit:
    """The limit of each cell in turn; `most` is in bytes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.begin()

    def begin(self) -> None:
        """Count from nothing: for a new cell, or after one has cleared its output."""
        self.used, self.left_out = Counter[str](), Counter[str]()
        self.sizes: dict[str, int] = {}

    def admits(self, message: Mapping[str, Any]) -> bool:
        """Whether an output is kept; a text that goes beyond the limit keeps its beginning, and so does an error."""
        kind, content = message["msg_type"], message["content"]
        if kind == "clear_output":
            self.begin()
        elif kind == "stream":
            return self._admits_text(content)
        elif kind in DISPLAYED:
            display = (content.get("transient") or {}).get("display_id")
            return self._admits_display(_size(content.get("data")), display)
        elif kind == "error":
            content["evalue"], content["traceback"] = _shortened(content["evalue"]), _traceback(content["traceback"])
            return self._admits_display(_size(content["evalue"]) + _size(content["traceback"]), None)
        return True

    def notices(self, settings: str, *, is_whole: bool) -> "Iterator[NotebookNode]":
        """The outputs that say, at the end of a cell, what is left out; `settings` is the file with the limit.

        A cell that has not come to its end, `is_whole`, has not told all of it.
        """
        from nbformat.v4 import new_output  # a kernel never imports it

        cause = f"output_limit in {settings} is {self.most / MB:g} (MB)"
        for name, size in sorted(self.left_out.items()):
            text = f"{'' if is_whole else 'at least '}{size:,} bytes more of {name} are left out: {cause}"
            if name == DISPLAYS:
                yield new_output("display_data", data={"text/plain": text})
            else:
                yield new_output("stream", name=name, text=f"{text}\n")

    def _admits_text(self, content: dict[str, Any]) -> bool:
        name, text = content["name"], content["text"]
        if isinstance(more := content.get("left_out"), int):  # a kernel says at a cell's end what it has not sent
            self.left_out[name] += more
            return False
        size, room = _size(text), self.most - self.used[name]
        self.used[name] += min(size, room)
        if size <= room:
            return True
        is_first = name not in self.left_out
        self.left_out[name] += size - room
        content["text"] = _beginning(text, room) + CUT
        return is_first

    def _admits_display(self, size: int, display: str | None) -> bool:
        """Whether there is room for a display, which may replace one of the same id; after a first without, none is."""
        before = self.sizes.get(display, 0) if display else 0
        if DISPLAYS in self.left_out or self.used[DISPLAYS] + size - before > self.most:
            self.left_out[DISPLAYS] += size
            return False
        self.used[DISPLAYS] += size - before
        if display:
            self.sizes[display] = size
        return True


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    if isinstance(value, bytes):  # of a kernel, which sends them as base64
        return (len(value) + 2) // 3 * 4
    text = value if isinstance(value, str) else json.dumps(value, default=json_default)
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _beginning(text: str, size: int) -> str:
    """The characters of a text that have their place in its first bytes, so many."""
    return text[:size].encode(errors="surrogatepass")[:size].decode(errors="ignore")


def _shortened(text: str) -> str:
    return text if _size(text) <= LONGEST_ERROR else _beginning(text, LONGEST_ERROR) + CUT


def _traceback(lines: list[str]) -> list[str]:
    return lines if _size(lines) <= LONGEST_ERROR else [_shortened("\n".join(lines))]
