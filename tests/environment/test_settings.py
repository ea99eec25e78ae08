"""The settings of an environment: their validation, the variables that override them, and the errors."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from tiny import CHECKOUT, Tiny

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import explain, machine, settings
from samebook.environment.sections import Warehouse
from samebook.verbs import settings as verb


def load(tmp_path: Path, text: str) -> settings.Settings:
    return settings.load(Workspace(Tiny.create(tmp_path / "workspace", text).root), "dev")


@pytest.mark.parametrize("env", ["dev", "preprod", "prod"])
def test_shipped_settings_load(env: str) -> None:
    """The settings that ship are valid."""
    assert settings.load(Workspace(CHECKOUT), env).warehouse.url.startswith("duckdb:///")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell_timout: 3", "environments/dev.yml: unknown setting 'cell_timout'; did you mean cell_timeout?"),
        ("warehouse: {samlpe: true}", "unknown setting 'warehouse.samlpe'; did you mean sample?"),
        (
            "datasets: {flights: {makes: a, made_by: b}}",
            "unknown setting 'datasets.flights.makes'; expected one of: into, made_by",
        ),
        ("datasets: {flights: {into: A b}}", "datasets.flights.into: "),
        ("cell_timeout: soon", "cell_timeout: found 'soon'; Input should be a valid integer"),
        ("cell_timeout: -1", "cell_timeout: found -1; "),
        (f"cell_timeout: {10**400}", "; Input should be less than or equal to 1000000000"),
        ("warehouse: {url: 'mysql://x'}", "warehouse.url: the value is not shown; "),
        ("drift: {fail_on: worn}", "drift.fail_on: found 'worn'"),
        ("drift: {alarm: 0.05}", "drift: found {'alarm': 0.05}; Value error, alarm 0.05 is below warn 0.1"),
        ("drift: {model: A}", "drift.model: found 'A'"),
        (
            "datasets: {rows: {}, scores: {}}\ndrift: {features: row, scores: scores}",
            "drift: features: no 'row' among `datasets`; did you mean rows?",
        ),
        (
            "datasets: {rows: {}}\ndrift: {features: rows, scores: rows}",
            "expected another dataset for each",
        ),
        ("warehouse: {sample: true}", "warehouse.sample: found True; expected the name of a package"),
        ("warehouse: {sample: ../rows}", "warehouse.sample: found '../rows'"),
        ("drift: {warn: true}", "drift.warn: found True; expected a number"),
        ("[1, 2]", "dev.yml: found a list; expected settings"),
        ("a: [", "dev.yml is not YAML: "),
        ("1: 2", "unknown setting '1'"),
        ("\0", "dev.yml is not YAML: "),
        ("datasets: {}\nverbose: !!bool maybe", "dev.yml is not YAML: line 2: the value is no bool"),
        ("a: !!int ''", "line 1: the value is no int"),
        ("a: !!float 1:x", "line 1: the value is no float"),
        ("a: !!timestamp foo", "line 1: the value is no timestamp"),
        ("a: 2001-99-99", "line 1: the value is no timestamp"),
        ("a:\n- !!set [[b]]", "line 2: the value is no set"),
        ("a: 0x" + "f" * 5000, "line 1: the value is no int"),
        ('a: "\\U00110000"', "dev.yml is not YAML: it holds a character or a value that can't be read"),
        ("[" * 5000, "dev.yml is not YAML that can be read: it is nested too deep"),
        ("a: \7", "dev.yml is not YAML: unacceptable character #x0007: "),
    ],
)
def test_wrong_setting_named(text: str, message: str, tmp_path: Path) -> None:
    """A setting that is unknown or wrong is named with its file, what was found, and the nearest name."""
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert message in str(refused.value)


def test_champion_is_challengers_model(tmp_path: Path) -> None:
    """Without a champion, an experiment takes the challenger's model as it is promoted here."""
    lines = "experiment: a, salt: s, challenger: churn@deeper, share: 0.5, start: 2013-01-01, end: 2013-01-02"
    for number, (more, champion) in enumerate([("", "churn"), (", champion: churn@prod", "churn@prod")]):
        ab_test = load(tmp_path / str(number), f"ab_test: {{{lines}{more}}}").ab_test
        assert ab_test is not None
        assert ab_test.champion == champion


def test_empty_file_is_defaults(tmp_path: Path) -> None:
    """A file without settings means the defaults."""
    assert load(tmp_path, "# nothing here") == settings.Settings()


def test_variable_overrides_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SAMEBOOK_ variable wins over the file, key by key."""
    monkeypatch.setenv("SAMEBOOK_WAREHOUSE__SAMPLE", "rows")
    monkeypatch.setenv("SAMEBOOK_CELL_TIMEOUT", "60")
    loaded = load(tmp_path, "warehouse: {url: 'duckdb:///other.duckdb'}\ncell_timeout: 5")
    assert loaded.warehouse == Warehouse(url="duckdb:///other.duckdb", sample="rows")
    assert loaded.cell_timeout == 60


@pytest.mark.parametrize(
    ("name", "value"),
    [("SAMEBOOK_CELL_TIMEOUT", "soon"), ("SAMEBOOK_WAREHOUSE", "{"), ("SAMEBOOK_DATASETS", "flights")],
)
def test_wrong_variable_is_named(name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable whose value is no setting raises UsageError."""
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name.removeprefix("SAMEBOOK_").lower()):
        load(tmp_path, "")


@pytest.mark.parametrize("env", ["../environments/dev", "./dev", "/dev", "", "dev/../dev"])
def test_env_is_plain_name(env: str, tiny: Tiny) -> None:
    """An environment is a name, not a path, so that receipts name it in one way."""
    with pytest.raises(UsageError, match="no environment"):
        settings.load(Workspace(tiny.root), env)


def test_unknown_env_hints(tiny: Tiny) -> None:
    """A missing environment is refused with the nearest name."""
    with pytest.raises(UsageError, match="no environment 'dve'; did you mean dev"):
        settings.load(Workspace(tiny.root), "dve")


def test_origins_of_settings(tiny: Tiny) -> None:
    """`samebook settings` names the variable, the file or the default behind each value."""
    (tiny.root / "environments" / "dev.yml").write_text("warehouse: {sample: rows}\ndatasets: {a: {made_by: b}}")
    lines = tiny.samebook("settings", SAMEBOOK_CELL_TIMEOUT="60").stdout.splitlines()
    origins = {line.split()[0]: line.split()[-1] for line in lines}
    assert origins["cell_timeout"] == "SAMEBOOK_CELL_TIMEOUT"
    assert origins["warehouse.sample"] == origins["datasets.a.made_by"] == "environments/dev.yml"
    assert origins["warehouse.url"] == origins["promotion.gate"] == "default"


def test_schema_knows_the_keys() -> None:
    """The JSON Schema for editors takes this repository's settings, and refuses an unknown key."""
    schema = jsonschema.Draft202012Validator(json.loads(verb.schema()))
    for name in ("dev", "preprod", "prod"):
        file = yaml.safe_load((CHECKOUT / "environments" / f"{name}.yml").read_text())
        assert schema.is_valid(file)
        assert not schema.is_valid({**file, "cell_time": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("promotion: {gate: {margn: 1}}", "unknown setting 'promotion.gate.margn'; did you mean margin?"),
        ("warehouse: {url: 'postgresql://u:s3cret@h/d'}", "a password stands in the URL"),
        ("warehouse: {url: 'postgresql://u@h/d?password=s3cret'}", "a password stands in the URL"),
        ("warehouse: {url: 'postgresql://u@h/d?pass%77ord=s3cret'}", "a password stands in the URL"),
        ("store: {endpoint: 'http://h/?token=s3cret'}", "a key stands in the URL"),
        ("warehouse: {password: my-password}", "warehouse.password: the value is not shown"),
        ("schedule: {daily: noon}", "schedule.daily: found 'noon'"),
        ("ab_test: {experiment: a, salt: s, challenger: b, share: 2, start: 2013-01-01, end: 2013-01-02}", "share"),
        ("ab_test: {experiment: a, salt: s, challenger: b, share: 1, start: 2013-01-03, end: 2013-01-02}", "after end"),
    ],
)
def test_new_settings_checked(text: str, message: str, tmp_path: Path) -> None:
    """A policy, a plain password, a schedule and an experiment are checked like any setting."""
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert message in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "warehouse: {password: s3cret}",
        "warehouse: {url: 'mysql://u:s3cret@h'}",
        "warehouse: {url: 'postgresql://u:s3cret@[h/d'}",
        "warehouse: 'postgresql://u:s3cret@h/d'",
        "store: {access_key: s3cret}",
        "store: {secret_key: [s3cret]}",
        "store: {url: 's3cret'}",
        "store: {endpoint: 'https://key:s3cret@host'}",
        "store: {endpoint: 'https://s3cret@host'}",
        "store: {endpoint: 's3cret'}",
        "store: {secret_key: s3cret: a}",
        "store: {secret_key: *s3cret }",
        "store: {secret_key: !s3cret a}",
    ],
)
def test_secret_is_not_shown(text: str, tmp_path: Path) -> None:
    """The error about a secret in place of its name, or in a URL, does not print it."""
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert "s3cret" not in str(refused.value)


def test_secret_in_variable_is_not_shown(tiny: Tiny) -> None:
    """The error about a variable with a secret in place of a secret's name does not print its value."""
    ended = tiny.samebook("settings", SAMEBOOK_STORE__SECRET_KEY="hunter2")
    assert ended.code == 2
    assert "the variable SAMEBOOK_STORE__SECRET_KEY: store.secret_key: " in ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("promotion: {signed: true}\nthreads: 1\npromotion: {}", "dev.yml: line 3: 'promotion' is there already, in l"),
        ("store:\n  url: s3://bucket\n  url: ''", "line 3: 'url' is there already, in line 2; expected each"),
        ("store: {url: s3://bucket, url: ''}", "line 1: 'url' is there already, in line 1"),
    ],
)
def test_setting_stands_once(text: str, message: str, tmp_path: Path) -> None:
    """A setting, or a section, that stands twice in a file is refused with both lines."""
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert message in str(refused.value)


def test_merged_settings_stand_once(tmp_path: Path) -> None:
    """A key that YAML's merge brings in does not count as repeated."""
    datasets = load(tmp_path, "datasets: {a: &a {made_by: x}, b: &b {<<: *a, made_by: y}, c: {<<: *b}}").datasets
    assert {name: dataset.made_by for name, dataset in datasets.items()} == {"a": "x", "b": "y", "c": "y"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SAMEBOOK_CEL_TIMEOUT", "did you mean SAMEBOOK_CELL_TIMEOUT?"),
        ("SAMEBOOK_STORE_URL", "did you mean SAMEBOOK_STORE__URL?"),
        ("SAMEBOOK_CELL_TIMEOUT__SECONDS", "did you mean SAMEBOOK_CELL_TIMEOUT?"),
        ("SAMEBOOK_WORKSPCE", "did you mean SAMEBOOK_WORKSPACE?"),
        ("SAMEBOOK_XYZ", "expected the name of a setting: make settings"),
    ],
)
def test_unknown_variable_named(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SAMEBOOK_ variable that overrides no setting is refused with the nearest name."""
    monkeypatch.setenv(name, "60")
    with pytest.raises(UsageError, match=f"unknown variable {name}; ") as refused:
        load(tmp_path, "")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(explain.OF_THE_IMAGE))
def test_image_alone_says_what_it_is(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is left over in a shell does not make a run here one of a commit or an image: it is refused."""
    monkeypatch.setattr(machine, "LISTING", tmp_path / "commit.sha256")
    for other in explain.OF_THE_IMAGE:  # which the image sets
        monkeypatch.delenv(f"SAMEBOOK_{other}", raising=False)
    monkeypatch.setenv(f"SAMEBOOK_{name}", "docker")
    with pytest.raises(UsageError, match=f"SAMEBOOK_{name} is set outside of the image") as refused:
        load(tmp_path, "")
    assert refused.value.mend == f"unset SAMEBOOK_{name}"
    machine.LISTING.touch()
    load(tmp_path / "image", "")


def test_own_variables_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every SAMEBOOK_ variable in code, make, Docker and CI overrides a setting or is listed in OTHERS."""
    configuration = (
        CHECKOUT / name
        for name in ("Makefile", "Dockerfile", "docker-compose.yml", ".ci/run", ".github/workflows/ci.yml")
    )
    files = [*(path for path in configuration if path.is_file()), *(CHECKOUT / "scripts" / "samebook").rglob("*.py")]
    names = {name for path in files for name in re.findall(r"\bSAMEBOOK_[A-Z_]*[A-Z]\b", path.read_text())}
    assert len(names) > 10
    monkeypatch.setattr(machine, "LISTING", CHECKOUT / "Dockerfile")  # as in the image, where all of them are
    explain.check_variables(names, settings.Settings)


EXPERIMENT = "experiment: a, salt: s, challenger: b, start: 2013-01-01, end: 2013-01-02"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("promotion: {gate: {margin: true}}", "promotion.gate.margin: found True; expected a number"),
        ("promotion: {gate: {margin: .inf}}", "promotion.gate.margin: found inf; "),
        ("promotion: {gate: {margin: .nan}}", "promotion.gate.margin: found nan; "),
        ("promotion: {gate: {margin: 'inf'}}", "promotion.gate.margin: found 'inf'; "),
        ("save_every: true", "save_every: found True; expected a number"),
        ("save_every: .inf", "save_every: found inf; "),
        ("cell_timeout: true", "cell_timeout: found True; expected a number"),
        (f"ab_test: {{{EXPERIMENT}, share: true}}", "ab_test.share: found True; expected a number"),
        (f"ab_test: {{{EXPERIMENT}, share: 1, minimum_effect: .inf}}", "ab_test.minimum_effect: found inf; "),
    ],
)
def test_number_is_finite(text: str, message: str, tmp_path: Path) -> None:
    """`true` is not a number, and neither is an infinite margin, which would switch the gate off."""
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert message in str(refused.value)


def test_number_from_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number may come from a variable, which is text."""
    monkeypatch.setenv("SAMEBOOK_PROMOTION__GATE__MARGIN", "0.25")
    gate = load(tmp_path, "promotion: {gate: {}}").promotion.gate
    assert gate is not None
    assert gate.margin == 0.25


@pytest.mark.parametrize(
    ("gate", "better"),
    [
        ("metric: log_loss", "lower"),
        ("metric: brier, better: higher", "lower"),
        ("metric: calibration_error", "lower"),
        ("metric: auc, better: lower", "higher"),
    ],
)
def test_gate_is_not_inverted(gate: str, better: str, tmp_path: Path) -> None:
    """A gate with the wrong direction for a common metric is refused with the right one."""
    with pytest.raises(UsageError, match=f"promotion.gate: .*expected `better: {better}`"):
        load(tmp_path, f"promotion: {{gate: {{{gate}}}}}")
    assert load(tmp_path / "other", "promotion: {gate: {metric: profit, better: lower}}").promotion.gate
