"""Pipelines as they are written: environments/pipelines/<name>.yml, validated, and their steps with values filled in.

    parameters: {day: today, model: churn}
    steps:
      ingest: {parameters: {start: $day, end: $day}}
      predict: {needs: [ingest], parameters: {day: $day, model: $model}}

A step runs the notebook of its name, or `notebook:`; or it reproduces, or promotes, an earlier step's run. `$day` is a
parameter, `$day-1` the day before it, `$train` the run of the step `train`.
"""

import datetime
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from samebook.core.errors import UsageError, closest, nearest
from samebook.core.workspace import Workspace
from samebook.environment import explain, yaml_file
from samebook.execution.json_value import JsonValue

REFERENCE = re.compile(r"\$(\w+)([+-]\d+)?")
DAYS = {"today": 0, "yesterday": 1}
DAY = re.compile(r"\d{4}-\d\d-\d\d")

# The variable of a CronJob's pod with the name of its Job, which ends in the minutes since 1970 when it was due.
JOB_NAME = "JOB_NAME"
DUE = re.compile(r".+-(\d{8})")
# How long after it was due a Job may still run.
LATEST = datetime.timedelta(days=2)

type Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
type Plain = str | int | float | bool | datetime.date


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Promote(Part):
    """A promotion: the run, and the model that it becomes."""

    run: Annotated[str, Field(description="$step, whose run it is")]
    model: Annotated[str, Field(description="the model's name")]


class Step(Part):
    """A step: a notebook with parameters, or the reproduction or promotion of an earlier step's run."""

    notebook: Annotated[str, Field(description="left out: the notebook that has the step's name")] = ""
    parameters: Annotated[dict[str, Plain], Field(description="$name stands for a parameter or a step's run")] = {}
    reproduce: Annotated[str, Field(description="$step, whose run is reproduced")] = ""
    promote: Promote | None = None
    needs: Annotated[list[Name], Field(description="the steps that must be done before")] = []
    when: Annotated[
        str, Field(pattern=r"^((not )?\$\w+)?$", description="$name: only where it is given; or `not $name`")
    ] = ""

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if bool(self.reproduce) + bool(self.promote) + bool(self.notebook or self.parameters) > 1:
            raise ValueError("one of notebook (with parameters), reproduce and promote; found more")
        return self

    @property
    def verb(self) -> str:
        return "reproduce" if self.reproduce else "promote" if self.promote else "run"

    @property
    def texts(self) -> list[str]:
        """The values that may hold references."""
        promoted = [self.promote.run, self.promote.model] if self.promote else []
        return [*map(str, self.parameters.values()), self.reproduce, *promoted, self.when]


class Pipeline(Part):
    """A pipeline: its parameters with their defaults, and its steps."""

    parameters: Annotated[
        dict[Name, Plain | None], Field(description="defaults; `today` and `yesterday` are days; null must be given")
    ] = {}
    steps: Annotated[dict[Name, Step], Field(min_length=1)]


@dataclass(frozen=True)
class PreparedStep:
    """A step of a pipeline with its parameters filled in; runs of earlier steps are still `$step`."""

    name: str
    declaration: Step
    notebook: str
    parameters: dict[str, str]
    is_wanted: bool

    def given(self, runs: Mapping[str, str]) -> dict[str, str]:
        """The parameters of the notebook, with the runs of earlier steps in place; a text stays the text that it is."""
        return {name: _json_value(resolve(text, runs)) for name, text in self.parameters.items()}


def _json_value(text: str) -> JsonValue:
    return text if isinstance(text, JsonValue) else JsonValue(text)


def folder(workspace: Workspace) -> Path:
    """The folder of the pipelines."""
    return workspace.environments / "pipelines"


def read(workspace: Workspace, name: str) -> Pipeline:
    """The pipeline of a name. Raises UsageError with the file, the step and the expected value."""
    path = folder(workspace) / f"{name}.yml"
    if not path.is_file() or Path(name).name != name:
        raise UsageError(f"no pipeline {name!r}{nearest(name, names(workspace))}", mend="make pipelines")
    try:
        pipeline = Pipeline(**yaml_file.read(path, is_text=True))
    except ValidationError as error:
        raise UsageError(
            f"{workspace.relative(path)}: {explain.explanation(error, Pipeline)}",
            mend=f"edit {workspace.relative(path)}",
        ) from None
    for error in _errors(pipeline):
        raise UsageError(f"{workspace.relative(path)}: {error}", mend=f"edit {workspace.relative(path)}")
    return pipeline


def _errors(pipeline: Pipeline) -> Iterator[str]:
    """The errors that the types can't find: unknown steps, unknown names, and circles."""
    steps = pipeline.steps
    for name, step in steps.items():
        for other in step.needs:
            if other not in steps:
                yield f"step {name} needs {other!r}{nearest(other, steps)}"
        available = {*pipeline.parameters, *step.needs}
        for reference in (match[1] for text in step.texts for match in REFERENCE.finditer(text)):
            if reference in steps and reference not in available:
                yield f"step {name} takes ${reference}, but does not need it; expected needs: [{reference}]"
            elif reference not in available:
                yield f"step {name} takes ${reference}, which nobody gives{nearest(reference, available)}"
    try:
        TopologicalSorter({name: step.needs for name, step in steps.items()}).prepare()
    except CycleError as error:
        yield f"the steps go in a circle: {' -> '.join(error.args[1])}"


def today() -> datetime.date:
    """Today's date in UTC. In a CronJob's pod, the date when its Job was due: a try after midnight has the same day."""
    now = datetime.datetime.now(datetime.UTC)
    name = DUE.fullmatch(os.environ.get(JOB_NAME, ""))
    due = datetime.datetime.fromtimestamp(int(name[1]) * 60, datetime.UTC) if name else now
    # A Job that a person has named may end in any number.
    return (due if now - LATEST < due <= now else now).date()


def prepared_steps(pipeline: Pipeline, given: Mapping[str, str], today: datetime.date) -> list[PreparedStep]:
    """The steps with their parameters filled in, each after the steps that it needs.

    Raises UsageError for an unknown parameter, a missing one, or a text that is not a day.
    """
    for name in given:
        if name not in pipeline.parameters:
            meant = closest(name, pipeline.parameters)
            raise UsageError(
                f"no parameter {name!r}{nearest(name, pipeline.parameters)}",
                mend=f'make pipeline NAME=… PARAMS="{meant}=…"',
            )
    values = {name: _value(name, default, given.get(name), today) for name, default in pipeline.parameters.items()}
    order = TopologicalSorter({name: step.needs for name, step in pipeline.steps.items()}).static_order()
    return [_prepared_step(name, pipeline.steps[name], values) for name in order]


def _prepared_step(name: str, step: Step, values: Mapping[str, str]) -> PreparedStep:
    texts = {key: resolve(str(value), values) for key, value in step.parameters.items()}
    negation, _, parameter = step.when.rpartition("$")
    is_wanted = not step.when or bool(_json_value(values.get(parameter, "")).value) != bool(negation)
    promoted = step.promote and Promote(run=step.promote.run, model=resolve(step.promote.model, values))
    return PreparedStep(name, step.model_copy(update={"promote": promoted}), step.notebook or name, texts, is_wanted)


def _value(name: str, default: Plain | None, given: str | None, today: datetime.date) -> str:
    """The value of a parameter as text. Where its default is a day, the value must be one."""
    is_day = default in DAYS or DAY.fullmatch(str(default)) is not None
    if given is None and default is None:
        raise UsageError(f"parameter {name} must be given", mend=f'again, with PARAMS="{name}=…"')
    if given is None:
        ago = DAYS.get(str(default))
        return str(default) if ago is None else str(today - datetime.timedelta(days=ago))
    if is_day:
        try:
            return str(datetime.date.fromisoformat(given))
        except ValueError:
            raise UsageError(
                f"parameter {name}: found {given!r}; expected a day like 2013-07-01",
                mend=f'again, with PARAMS="{name}=2013-07-01"',
            ) from None
    return _json_value(given)


def resolve(text: str, values: Mapping[str, str]) -> str:
    """The text with each reference replaced that has a value; `$day-1` counts days."""

    def value(reference: re.Match[str]) -> str:
        base = values.get(reference[1])
        if base is None:
            return reference[0]
        if not reference[2]:
            return base
        try:
            return str(datetime.date.fromisoformat(base) + datetime.timedelta(days=int(reference[2])))
        except ValueError:
            raise UsageError(
                f"{reference[0]}: found {base!r}; only to a day can days be added",
                mend=f'again, with PARAMS="{reference[1]}=2013-07-01"',
            ) from None
        except OverflowError:
            raise UsageError(
                f"{reference[0]}: found {base!r}; there is no such day, expected one of the years 1 to 9999",
                mend=f'again, with PARAMS="{reference[1]}=2013-07-01"',
            ) from None

    if isinstance(text, JsonValue):  # given by a person, as it is
        return text
    whole = REFERENCE.fullmatch(text)
    return value(whole) if whole else REFERENCE.sub(value, text)


def names(workspace: Workspace) -> Iterable[str]:
    """The names of the pipelines."""
    return sorted(path.stem for path in folder(workspace).glob("*.yml"))


def schema() -> str:
    """The JSON Schema of a pipeline, for editors."""
    return json.dumps(Pipeline.model_json_schema(), indent=2, sort_keys=True) + "\n"


def table(workspace: Workspace) -> str:
    """The pipelines as text: names, parameters with their defaults, and steps."""
    pipelines = [(name, read(workspace, name)) for name in names(workspace)]
    if not pipelines:
        return "no pipelines; environments/pipelines/NAME.yml makes one"
    return "\n".join(f"{name:<12} {_defaults(pipeline):<40} {' '.join(pipeline.steps)}" for name, pipeline in pipelines)


def _defaults(pipeline: Pipeline) -> str:
    return " ".join(f"{name}={'…' if value is None else value}" for name, value in pipeline.parameters.items())
