"""The Dockerfile of a stranger's commit: its build may take no image that this machine alone has."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from samebook.core.errors import UsageError

CONTINUED = re.compile(r"(?<!\\)\\[ \t]*$")
FROM = re.compile(r"\s*FROM\s+(?:--platform=[^\s\"'\\]+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*", re.IGNORECASE)
OTHERS = re.compile(r"(?<![\w-])(?:--)?from=([^\s,]+)", re.IGNORECASE)
# What may make a build read other instructions than are read here: in a line a directive, a character that is not of
# printed ASCII, which may count as a blank, or two backslashes at its end; in an instruction a here-document, or an
# argument whose name is quoted.
PLAIN_LINE = re.compile(r"[\t\x20-\x7e]*")
DIRECTIVE = re.compile(r"\s*(?:#|//|\{)[\s\"]*(?:syntax|escape)[\s\"]*[=:]", re.IGNORECASE)
UNCLEAR_LINE = re.compile(r"[ \t]*[^ \t#].*\\\\[ \t]*$")
UNCLEAR = re.compile(r".*<<|\s*ARG\s(?:.*\s)?[^\s=]*[^\s=\w][^\s=]*=", re.IGNORECASE)
QUOTES = str.maketrans("", "", "\\\"'")
ARGUMENT = re.compile(r"(?<=\s)(\w+)=(\S*)")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")
# The addresses that make hands to a build.
ADDRESSES = (
    *("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "DEBIAN_MIRROR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


def check(checkout: Path, commit: str, base_image: str) -> None:
    """Raise UsageError for an image without a digest, as one of this machine's may be, and for a password in an
    address that the build gets.

    An earlier stage of the file, an image by its digest and `base_image`, which the caller has named, are taken.
    """
    path = checkout / "Dockerfile"
    text = path.read_bytes().decode("utf-8-sig", "replace") if path.is_file() else ""
    lines = text.replace("\r\n", "\n").split("\n")
    instructions = list(_instructions(lines))
    values: dict[str, list[str]] = {}
    for name, value in ARGUMENT.findall("\n".join(instructions)):
        values.setdefault(name, []).append(value)
    # What make says for itself.
    values |= {"BASE_IMAGE": [base_image]} if base_image else {}
    values |= {"SYSTEM": ["system"]} if (checkout / "environments" / "apt.lock").is_file() else {}
    stages, mend = {"scratch", base_image}, f"git show {commit}:Dockerfile"
    if line := next(_unclear(lines, instructions), ""):
        raise UsageError(
            f"the Dockerfile of the reproduced commit has {line.strip()!a}, by which its build may read other"
            " instructions than this check; expected plain lines, without here-documents, # syntax= and # escape=",
            mend=mend,
        )
    # In their order: a stage counts for what comes after it, and an image of its name is another one before.
    for instruction in instructions:
        stage = FROM.fullmatch(instruction)
        names = [stage[1]] if stage else OTHERS.findall(instruction.translate(QUOTES))
        for image in (image.strip("\"'") for written in names for image in _expanded(written.strip("\"'"), values)):
            is_number = not stage and image.isdecimal()
            if not (image == base_image or image.lower() in stages or is_number or DIGEST.fullmatch(image)):
                raise UsageError(
                    f"the Dockerfile of the reproduced commit takes the image {image!a}, which this machine alone may"
                    " have; expected an earlier stage of that file, or an image by its digest",
                    mend=mend,
                )
        if stage and stage[2]:
            stages.add(stage[2].lower())
    if name := next((name for name in ADDRESSES if "@" in os.environ.get(name, "")), ""):
        raise UsageError(
            f"{name} has a password, which the build of the reproduced commit would see: it is not in this branch",
            mend=f"env -u {name} make reproduce …",
        )


def _instructions(lines: Iterable[str]) -> Iterator[str]:
    """The instructions of a Dockerfile, each in one line; a comment, or an empty line, may stand within one."""
    written = ""
    for line in lines:
        if _is_comment(line):
            continue
        written += CONTINUED.sub("", line)
        if not CONTINUED.search(line):
            yield written
            written = ""
    if written:
        yield written


def _is_comment(line: str) -> bool:
    """Whether a line is empty or a comment; only blanks and tabs may stand before it."""
    return line.strip(" \t")[:1] in ("", "#")


def _unclear(lines: Iterable[str], instructions: Iterable[str]) -> Iterator[str]:
    """The lines and instructions that a build may read in another way."""
    for line in lines:
        is_plain = (_is_comment(line) and line.replace("\t", "").isprintable()) or PLAIN_LINE.fullmatch(line)
        if not is_plain or DIRECTIVE.match(line) or UNCLEAR_LINE.match(line):
            yield line
    for instruction in instructions:
        is_from = [word.upper() for word in instruction.split()[:1]] == ["FROM"]
        if UNCLEAR.match(instruction) or (is_from and not FROM.fullmatch(instruction)):
            yield instruction


def _expanded(written: str, values: dict[str, list[str]]) -> Iterable[str]:
    """The images that a name may stand for; a name in which a variable is a part stands for itself."""
    variable = VARIABLE.fullmatch(written)
    return values.get(variable[1] or variable[2], [written]) if variable else [written]
