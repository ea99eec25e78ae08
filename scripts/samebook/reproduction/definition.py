"""The definition of a run, compared between a receipt and the new run that repeats it.

Source, parameters, inputs, variables and what the notebook logged must be the same: a receipt that says otherwise is
wrong. So must the packages, on the same platform; on another, their versions. Where it ran may differ: engine,
platform, images, threads, the variables of the caller's shell, and whether the commit had changes on it, whose content
the hashes of notebook and code cover.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from samebook.environment import numerics
from samebook.records import inputs, receipt
from samebook.records.receipt import Json

NONE = "none"
PLATFORM = "internalParameters.platform"
PLACES = (PLATFORM, "internalParameters.engine", "image", "base image")
# The processor and what the kernel had of it; before there were two numbers of threads, `threads` was one.
PROCESSOR = ("internalParameters.processor", "internalParameters.threads")
VARIABLES = f"internalParameters.{receipt.CALLERS}"
CHANGES = f"{receipt.COMMIT}.annotations."
# Facts that are the same wherever the platform is the same.
PACKAGES = ("internalParameters.papermill", receipt.ENVIRONMENT, f"{receipt.ENVIRONMENT}.annotations.")
VERSIONS = (f"{receipt.ENVIRONMENT}.annotations.packages.", f"{receipt.ENVIRONMENT}.annotations.python")
# Marks of an input, and how it could be made again: it is the input's hash that counts.
MARKS = ("input", "undeclared", "builtFrom")


@dataclass(frozen=True)
class Divergence:
    """A fact that the receipt and the new run state differently; NONE where one of them does not state it.

    `is_essential` is false for the place of the run.
    """

    name: str
    original: str
    reproduced: str
    is_essential: bool


def divergences(original: Json, reproduced: Json) -> list[Divergence]:
    """Every fact of the two definitions that differs, in the order of names."""
    before, after = _facts(original), _facts(reproduced)
    # A receipt that names no platform claims none that would excuse its packages.
    is_same_platform = before.get(PLATFORM, after.get(PLATFORM)) == after.get(PLATFORM)
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [
        Divergence(
            name,
            before.get(name, NONE),
            after.get(name, NONE),
            (_is_essential(name, is_same_platform) or _is_another_version(name, before, after))
            and not _is_passed_by(name, after),
        )
        for name in names
    ]


def has_portable_numerics(statement: Json) -> bool:
    """Whether a run had portable numerics."""
    return statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("numerics") == "portable"


def has_held_numerics(statement: Json) -> bool:
    """Whether a run had portable numerics on a processor that holds them, by the variables of its kernel: equal ones
    of two runs say nothing where neither processor has the level.
    """
    processor = statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("processor")
    variables = processor.get("variables") if isinstance(processor, dict) else None
    is_held = isinstance(variables, dict) and variables.get("OPENBLAS_CORETYPE") == numerics.CORE
    return is_held and has_portable_numerics(statement)


def _is_essential(name: str, is_same_platform: bool) -> bool:
    if name in PLACES or name.startswith((*PROCESSOR, VARIABLES, CHANGES, "undeclared ")):
        return False
    return is_same_platform or not name.startswith(PACKAGES)


def _is_another_version(name: str, before: dict[str, str], after: dict[str, str]) -> bool:
    """Whether two runs had a package, or Python, in two versions: one lock has the same on each platform.

    What a version of one platform adds after `+`, and a package that only one platform needs, are the platform's.
    """
    if not name.startswith(VERSIONS) or name not in before or name not in after:
        return False
    first, second = (str(json.loads(facts[name])).partition(" ")[0].partition("+")[0] for facts in (before, after))
    return first != second


def _is_passed_by(name: str, after: dict[str, str]) -> bool:
    """Whether a new run has read the files of a bundle, but not the bundle: older versions find the files by hash."""
    reference = name.removeprefix(f"input {inputs.BUNDLE}")
    return reference != name and name not in after and any(other.startswith(f"input {reference}/") for other in after)


def _facts(statement: Json) -> dict[str, str]:
    """The facts of a definition: each value as JSON, by the path to it."""
    definition = statement["predicate"]["buildDefinition"]
    facts = dict(_leaves(definition, ("externalParameters", "internalParameters")))
    for item in definition["resolvedDependencies"]:
        annotations = item.get("annotations") or {}
        kind = next((f"{mark} " for mark in ("input", "undeclared") if annotations.get(mark)), "")
        others = {name: value for name, value in annotations.items() if name not in MARKS}
        identity = next(iter((item.get("digest") or {}).values()), item.get("uri"))
        name = f"{kind}{item['name']}"
        while name in facts:
            name += " again"
        facts |= {name: str(identity), **dict(_leaves({f"{name}.annotations": others}))}
    return facts


def _leaves(value: Any, names: tuple[str, ...] = (), path: str = "") -> Iterator[tuple[str, str]]:
    """The values below a JSON object, by their paths; of the outermost object those with these names, or all."""
    if not isinstance(value, dict):
        yield path, json.dumps(value)
        return
    for name in names or value:
        if name in value:
            yield from _leaves(value[name], (), f"{path}.{name}" if path else name)
