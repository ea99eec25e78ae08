"""Receipts, as they are read: the subjects of a run, its dependencies and its byproducts. `provenance` writes them."""

import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from samebook.core.digest import parse_json
from samebook.core.errors import UsageError
from samebook.environment import machine
from samebook.records import schema

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:samebook:run:v1"
BUILDER = "urn:samebook:builder:"
COMMIT, ENVIRONMENT, CODE = "commit", "environment", "code beside the notebook"
LOCK = "environments/runtime.txt"
# Byproducts without a file: the runs that made the inputs, the warehouses that were queried, the days that no
# warehouse had, the places of input files, how the kernel started, the files of the commit and the folders that were
# read, by sha256, and what was read unseen. MAKERS has the sha256 of lists: see `data_manifest`.
MADE_BY, READ_FROM, LACKED, ORIGINS, KERNEL = "made by", "read from", "lacked", "origins", "kernel"
MAKERS = "makers"
READ, UNSEEN = "read", "unseen"
# The byproduct of a run of a receipt, whose inputs were those that the receipt names.
PINNED = "pinned"
# The internal parameter with the variables of the caller's shell.
CALLERS = "callerVariables"
# What a run made again has to have of the one before, whatever the machine has.
CONDITIONS = ("numerics", "threads", CALLERS)

type Json = dict[str, Any]


def builder() -> str:
    """The builder's id: SAMEBOOK_BUILDER, which CI sets for its runner, or a URN with this machine's name.

    In the image there is no machine's name: each container has another id.
    """
    name = "container" if machine.engine() == "docker" else platform.node()
    return os.environ.get("SAMEBOOK_BUILDER") or BUILDER + name


def is_unnamed(builder_id: str) -> bool:
    """Whether a builder's id names a container and not a machine, so that two ids may be one machine."""
    return re.fullmatch(r"container|[0-9a-f]{12}", builder_id.removeprefix(BUILDER)) is not None


def read(path: Path) -> Json:
    """The receipt in a file. Raises UsageError where the file holds no whole receipt."""
    try:
        if path.exists() and not path.is_file():  # a pipe of a stranger's folder would be waited for
            raise UsageError(f"{path} is no file", mend=f"ls -l {path}")
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}", mend=f"ls -l {path}") from error
    return parse(content, str(path))


def parse(content: bytes, name: str) -> Json:
    """The receipt in these bytes; `name` is that of its file. Raises UsageError where they are not a whole receipt."""
    try:
        statement = parse_json(content)
    except ValueError as error:
        raise UsageError(f"{name} is not a whole receipt: {error}", mend="make runs") from error
    check(statement, name)
    return statement


def check(statement: Json, name: str) -> None:
    """Raise UsageError where a statement is not a receipt by `schema`; `name` is that of its file.

    A receipt may come from anybody: no name in it leads out of the run's folder, and no text can be a command.
    """
    try:
        schema.Statement.model_validate(statement)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name} is not a whole receipt: {place}: {first['msg']}", mend="make runs") from error


def subject_digests(statement: Json) -> dict[str, str]:
    """The sha256 of each subject, by name."""
    return {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}


def file_digests(statement: Json) -> dict[str, str]:
    """The sha256 of each file in the run's folder that the receipt names: subjects, then byproducts."""
    byproducts = statement["predicate"]["runDetails"].get("byproducts", ())
    files = (item for item in (*statement["subject"], *byproducts) if "digest" in item)
    return {file["name"]: file["digest"]["sha256"] for file in files}


def dependencies(statement: Json) -> list[Json]:
    """The resolved dependencies of the run: commit, lock, environment, images, inputs."""
    return statement["predicate"]["buildDefinition"]["resolvedDependencies"]


def dependency(statement: Json, name: str) -> Json | None:
    """The dependency of this name."""
    return next((item for item in dependencies(statement) if item["name"] == name), None)


def commit_name(statement: Json) -> str:
    """The commit of a run; empty where its receipt names none."""
    return (dependency(statement, COMMIT) or {"digest": {}})["digest"].get("gitCommit", "")


def inputs(statement: Json) -> dict[str, str]:
    """The sha256 of each declared input, by name."""
    return {item["name"]: item["digest"]["sha256"] for item in input_items(statement)}


def input_items(statement: Json) -> list[Json]:
    """The declared inputs; one that is an output of a run has that run's source under annotations.builtFrom."""
    return [item for item in dependencies(statement) if item.get("annotations", {}).get("input")]


def undeclared(statement: Json) -> dict[str, str]:
    """The sha256 of each file that a run has read without declaring it, by its path."""
    items = dependencies(statement)
    return {item["name"]: item["digest"]["sha256"] for item in items if item.get("annotations", {}).get("undeclared")}


def byproduct(statement: Json, name: str) -> Json:
    """The annotations of a byproduct without a file: one of the names above."""
    byproducts = statement["predicate"].get("runDetails", {}).get("byproducts", ())
    return next((item.get("annotations", {}) for item in byproducts if item["name"] == name), {})


def built_from(statement: Json) -> Json:
    """The source that builds this receipt's outputs again: commit, notebook, parameters, env, and its conditions."""
    return {"commit": dependency(statement, COMMIT), **external_parameters(statement), **conditions(statement)}


def conditions(statement: Json) -> Json:
    """The name of the numerics, the numbers of threads and the caller's variables of a run; a receipt of before there
    were any has none.
    """
    internal = statement["predicate"]["buildDefinition"].get("internalParameters", {})
    return {name: internal[name] for name in CONDITIONS if name in internal}


def plan(built: Json) -> Json:
    """A receipt without subjects, to run the source of `built_from` again."""
    external = {name: built[name] for name in ("notebook", "parameters", "env")}
    commits = [built["commit"]] if built["commit"] else []
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": external,
        "internalParameters": {name: built[name] for name in CONDITIONS if name in built},
        "resolvedDependencies": commits,
    }
    return {
        "_type": STATEMENT,
        "subject": [],
        "predicateType": PROVENANCE,
        "predicate": {"buildDefinition": definition},
    }


def handover(statement: Json, run: str, variables: Iterable[str]) -> Json:
    """The plan for a new run of this id, from a receipt: the same notebook, parameters and inputs, and no result.

    `variables` are the names of the caller's variables that its kernel gets.
    """
    plan_ = plan({"commit": None, **external_parameters(statement)})
    definition = plan_["predicate"]["buildDefinition"]
    definition["internalParameters"] = {"run": run, CALLERS: dict.fromkeys(variables)}
    definition["resolvedDependencies"] = [
        {"name": item["name"], "digest": item["digest"], "annotations": {"input": True}}
        for item in input_items(statement)
    ]
    return plan_


def planned_run(statement: Json) -> str:
    """The id of the run that a plan is for; "" where the statement names none."""
    return statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("run", "")


def caller_variables(statement: Json) -> Json:
    """The sha256 of each variable of the caller's shell that the kernel got by name; None for that of a secret."""
    return statement["predicate"]["buildDefinition"].get("internalParameters", {}).get(CALLERS, {})


def makers(statement: Json) -> dict[str, str]:
    """The id of the run that made each input, by the input's name; inputs of unknown origin are left out."""
    return {name: run for run, names in byproduct(statement, MADE_BY).items() if run != "unknown" for name in names}


def notebook_name(statement: Json) -> str:
    """The name of the run's notebook: its path below notebooks/."""
    return external_parameters(statement)["notebook"].removeprefix("notebooks/").removesuffix(".ipynb")


def external_parameters(statement: Json) -> Json:
    """The notebook's path, its parameters, and the name of the env."""
    return statement["predicate"]["buildDefinition"]["externalParameters"]
