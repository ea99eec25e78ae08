"""The changes of what judges a change: policy, keys, gates, images and the forge's own jobs."""

import re
from collections.abc import Iterable, Iterator

from samebook.records.signing import KEYS
from samebook.review import judges, settings
from samebook.review.span import Span

CHANGES = {"A": "added", "D": "removed", "M": "changed", "T": "changed its kind"}
# What such a file decides, by the beginning of its path.
PLACES = {
    f"{KEYS}/": "whose signatures count",
    "Dockerfile": "what the image is made of",
    "environments/host": "what each command runs, and what the base image is made of",
    "environments/apt": "what the image is made of",
    "environments/pipelines/": "what runs by itself",
    "environments/variables.env": "the variables of each kernel",
    "environments/pyproject.toml": "which packages are asked for, and from where",
    **dict.fromkeys(("Makefile", "GNUmakefile", "makefile"), "what each command runs"),
    **dict.fromkeys(("docker-compose", "compose.", ".env"), "what containers may do"),
    **dict.fromkeys((".gitmodules", ".pre-commit-config.yaml"), "what git brings and runs"),
    "scripts/pyproject.toml": "what each command runs",
    "environments/": "what each command runs",
    "scripts/samebook-": "what each command runs",
    ".github/": "what the forge runs",
    ".gitlab-ci.yml": "what the forge runs",
    ".ci/": "what CI runs",
    ".gitattributes": "how git merges models",
}
# The same by the name of a file, in whatever folder: make includes, pytest and Python run, and a forge reads such files
# without their being named anywhere.
NAMES = {
    re.compile(r"(GNU)?makefile|.*\.mk", re.IGNORECASE): "what each command runs",
    re.compile(
        r"conftest\.py|\.?pytest\.(ini|toml)|tox\.ini|setup\.cfg|pyproject\.toml", re.IGNORECASE
    ): "what tests run",
    re.compile(r"(site|user)customize\.py|.*\.pth", re.IGNORECASE): "what each Python runs",
    re.compile(r".*\.acknowledged\.jsonl"): "what monitoring is silent about",
    re.compile(r"CODEOWNERS", re.IGNORECASE): "whose approval the forge asks for",
    re.compile(r"\.gitattributes", re.IGNORECASE): PLACES[".gitattributes"],
}
# Of the folder environments/, settings and locks have sections of their own.
ELSEWHERE = re.compile(r"environments/(.*\.yml|[\w-]+\.txt)")
# The program that judges: one row for all its files.
PROGRAM = "scripts/samebook/"


def compare(span: Span, keys: Iterable[settings.Row]) -> Iterator[tuple[str, str, str]]:
    """A row for each such change: the file, what happened to it, what it decides. `keys` are the settings' changes."""
    for file, key, before, after in keys:
        if key.split(".")[0] == "promotion":
            yield f"environments/{file}", f"{key}: {before} -> {after}", "which models are let in"
    judging = judges.paths(span)
    if count := sum(path.startswith(PROGRAM) for path in span.paths):
        yield PROGRAM, f"{count} files", "what each command does, this review too"
    for path, status in sorted(span.paths.items()):
        if decides := "whether a model is better" if path in judging else _decides(path):
            yield path, CHANGES.get(status, status), decides


def _decides(path: str) -> str:
    place = next((place for place in PLACES if path.startswith(place)), "")
    if place and not (place == "environments/" and ELSEWHERE.fullmatch(path)):
        return PLACES[place]
    file = path.rpartition("/")[2]
    return next((decides for names, decides in NAMES.items() if names.fullmatch(file)), "")
