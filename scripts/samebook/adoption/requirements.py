"""The versions that a foreign project asks for, by package: requirements.txt and the like, and `%pip install`."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

WISH = re.compile(
    r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*((?:(?:[<>=!~]=|===|[<>=])\s*[\w.*+!]+\s*(?:,\s*)?)*)(?:;.*)?$"
)
# conda's `pandas=1.5`, where pip writes `pandas==1.5.*`; `pandas=1.5.3=py39_0` names a build besides.
CONDA = re.compile(r"^\s*-\s*(?:[\w-]+::)?([A-Za-z0-9][\w.-]*)=([\w.]+)(?:=\S+)?\s*$")
INSTALL = re.compile(r"^\s*[%!]\s*(?:(?:python3? -m )?pip3?|conda|mamba|uv pip)\s+install\s+(.*)$", re.MULTILINE)


def of(folder: Path, texts: Iterable[str]) -> dict[str, str]:
    """The versions, like `==1.5.3` or "", of the packages that files in this folder and cells ask for."""
    versions: dict[str, str] = {}
    lines = (*_lines(folder), *(word for text in texts for line in INSTALL.findall(text) for word in line.split()))
    for line in lines:
        if wish := WISH.fullmatch(line.split("#")[0].strip().strip("\"'")):
            versions.setdefault(re.sub(r"[-_.]+", "-", wish[1]).lower(), wish[2].replace(" ", "").rstrip(","))
    return versions


def _lines(folder: Path) -> Iterator[str]:
    """The wishes in the files of a folder, as requirements.txt would write them. A file that can't be read has none."""
    for name in ("requirements.txt", "environment.yml", "environment.yaml", "pyproject.toml", "Pipfile"):
        with suppress(OSError, ValueError, AttributeError, TypeError):
            yield from _of_file(name, (folder / name).read_text("utf-8-sig"))


def _of_file(name: str, text: str) -> Iterator[str]:
    if name == "requirements.txt":
        yield from text.splitlines()
    elif name.startswith("environment"):
        for line in text.splitlines():
            conda = CONDA.match(line)
            yield f"{conda[1]}=={conda[2]}" if conda else line.strip().removeprefix("- ")
    else:
        content = tomllib.loads(text)
        yield from content.get("project", {}).get("dependencies", [])
        poetry = content.get("tool", {}).get("poetry", {}).get("dependencies", {})
        for package, version in {**poetry, **content.get("packages", {})}.items():
            plain = version if isinstance(version, str) else ""
            yield f"{package}{plain if re.match('[<>=!~]', plain) else ''}"
