"""The settings of an environment: validated, overridable, and named when wrong."""

from pathlib import Path

import pytest
from tiny import CHECKOUT, Tiny

from samebook import in_force, settings
from samebook.errors import UsageError
from samebook.workspace import Workspace


def load(tmp_path: Path, text: str) -> settings.Settings:
    return settings.load(Workspace(Tiny.create(tmp_path / "workspace", text).root), "dev")


@pytest.mark.parametrize("env", ["dev", "preprod", "prod"])
def test_shipped_settings_load(env: str) -> None:
    """The settings that ship are valid."""
    assert settings.load(Workspace(CHECKOUT), env).warehouse.url.startswith("duckdb:///")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cell_timout: 3", "environments/dev.yml: unknown setting 'cell_timout'; did you mean cell_timeout?"),
        ("warehouse: {samlpe: true}", "unknown setting 'warehouse.samlpe'; did you mean sample?"),
        (
            "datasets: {flights: {makes: a, made_by: b}}",
            "unknown setting 'datasets.flights.makes'; expected one of: made_by",
        ),
        ("datasets: {flights: {}}", "datasets.flights.made_by: "),
        ("cell_timeout: soon", "cell_timeout: found 'soon'; Input should be a valid integer"),
        ("cell_timeout: -1", "cell_timeout: found -1; "),
        ("warehouse: {url: 'mysql://x'}", "warehouse.url: found 'mysql://x'; "),
        ("[1, 2]", "dev.yml: found a list; expected settings"),
        ("a: [", "dev.yml is not YAML: "),
        ("1: 2", "unknown setting '1'"),
        ("\0", "dev.yml is not YAML: "),
    ],
)
def test_wrong_setting_named(text: str, told: str, tmp_path: Path) -> None:
    """A setting that is unknown or wrong is named with its file, what was found, and the nearest name."""
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert told in str(refused.value)


def test_empty_file_is_defaults(tmp_path: Path) -> None:
    """A file without settings means the defaults."""
    assert load(tmp_path, "# nothing here") == settings.Settings()


def test_variable_overrides_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SAMEBOOK_ variable wins over the file, key by key."""
    monkeypatch.setenv("SAMEBOOK_WAREHOUSE__SAMPLE", "true")
    monkeypatch.setenv("SAMEBOOK_CELL_TIMEOUT", "60")
    found = load(tmp_path, "warehouse: {url: 'duckdb:///other.duckdb'}\ncell_timeout: 5")
    assert found.warehouse == settings.Warehouse(url="duckdb:///other.duckdb", sample=True)
    assert found.cell_timeout == 60


@pytest.mark.parametrize(
    ("name", "value"),
    [("SAMEBOOK_CELL_TIMEOUT", "soon"), ("SAMEBOOK_WAREHOUSE", "{"), ("SAMEBOOK_DATASETS", "flights")],
)
def test_wrong_variable_told(name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that makes no setting is an error of use, not a traceback."""
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name.removeprefix("SAMEBOOK_").lower()):
        load(tmp_path, "")


@pytest.mark.parametrize("env", ["../environments/dev", "./dev", "/dev", "", "dev/../dev"])
def test_env_is_plain_name(env: str, tiny: Tiny) -> None:
    """An environment is a name, not a path: a receipt names each in one way."""
    with pytest.raises(UsageError, match="no environment"):
        settings.load(Workspace(tiny.root), env)


def test_unknown_env_hints(tiny: Tiny) -> None:
    """An environment that isn't there is refused with the nearest name."""
    with pytest.raises(UsageError, match="no environment 'dve'; did you mean dev"):
        settings.load(Workspace(tiny.root), "dve")


def test_settings_say_where_from(tiny: Tiny) -> None:
    """`samebook settings` names the variable, the file or the default behind each value."""
    (tiny.root / "environments" / "dev.yml").write_text("warehouse: {sample: true}\ndatasets: {a: {made_by: b}}")
    told = tiny.samebook("settings", SAMEBOOK_CELL_TIMEOUT="60").stdout.splitlines()
    found = {line.split()[0]: line.split()[-1] for line in told}
    assert found["cell_timeout"] == "SAMEBOOK_CELL_TIMEOUT"
    assert found["warehouse.sample"] == found["datasets.a.made_by"] == "environments/dev.yml"
    assert found["warehouse.url"] == found["promotion.gate"] == "default"


def test_schema_is_current() -> None:
    """The JSON Schema that editors read is that of the settings: `make format` writes it."""
    assert (CHECKOUT / "environments" / "schemas" / "settings.json").read_bytes() == in_force.schema()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("promotion: {gate: {margn: 1}}", "unknown setting 'promotion.gate.margn'; did you mean margin?"),
        ("warehouse: {url: 'postgresql://u:s3cret@h/d'}", "a password stands in the URL"),
        ("warehouse: {url: 'postgresql://u@h/d?password=s3cret'}", "a password stands in the URL"),
        ("warehouse: {password: my-password}", "warehouse.password: found 'my-password'"),
        ("schedule: {daily: noon}", "schedule.daily: found 'noon'"),
        ("ab_test: {experiment: a, salt: s, challenger: b, share: 2, start: 2013-01-01, end: 2013-01-02}", "share"),
        ("ab_test: {experiment: a, salt: s, challenger: b, share: 1, start: 2013-01-03, end: 2013-01-02}", "after end"),
    ],
)
def test_new_settings_checked(text: str, told: str, tmp_path: Path) -> None:
    """A policy, a password in clear, a schedule and an experiment are checked like any setting."""
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert told in str(refused.value)
    assert "s3cret" not in str(refused.value)
