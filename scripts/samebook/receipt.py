"""Reads receipts: what came out of a run, and what it came from. `provenance.py` writes them."""

import json
import os
import platform
from pathlib import Path
from typing import Any

from samebook.errors import UsageError

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:samebook:run:v1"
COMMIT, ENVIRONMENT = "commit", "environment"

type Json = dict[str, Any]


def builder() -> str:
    """Whose machine this is; in CI, the job's runner."""
    return os.environ.get("SAMEBOOK_BUILDER") or f"urn:samebook:builder:{platform.node()}"


def read(path: Path) -> Json:
    """A receipt from its file. Raises UsageError for what is not a whole receipt of ours."""
    try:
        found = json.loads(path.read_bytes())
        definition = found["predicate"]["buildDefinition"]
        ours = found["_type"] == STATEMENT and definition["buildType"] == BUILD_TYPE
        _touch(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a whole receipt: {type(error).__name__} {error}") from error
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    if not ours:
        raise UsageError(f"{path} is no receipt of a run: found build type {definition['buildType']!r}")
    return found


def _touch(statement: Json) -> None:
    """Raise where a part is missing that others rely on."""
    given = external(statement)
    given["notebook"], given["env"], given["parameters"].items()
    digests = {each["name"]: each.get("digest", {}) for each in dependencies(statement)}
    digests.get(COMMIT, {"gitCommit": ""})["gitCommit"], inputs(statement)
    if subject_digests(statement):  # a plan has neither results nor a run
        statement["predicate"]["runDetails"]["metadata"]["invocationId"], file_digests(statement)


def subject_digests(statement: Json) -> dict[str, str]:
    """The sha256 of each subject, by name."""
    return {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}


def file_digests(statement: Json) -> dict[str, str]:
    """The sha256 of each file in the run's folder that the receipt speaks of: subjects, then byproducts."""
    made = statement["predicate"]["runDetails"].get("byproducts", ())
    return {each["name"]: each["digest"]["sha256"] for each in (*statement["subject"], *made) if "digest" in each}


def dependencies(statement: Json) -> list[Json]:
    """What the run was resolved to: commit, lock, environment, inputs."""
    return statement["predicate"]["buildDefinition"]["resolvedDependencies"]


def dependency(statement: Json, name: str) -> Json | None:
    """One of the dependencies, by name."""
    return next((each for each in dependencies(statement) if each["name"] == name), None)


def inputs(statement: Json) -> dict[str, str]:
    """The sha256 of each declared input, by name."""
    return {each["name"]: each["digest"]["sha256"] for each in input_items(statement)}


def input_items(statement: Json) -> list[Json]:
    """The declared inputs; a run's output says under annotations.builtFrom how it was built."""
    return [each for each in dependencies(statement) if each.get("annotations", {}).get("input")]


def built_from(statement: Json) -> Json:
    """What it takes to build this receipt's outputs again: commit, notebook, parameters, env."""
    return {"commit": dependency(statement, COMMIT), **external(statement)}


def plan(built: Json) -> Json:
    """What `built_from` told, as a receipt without subjects, to run again."""
    external = {name: built[name] for name in ("notebook", "parameters", "env")}
    definition = {"buildType": BUILD_TYPE, "externalParameters": external, "resolvedDependencies": [built["commit"]]}
    return {
        "_type": STATEMENT,
        "subject": [],
        "predicateType": PROVENANCE,
        "predicate": {"buildDefinition": definition},
    }


def external(statement: Json) -> Json:
    """The notebook, its parameters and the environment's name."""
    return statement["predicate"]["buildDefinition"]["externalParameters"]
