"""The plots of a run: the pictures that its notebook shows, and those among its outputs."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from samebook.core.digest import sha256
from samebook.records import canonical
from samebook.review.model_section import IMAGES

# Pictures of a run, and the bytes of each, that the report copies.
MOST, LARGEST = 24, 2 << 20
KINDS = {"image/png": ".png", "image/jpeg": ".jpg"}
SUFFIXES = tuple(IMAGES)


@dataclass(frozen=True)
class Image:
    """A picture, and its file in the report, which is named by its content."""

    file: str
    content: bytes


def image(content: bytes | None) -> Image | None:
    """A picture of pixels alone, as its first bytes say; None for anything else, and for a large one."""
    if not content or len(content) > LARGEST:
        return None
    suffix = next((name for name, start in IMAGES.items() if content.startswith(start)), "")
    return Image(f"images/{sha256(content)}{suffix}", content) if suffix else None


def of_notebook(notebook: dict[str, Any]) -> dict[str, Image]:
    """The pictures of an executed notebook by the name of their cell; further ones of a cell are numbered."""
    images = dict[str, Image]()
    for name, text in _shown(notebook):
        if found := image(_bytes(text)):
            count = sum(other == name or other.startswith(f"{name} ") for other in images)
            images[f"{name} {count + 1}" if count else name] = found
    return images


def _shown(notebook: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The name of the cell and the base64 of each picture."""
    cells = notebook["cells"]
    for number, cell in zip(canonical.numbers(cell["cell_type"] for cell in cells), cells, strict=True):
        for output in cell.get("outputs", ()):
            for kind in KINDS.keys() & output.get("data", {}).keys():
                text = output["data"][kind]
                yield canonical.name(cell["metadata"].get("tags", ()), number), "".join(text)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return b""
