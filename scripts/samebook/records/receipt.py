"""Reads receipts: what came out of a run, and what it came from. `provenance.py` writes them."""

import json
import os
import platform
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from samebook.core.errors import UsageError
from samebook.records import schema

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:samebook:run:v1"
COMMIT, ENVIRONMENT, CODE = "commit", "environment", "code beside the notebook"
# Byproducts that tell of inputs: who had made them, the warehouses that were asked, the days that were nowhere.
MADE_BY, READ_FROM, LACKED, KERNEL = "made by", "read from", "lacked", "kernel"

type Json = dict[str, Any]


def builder() -> str:
    """Whose machine this is; in CI, the job's runner."""
    return os.environ.get("SAMEBOOK_BUILDER") or f"urn:samebook:builder:{platform.node()}"


def read(path: Path) -> Json:
    """A receipt from its file. Raises UsageError for what is not a whole receipt of ours."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is not a whole receipt: {error}") from error
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    check(found, str(path))
    return found


def check(statement: Json, name: str) -> None:
    """Raise UsageError for a statement that isn't one of ours, or holds what nothing of ours would write.

    A receipt may come from anybody: no name in it leaves the run's folder, and nothing in it can be a command.
    """
    try:
        schema.Statement.model_validate(statement)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name} is not a whole receipt: {place}: {first['msg']}") from error


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


def byproduct(statement: Json, name: str) -> Json:
    """What a byproduct without a file tells: MADE_BY, READ_FROM or LACKED."""
    made = statement["predicate"].get("runDetails", {}).get("byproducts", ())
    return next((each.get("annotations", {}) for each in made if each["name"] == name), {})


def built_from(statement: Json) -> Json:
    """What it takes to build this receipt's outputs again: commit, notebook, parameters, env."""
    return {"commit": dependency(statement, COMMIT), **external_parameters(statement)}


def plan(built: Json) -> Json:
    """What `built_from` told, as a receipt without subjects, to run again."""
    external = {name: built[name] for name in ("notebook", "parameters", "env")}
    commits = [built["commit"]] if built["commit"] else []
    definition = {"buildType": BUILD_TYPE, "externalParameters": external, "resolvedDependencies": commits}
    return {
        "_type": STATEMENT,
        "subject": [],
        "predicateType": PROVENANCE,
        "predicate": {"buildDefinition": definition},
    }


def makers(statement: Json) -> dict[str, str]:
    """The id of the run that made an input, by the input's name, where that is known."""
    return {name: run for run, names in byproduct(statement, MADE_BY).items() if run != "unknown" for name in names}


def external_parameters(statement: Json) -> Json:
    """The notebook, its parameters and the environment's name."""
    return statement["predicate"]["buildDefinition"]["externalParameters"]
