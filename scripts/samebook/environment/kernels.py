"""The kernel that a notebook names: every one of Python is the environment's own here, and no other language runs."""

from collections.abc import Mapping
from typing import Any

PYTHON = ("python", "python2", "python3", "ipython", "")
KERNEL = {"name": "python3", "display_name": "Python 3"}
# Kernels of other languages, by the beginning of their names, where a notebook does not say its language.
OTHERS = {"ir": "R", "julia": "Julia", "bash": "bash", "scala": "Scala", "sas": "SAS", "octave": "Octave"}


def other_language(metadata: Mapping[str, Any]) -> str:
    """The language of a notebook by its metadata, where that is not Python; else ""."""
    kernel, info = metadata.get("kernelspec") or {}, metadata.get("language_info") or {}
    language = str(info.get("name") or kernel.get("language") or "")
    if language.lower() not in PYTHON:
        return language
    name = str(kernel.get("name", ""))
    return next((other for start, other in OTHERS.items() if name.split("-")[0] == start), "")
