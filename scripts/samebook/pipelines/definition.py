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
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from samebook.core.errors import UsageError, nearest
from samebook.core.workspace import Workspace
from samebook.environment import explain, yaml_file

REFERENCE = re.compile(r"\$(\w+)([+-]\d+)?")
DAYS = {"today": 0, "yesterday": 1}

type Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
type Plain = str | int | float | bool | datetime.date


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Promote(Part):
    """Which run becomes which model."""

    run: Annotated[str, Field(description="$step, whose run it is")]
    model: Annotated[str, Field(description="the model's name")]


class Step(Part):
    """A notebook with parameters, or what is done with an earlier step's run."""

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
        """Every value in which a reference may stand."""
        promoted = [self.promote.run, self.promote.model] if self.promote else []
        return [*map(str, self.parameters.values()), self.reproduce, *promoted, self.when]


class Pipeline(Part):
    """Steps, and what they may be given."""

    parameters: Annotated[
        dict[Name, Plain | None], Field(description="defaults; `today` and `yesterday` are days; null must be given")
    ] = {}
    steps: Annotated[dict[Name, Step], Field(min_length=1)]


@dataclass(frozen=True)
class Filled:
    """A step of a pipeline with its parameters filled in; runs of earlier steps are still `$step`."""

    name: str
    step: Step
    notebook: str
    parameters: dict[str, str]
    is_wanted: bool

    def given(self, runs: Mapping[str, str]) -> dict[str, str]:
        """The -p pairs, with the runs of earlier steps in place."""
        return {name: resolved(text, runs) for name, text in self.parameters.items()}


def folder(workspace: Workspace) -> Path:
    """Where pipelines are."""
    return workspace.environments / "pipelines"


def read(workspace: Workspace, name: str) -> Pipeline:
    """The pipeline of a name. Raises UsageError naming the file, the step and what was expected."""
    path = folder(workspace) / f"{name}.yml"
    if not path.is_file() or Path(name).name != name:
        known = (found.stem for found in folder(workspace).glob("*.yml"))
        raise UsageError(f"no pipeline {name!r}{nearest(name, known)}")
    try:
        found = Pipeline(**yaml_file.read(path))
    except ValidationError as error:
        raise UsageError(f"{workspace.relative(path)}: {explain.explanation(error, Pipeline)}") from None
    for wrong in _wrong(found):
        raise UsageError(f"{workspace.relative(path)}: {wrong}")
    return found


def _wrong(pipeline: Pipeline) -> Iterator[str]:
    """What its own types can't say: steps and names that aren't there, and circles."""
    steps = pipeline.steps
    for name, step in steps.items():
        for needed in step.needs:
            if needed not in steps:
                yield f"step {name} needs {needed!r}{nearest(needed, steps)}"
        known = {*pipeline.parameters, *step.needs}
        for wanted in (found[1] for text in step.texts for found in REFERENCE.finditer(text)):
            if wanted in steps and wanted not in known:
                yield f"step {name} takes ${wanted}, but does not need it; expected needs: [{wanted}]"
            elif wanted not in known:
                yield f"step {name} takes ${wanted}, which nobody gives{nearest(wanted, known)}"
    try:
        TopologicalSorter({name: step.needs for name, step in steps.items()}).prepare()
    except CycleError as error:
        yield f"the steps go in a circle: {' -> '.join(error.args[1])}"


def filled(pipeline: Pipeline, given: Mapping[str, str], today: datetime.date) -> list[Filled]:
    """The steps in an order in which each comes after what it needs, with the parameters in place.

    Raises UsageError for an unknown parameter, one that must be given, or a day that is none.
    """
    for name in given:
        if name not in pipeline.parameters:
            raise UsageError(f"no parameter {name!r}{nearest(name, pipeline.parameters)}")
    values = {name: _value(name, default, given.get(name), today) for name, default in pipeline.parameters.items()}
    order = TopologicalSorter({name: step.needs for name, step in pipeline.steps.items()}).static_order()
    return [_filled(name, pipeline.steps[name], values) for name in order]


def _filled(name: str, step: Step, values: Mapping[str, str]) -> Filled:
    texts = {key: resolved(_text(value), values) for key, value in step.parameters.items()}
    is_not, _, wanted = step.when.rpartition("$")
    is_wanted = not step.when or bool(values.get(wanted)) != bool(is_not)
    promoted = step.promote and Promote(run=step.promote.run, model=resolved(step.promote.model, values))
    return Filled(name, step.model_copy(update={"promote": promoted}), step.notebook or name, texts, is_wanted)


def _value(name: str, default: Plain | None, given: str | None, today: datetime.date) -> str:
    """A parameter as text. Where the default is a day, what is given must be one."""
    is_day = default in DAYS or isinstance(default, datetime.date)
    if given is None and default is None:
        raise UsageError(f"parameter {name} must be given", mend=f'PARAMS="{name}=…"')
    if given is None:
        ago = DAYS.get(str(default))
        return _text(default) if ago is None else str(today - datetime.timedelta(days=ago))
    if is_day:
        try:
            return str(datetime.date.fromisoformat(given))
        except ValueError:
            raise UsageError(f"parameter {name}: found {given!r}; expected a day like 2013-07-01") from None
    return given


def _text(value: Plain | None) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str).strip('"')


def resolved(text: str, values: Mapping[str, str]) -> str:
    """`text` with each reference replaced that has a value; `$day-1` counts days."""

    def value(found: re.Match[str]) -> str:
        known = values.get(found[1])
        if known is None:
            return found[0]
        if not found[2]:
            return known
        try:
            return str(datetime.date.fromisoformat(known) + datetime.timedelta(days=int(found[2])))
        except ValueError:
            raise UsageError(f"{found[0]}: found {known!r}; only to a day can days be added") from None

    return REFERENCE.sub(value, text)


def names(workspace: Workspace) -> Iterable[str]:
    """The pipelines that there are."""
    return sorted(path.stem for path in folder(workspace).glob("*.yml"))


def schema() -> str:
    """The JSON Schema of a pipeline, for editors."""
    return json.dumps(Pipeline.model_json_schema(), indent=2, sort_keys=True) + "\n"


def table(workspace: Workspace) -> str:
    """The pipelines, with what they may be given and their steps."""
    lines = ((name, read(workspace, name)) for name in names(workspace))
    return "\n".join(f"{name:<12} {_given(found):<40} {' '.join(found.steps)}" for name, found in lines)


def _given(pipeline: Pipeline) -> str:
    return " ".join(f"{name}={'…' if value is None else _text(value)}" for name, value in pipeline.parameters.items())
