"""The Dockerfile of a stranger's commit: its build may take no image that this machine alone has."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from samebook.core.errors import UsageError

CONTINUED = re.compile(r"\\[ \t]*\n(?:[ \t]*(?:#.*)?\n)*")
FROM = re.compile(r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?", re.IGNORECASE | re.MULTILINE)
OTHERS = re.compile(r"(?<![\w-])(?:--)?from=([^\s,]+)", re.IGNORECASE)
ARGUMENT = re.compile(r"(?:^[ \t]*ARG[ \t]|(?<=[ \t]))(\w+)=(\S*)", re.MULTILINE)
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")
INDEXES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")


def check(checkout: Path, commit: str, base_image: str) -> None:
    """Raise UsageError for an image without a digest, as one of this machine's may be, and for a password to an index.

    A stage of the file, an image by its digest and `base_image`, which the caller has named, are taken.
    """
    path = checkout / "Dockerfile"
    text = CONTINUED.sub("", path.read_text(errors="replace")) if path.is_file() else ""
    stages = {name.lower() for _, name in FROM.findall(text) if name}
    names = [*(image for image, _ in FROM.findall(text)), *OTHERS.findall(text)]
    values: dict[str, list[str]] = {}
    for name, value in ARGUMENT.findall(text):
        values.setdefault(name, []).append(value)
    # What make says for itself.
    values |= {"BASE_IMAGE": [base_image]} if base_image else {}
    values |= {"SYSTEM": ["system"]} if (checkout / "environments" / "apt.lock").is_file() else {}
    for image in (image.strip("\"'") for written in names for image in _expanded(written.strip("\"'"), values)):
        if not (image.lower() in {*stages, "scratch", base_image} or image.isdecimal() or DIGEST.fullmatch(image)):
            raise UsageError(
                f"the Dockerfile of the reproduced commit takes the image {image!a}, which this machine alone may have;"
                " expected a stage of that file, or an image by its digest",
                mend=f"git show {commit}:Dockerfile",
            )
    if name := next((name for name in INDEXES if _has_password(os.environ.get(name, ""))), ""):
        raise UsageError(
            f"{name} has a password, which the build of the reproduced commit would see: it is not in this branch",
            mend=f"env -u {name} make reproduce …",
        )


def _expanded(written: str, values: dict[str, list[str]]) -> Iterable[str]:
    """The images that a name may stand for; a name in which a variable is a part stands for itself."""
    variable = VARIABLE.fullmatch(written)
    return values.get(variable[1] or variable[2], [written]) if variable else [written]


def _has_password(url: str) -> bool:
    try:
        return "@" in urlsplit(url).netloc
    except ValueError:
        return True
