"""The executed notebook. Long outputs of cells that have ended are in a file, and memory holds those of one cell."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from nbformat import NotebookNode
from nbformat.v4.rwbase import split_lines, strip_transient

from samebook.core.workspace import replacing
from samebook.redaction import own_parts
from samebook.redaction.redactor import Redaction

# Characters: of a text that goes into the file, of a part of a printed text, and of one that is saved line by line.
LONG, PART, LONGEST_BY_LINE = 1 << 16, 1 << 16, 1 << 20
# A notebook's usual form, as nbformat writes it, and one that is written ten times as fast.
USUAL = json.JSONEncoder(indent=1, sort_keys=True, ensure_ascii=False, separators=(",", ": "))
FAST = json.JSONEncoder(ensure_ascii=False)


class Kept(str):
    """The place of a text in the file: its first byte, and how many there are. As a text it is empty."""

    start: int
    size: int

    @classmethod
    def at(cls, start: int, size: int) -> Self:
        place = cls()
        place.start, place.size = start, size
        return place


class Executed:
    """An executed notebook; `left_out` has, by its cells, the bytes that are left out of their output.

    The file has no name, so that nothing is left of it when this process ends; the texts in it are redacted.
    """

    def __init__(self, notebook: NotebookNode, folder: Path, redaction: Redaction) -> None:
        self.notebook, self.redaction = notebook, redaction
        self.left_out: dict[str, dict[str, int]] = {}
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def keep(self, cell: NotebookNode) -> None:
        """Put the long texts of a cell that has ended into the file."""
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                output.text = self._kept(_joined(output.text))
            elif output.output_type != "error":
                output.data.update({kind: self._kept(value) for kind, value in output.data.items()})

    def cells(self) -> Iterator[NotebookNode]:
        """The cells with their outputs, redacted."""
        for cell in self.notebook.cells:
            if outputs := cell.get("outputs"):
                cell = NotebookNode({**cell, "outputs": [self._whole(output) for output in outputs]})
            yield self.redaction.value(cell, own_parts.CELL)

    def with_cells(self, change: Callable[[NotebookNode], NotebookNode]) -> NotebookNode:
        """The notebook, redacted, with a change of each cell that leaves little enough of it for memory."""
        return NotebookNode({**self._rest(), "cells": [*map(change, self.cells())]})

    def write(self, path: Path, encoder: json.JSONEncoder = USUAL) -> None:
        """Write the notebook, as a whole or not at all."""
        with replacing(path) as temporary, temporary.open("w") as stream:
            start, end = '{\n "cells": [', "]"
            for cell in self.cells():
                stream.write(f"{start}\n  ")
                stream.writelines(chunk.replace("\n", "\n  ") for chunk in _chunks(cell, encoder))
                start, end = ",", "\n ]"
            stream.write(f"{start.rstrip(',')}{end},{encoder.encode(self._rest()).removeprefix('{')}")

    def _rest(self) -> NotebookNode:
        """All of the notebook but its cells, redacted."""
        rest = {key: value for key, value in self.notebook.items() if key != "cells"}
        return self.redaction.value(NotebookNode(rest), own_parts.NOTEBOOK)

    def _kept(self, value: Any) -> Any:
        if not isinstance(value, str) or len(value) < LONG:
            return value
        value = self.redaction.text(value)
        start = self._file.seek(0, 2)
        for first in range(0, len(value), LONGEST_BY_LINE):
            self._file.write(value[first : first + LONGEST_BY_LINE].encode(errors="surrogatepass"))
        return Kept.at(start, self._file.tell() - start)

    def _whole(self, output: NotebookNode) -> NotebookNode:
        if output.output_type == "stream":
            return NotebookNode({**output, "text": self._text(_joined(output.text))})
        if output.output_type == "error":
            return output
        data = NotebookNode({kind: self._text(value) for kind, value in output.data.items()})
        return NotebookNode({**output, "data": data})

    def _text(self, value: Any) -> Any:
        if not isinstance(value, Kept):
            return value
        self._file.seek(value.start)
        return self._file.read(value.size).decode(errors="surrogatepass")


def merge(outputs: list[NotebookNode]) -> None:
    """Make a text that was printed last a part of the one before it, where both are of one stream.

    They may come in any number: the parts are joined when the cell has ended.
    """
    if len(outputs) < 2 or outputs[-1].output_type != "stream" or outputs[-2].get("name") != outputs[-1].name:
        return
    text, output = outputs.pop().text, outputs[-1]
    parts = output.text if isinstance(output.text, list) else [output.text]
    if len(parts[-1]) < PART:
        parts[-1] += text
    else:
        parts.append(text)
    output.text = parts


def _joined(text: str | list[str]) -> str:
    return "".join(text) if isinstance(text, list) else text


def _chunks(cell: NotebookNode, encoder: json.JSONEncoder) -> Iterator[str]:
    outputs = [_in_parts(output) for output in cell.get("outputs", ())]
    copy = NotebookNode({**cell, **({"outputs": outputs} if outputs else {})})
    if encoder is USUAL:
        return encoder.iterencode(_by_line(copy, outputs))
    # One call of the encoder in C is as quick as it gets, and has all in memory at once.
    is_short = all(isinstance(output.get("text", ""), str) for output in outputs)
    return iter((encoder.encode(copy),)) if is_short else encoder.iterencode(copy)


def _by_line(copy: NotebookNode, outputs: list[NotebookNode]) -> NotebookNode:
    """The copy of a cell with its texts as lists of lines, as nbformat writes them."""
    if "attachments" in copy:
        copy.attachments = NotebookNode({name: NotebookNode(data) for name, data in copy.attachments.items()})
    for output in outputs:
        if "data" in output:
            output.data = NotebookNode(output.data)
    return strip_transient(split_lines(NotebookNode(metadata=NotebookNode(), cells=[copy]))).cells[0]


def _in_parts(output: NotebookNode) -> NotebookNode:
    """A copy of an output, whose printed text is a list of long parts where it is very long."""
    text = output.get("text", "")
    if len(text) <= LONGEST_BY_LINE:
        return NotebookNode(output)
    parts, first = list[str](), 0
    while first < len(text):
        end = text.find("\n", first + PART) + 1 or len(text)
        parts.append(text[first:end])
        first = end
    return NotebookNode({**output, "text": parts})
