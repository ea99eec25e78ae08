"""Pipelines as they are written: what is wrong is told before anything starts, with the nearest name."""

import datetime
import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from tiny import CHECKOUT

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.execution.json_value import JsonValue
from samebook.pipelines import definition, scheduled, step_program
from samebook.pipelines.step_program import Job

TODAY = datetime.date(2013, 7, 2)
STEPS = "steps: {one: {parameters: {day: $day}}, two: {needs: [one], parameters: {source: $one, before: $day-1}}}"


def written(root: Path, text: str) -> Workspace:
    (root / "environments" / "pipelines").mkdir(parents=True, exist_ok=True)
    (root / "environments" / "pipelines" / "daily.yml").write_text(text)
    return Workspace(root)


def steps(root: Path, text: str, **given: str) -> list[definition.PreparedStep]:
    return definition.prepared_steps(definition.read(written(root, text), "daily"), given, TODAY)


def test_values_are_filled_in(tmp_path: Path) -> None:
    """A day counts back and forth, today is the day in UTC, and a step's run takes its place once it is known."""
    one, two = steps(tmp_path, f"parameters: {{day: today}}\n{STEPS}")
    assert one.parameters == {"day": "2013-07-02"}
    assert two.parameters == {"source": "$one", "before": "2013-07-01"}
    assert two.given({"one": "20130702T000000Z-one-abcdef"})["source"] == "20130702T000000Z-one-abcdef"
    assert steps(tmp_path, f"parameters: {{day: yesterday}}\n{STEPS}")[0].parameters == {"day": "2013-07-01"}
    assert steps(tmp_path, f"parameters: {{day: null}}\n{STEPS}", day="2013-01-05")[0].parameters["day"] == "2013-01-05"


def test_values_are_as_written(tmp_path: Path) -> None:
    """A value arrives as the text that is written, where YAML would make another of it."""
    text = "parameters: {country: NO, version: 1.10, at: 12:30, code: 0123}\nsteps: {one: {parameters: {%s}}}"
    names = "country: $country, version: $version, at: $at, code: $code, n: 010, on: off"
    (one,) = steps(tmp_path, text % names)
    expected = {"country": "NO", "version": "1.10", "at": "12:30", "code": "0123", "n": "010", "on": "off"}
    assert one.given({}) == expected
    command = step_program.command(Job(Workspace(tmp_path), "daily", {}), one, {})
    assert json.loads(command[command.index("--params") + 1]) == expected


def test_given_null_is_not_a_text(tmp_path: Path) -> None:
    """A null of JSON reaches the step as null, and the text null as a text, with either engine."""
    text = "parameters: {a: null, b: null}\nsteps: {one: {parameters: {a: $a, b: $b}}}"
    (one,) = steps(tmp_path, text, a=JsonValue(None), b="null")
    for engine in ("local", "docker"):
        command = step_program.command(Job(Workspace(tmp_path), "daily", {}, engine=engine), one, {})
        (params,) = (part.removeprefix("PARAMS=") for part in command if part.startswith(("{", "PARAMS=")))
        assert json.loads(params) == {"a": None, "b": "null"}


@pytest.mark.parametrize(("given", "wanted"), [("", [True, False]), ("file.csv", [False, True])])
def test_when_decides(given: str, wanted: list[bool], tmp_path: Path) -> None:
    """A step is wanted where its parameter is given, or where it is not."""
    text = 'parameters: {source: ""}\nsteps: {a: {when: not $source}, b: {when: $source}}'
    assert [each.is_wanted for each in steps(tmp_path, text, source=given)] == wanted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps: {a: {needs: [b]}, b: {needs: [a]}}", "the steps go in a circle: "),
        ("steps: {a: {}, b: {needs: [c]}}", "step b needs 'c'; expected one of: a, b"),
        ("steps: {a: {parameters: {day: $dya}}}\nparameters: {day: today}", "takes $dya, which nobody gives; did you"),
        ("steps: {a: {}, b: {parameters: {x: $a}}}", "step b takes $a, but does not need it; expected needs: [a]"),
        ("steps: {a: {neds: []}}", "unknown setting 'steps.a.neds'; did you mean needs?"),
        ("steps: {}", "steps: found {}; "),
        ("parameters: {}", "steps: not set; expected a value"),
        ("steps: {A: {}}", "steps.A"),
        ("steps: {a: {when: maybe}}", "steps.a.when: found 'maybe'"),
        ("steps: {a: {notebook: x, reproduce: $b}, b: {}}", "one of notebook (with parameters), reproduce and promote"),
        ("steps: [a]", "steps: found ['a']"),
    ],
)
def test_wrong_pipeline_told(text: str, told: str, tmp_path: Path) -> None:
    """A circle, a step or name that isn't there, and an unknown key are told with the file and what was expected."""
    with pytest.raises(UsageError) as error:
        definition.read(written(tmp_path, text), "daily")
    assert str(error.value).startswith("environments/pipelines/daily.yml: ")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"dya": "2013-07-01"}, "no parameter 'dya'; did you mean day?"),
        ({"day": "July 1st"}, "parameter day: found 'July 1st'; expected a day like 2013-07-01"),
        ({}, "parameter source must be given"),
        ({"day": "0001-01-01", "source": "a"}, "$day-1: found '0001-01-01'; there is no such day"),
    ],
)
def test_wrong_parameter_told(given: dict[str, str], told: str, tmp_path: Path) -> None:
    """A parameter that there isn't, one that must be given, and a day that is none are refused."""
    text = "parameters: {day: today, source: null}\nsteps: {a: {parameters: {day: $day-1, source: $source}}}"
    with pytest.raises(UsageError) as error:
        steps(tmp_path, text, **given)
    assert told in str(error.value)
    assert "dya" not in given or error.value.mend == 'make pipeline NAME=… PARAMS="day=…"'


def test_unknown_pipeline_told(tmp_path: Path) -> None:
    """A pipeline's name is none of a path, and a mistyped one is answered with the nearest."""
    here = written(tmp_path, "steps: {a: {}}")
    with pytest.raises(UsageError, match=r"no pipeline 'dayly'; did you mean daily\?") as caught:
        definition.read(here, "dayly")
    assert caught.value.mend == "make pipelines"
    with pytest.raises(UsageError, match=r"no pipeline '../pipelines/daily'"):
        definition.read(here, "../pipelines/daily")


def test_no_pipelines_told(tmp_path: Path) -> None:
    """The list of a project without pipelines says so, and how to make one."""
    assert definition.table(Workspace(tmp_path)).startswith("no pipelines; environments/pipelines/NAME.yml")


def test_shipped_pipelines_are_whole() -> None:
    """The pipelines that ship are valid."""
    here = Workspace(CHECKOUT)
    assert set(definition.names(here)) >= {"daily", "outcomes", "retrain"}
    for name in definition.names(here):
        assert definition.read(here, name).steps


def test_schema_knows_the_keys() -> None:
    """The JSON Schema for editors takes this repository's pipelines, and refuses an unknown key."""
    schema = jsonschema.Draft202012Validator(json.loads(definition.schema()))
    for path in (CHECKOUT / "environments" / "pipelines").glob("*.yml"):
        file = yaml.safe_load(path.read_text())
        assert schema.is_valid(file)
        assert not schema.is_valid({**file, "step": {}})


@pytest.mark.parametrize(("parameters", "is_once"), [("{}", False), ("{model: delay}", False), ("{day: today}", True)])
def test_once_for_its_day(tmp_path: Path, parameters: str, is_once: bool) -> None:
    """A scheduled pod's job is done once for its day; one without a day, as a weekly training, is run each time."""
    pipeline = definition.read(written(tmp_path, f"parameters: {parameters}\nsteps: {{fit: {{}}}}\n"), "daily")
    assert scheduled.has_day(pipeline) == is_once


@pytest.mark.parametrize(("ago", "is_that_day"), [(0, True), (23, True), (47, True), (49, False), (-1, False)])
def test_day_is_that_of_the_job(monkeypatch: pytest.MonkeyPatch, ago: int, is_that_day: bool) -> None:
    """A CronJob's pod tried again after midnight has the day when its job was due; a number by chance is none."""
    now = datetime.datetime.now(datetime.UTC)
    due = now - datetime.timedelta(hours=ago)
    monkeypatch.setenv(definition.JOB_NAME, f"samebook-prod-daily-{int(due.timestamp()) // 60}")
    assert definition.today() == (due if is_that_day else now).date()


@pytest.mark.parametrize("name", ["", "samebook-prod-daily", "samebook-prod-train-0123abcd", "by-hand-1"])
def test_day_of_other_jobs(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A job that nobody's clock has started is of today."""
    monkeypatch.setenv(definition.JOB_NAME, name)
    assert definition.today() == datetime.datetime.now(datetime.UTC).date()
