"""The variables of the caller's shell: a kernel gets a short list, and others by name alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import CHECKOUT, Result, Tiny

from samebook.core import secret
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import callers, interactive, settings, variables
from samebook.environment.settings import Settings
from samebook.execution import execute, freshness, preparation
from samebook.execution.preparation import RunRequest
from samebook.records import receipt
from samebook.reproduction import isolation

HERE = Workspace(CHECKOUT)
LISTED = ("PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE")
OTHERS = (
    *("API_URL", "API_TOKEN", "LANG", "LC_TIME", "LANGUAGE", "COLUMNS", "SHELL", "DISPLAY", "CUDA_VISIBLE_DEVICES"),
    *("OPENBLAS_CORETYPE", "MKL_CBWR", "NUMBA_CPU_NAME", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "MPLBACKEND"),
)
SEEN = """import json, os, samebook
from samebook import Secret
samebook.output_path("seen.json").write_text(json.dumps(
    {name: value for name, value in os.environ.items() if not value.startswith("canary")}))
print(os.environ["MODE"], os.environ["SERVICE_KEY"], len(Secret("API_TOKEN")))"""
SECRETS = {"SERVICE_KEY": "canary-4711", "API_TOKEN": "canary-0123"}
SHELL = {**dict.fromkeys(OTHERS, "/callers/own"), **SECRETS, "MODE": "quick", "LD_PRELOAD": "", "SHELL": "/bin/sh"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, Result]:
    """A run with a variable that the settings name, one that -e names, and the secret of its parameters."""
    tiny = Tiny.create(tmp_path_factory.mktemp("callers") / "workspace", "variables: [MODE, NOT_SET]\n")
    tiny.notebook("seen", parameters='from samebook import Secret\ntoken: str = Secret("API_TOKEN")', work=SEEN)
    ended = tiny.samebook("run", "seen", "-e", "SERVICE_KEY", **{**SHELL, "PYTHONPATH": "/nowhere"})
    assert ended.code == 0, ended.stderr
    return tiny, ended


def internal(run: Path) -> dict[str, Any]:
    """The internal parameters of a run's receipt."""
    parameters: dict[str, Any] = json.loads((run / "receipt.json").read_text())["predicate"]["buildDefinition"]
    return parameters["internalParameters"]


def test_short_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kernel gets the short list of the caller's variables, and what decides a result is the container's."""
    for name in (*LISTED, *OTHERS, "TZ", "LC_ALL"):
        monkeypatch.setenv(name, "/callers/own")
    kernel = variables.of_any_kernel(HERE)
    assert {name for name, value in kernel.items() if value == "/callers/own"} == set(LISTED)
    assert (kernel["TZ"], kernel["LC_ALL"]) == ("UTC", "C.UTF-8")


def test_run_gets_named_variables(done: tuple[Tiny, Result]) -> None:
    """A run's kernel has the variables that settings, -e and its secrets name, and no other of the shell."""
    seen = json.loads((done[0].last / "outputs" / "seen.json").read_text())
    assert seen["MODE"] == "quick"
    assert "/callers/own" not in seen.values()
    assert {"SHELL", "LD_PRELOAD", "NOT_SET"} & seen.keys() == set()


def test_receipt_names_variables(done: tuple[Tiny, Result]) -> None:
    """A receipt has the name and the sha256 of each variable that was handed; of a secret, the name alone."""
    assert internal(done[0].last)["callerVariables"] == {"MODE": sha256(b"quick"), "SERVICE_KEY": None}
    assert callers.digest("DATABASE", "postgresql://me:hunter2@host/db") is None


def test_handed_secret_is_redacted(done: tuple[Tiny, Result]) -> None:
    """What a notebook prints of a variable that holds a secret, by its name, is redacted."""
    tiny, _ = done
    assert "quick [redacted SERVICE_KEY] 11" in (tiny.last / "notebook.ipynb").read_text()
    assert not [path for path in tiny.last.rglob("*") if path.is_file() and b"canary-4711" in path.read_bytes()]


def test_short_secret_is_told(tiny: Tiny) -> None:
    """A variable that is a secret by its name, and too short to be redacted, is named before the run."""
    tiny.notebook("seen", work="1")
    ended = tiny.samebook("run", "seen", "-e", "HF_TOKEN", HF_TOKEN="abc")
    assert (ended.code, "HF_TOKEN is redacted nowhere: it has fewer than 6 characters" in ended.stderr) == (0, True)


def test_changed_variable_is_not_as_before(done: tuple[Tiny, Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose variable is another one now, or no longer handed, is not as before."""
    tiny, _ = done
    for name, value in {
        "API_TOKEN": "canary-0123",
        "SERVICE_KEY": "canary-4711",
        variables.EXTRA: "SERVICE_KEY",
    }.items():
        monkeypatch.setenv(name, value)
    runs = []
    for mode in ("quick", "slow"):
        monkeypatch.setenv("MODE", mode)
        runs.append(freshness.fresh_run(preparation.prepare(Workspace(tiny.root), RunRequest("seen", {}))))
    monkeypatch.delenv("MODE")
    runs.append(freshness.fresh_run(preparation.prepare(Workspace(tiny.root), RunRequest("seen", {}))))
    assert runs == [tiny.last, None, None]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("OMP_NUM_THREADS", "numerics decide it"),
        ("OPENBLAS_CORETYPE", "numerics decide it"),
        ("NPY_DISABLE_CPU_FEATURES", "numerics decide it"),
        ("LD_PRELOAD", "it would decide what is computed"),
        ("PYTHONOPTIMIZE", "it would decide what is computed"),
        ("SIGNING_KEY", "no kernel gets it"),
        ("SAMEBOOK_ENV", "a kernel has it by itself"),
        ("PATH", "a kernel has it by itself"),
    ],
)
def test_names_that_are_refused(name: str, reason: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor -e take a variable that something else decides; the error says what does."""
    (tiny.root / "environments" / "dev.yml").write_text(f"variables: [MODE, {name}]\n")
    with pytest.raises(UsageError, match=f"dev.yml: variables.1: {name} can't be handed to a kernel: {reason}"):
        settings.load(Workspace(tiny.root), "dev")
    monkeypatch.setenv(variables.EXTRA, name)
    with pytest.raises(UsageError, match=f"{name} can't be handed to a kernel: {reason}"):
        callers.named(HERE, Settings.model_construct(), ())


@pytest.mark.parametrize(("name", "reason"), [("TZ", "it is fixed for each"), ("NOT_SET", "it is not set")])
def test_extra_variables_must_be_free(name: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that -e names must be set, and none that is fixed for every kernel."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv(variables.EXTRA, name)
    with pytest.raises(UsageError, match=f"{name} can't be handed to a kernel: {reason}"):
        callers.named(HERE, Settings.model_construct(), ())


def test_receipt_decides_what_is_handed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that repeats a receipt gets its variables where they have the same value, and those that -e names."""
    for name in ("SAME", "OTHER", "MORE", "LD_PRELOAD"):
        monkeypatch.setenv(name, "1")
    digests = {"SAME": sha256(b"1"), "OTHER": sha256(b"2"), "LACKING": sha256(b"3"), "LD_PRELOAD": sha256(b"1")}
    given = callers.recorded(HERE, Settings.model_construct(), (), digests)
    assert given.handed == {"SAME": "1"}
    monkeypatch.setenv(variables.EXTRA, "OTHER")
    assert callers.recorded(HERE, Settings.model_construct(), (), digests).handed == {"SAME": "1", "OTHER": "1"}
    older = {"SAS_HOME": "/opt/sas", "SIG_FIGS": "3", "REPO": "https://me@host/a", "API_TOKEN": "x"}
    for name, value in older.items():
        monkeypatch.setenv(name, value)
    same = {name: sha256(value.encode()) for name, value in older.items()}
    assert callers.differences(same) == dict.fromkeys(older, "")
    assert set(callers.differences(dict.fromkeys(older, sha256(b"-"))).values()) == {"another value here"}
    reasons = ("", "another value here", "not set here", "it would decide what is computed")
    assert tuple(callers.differences(digests).values()) == reasons


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("API_TOKEN", "x", True),
        ("HF_TOKEN", "x", True),
        ("AWS_ACCESS_KEY_ID", "x", True),
        ("PGPASSWORD", "x", True),
        ("BROKER", "amqp://me:pw@host", True),
        ("DSN", "x", True),
        ("DATABASE", "host=h password = x", True),
        ("TOKENIZERS_PARALLELISM", "x", False),
        ("MONKEY", "x", False),
        ("SORT_KEY", "x", False),
        ("API_URL", "https://host/?q=1", False),
        ("SAS_HOME", "/opt/sas", False),
        ("SIG_FIGS", "3", False),
        ("ROWS", "https://host/?sv=1&sig=x", True),
        ("ROWS", "https://host/?mysig=x", True),
    ],
)
def test_secrets_by_their_names(name: str, value: str, *, is_secret: bool) -> None:
    """A variable holds a secret by a word of its name, or for a password in a URL."""
    assert secret.is_likely(name, value) == is_secret


def test_settings_name_secrets(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel gets the secrets of the settings and of notebooks that make datasets; AWS's where a store has no key."""
    tiny.notebook("make", parameters='token: str = Secret("MAKERS_TOKEN")')
    for name in ("HOOK", "MAKERS_TOKEN", "AWS_PROFILE", "OTHER"):
        monkeypatch.setenv(name, "1")
    text = "notify: {webhook: HOOK}\ndatasets: {rows: {made_by: make}}\nstore: {url: 's3://bucket'}\n"
    (tiny.root / "environments" / "dev.yml").write_text(text)
    place = Workspace(tiny.root)
    given = callers.of_secrets(place, settings.load(place, "dev"), ())
    assert {"HOOK", "MAKERS_TOKEN", "AWS_PROFILE", "OTHER"} & given.keys() == {"HOOK", "MAKERS_TOKEN", "AWS_PROFILE"}


def test_clouds_log_in(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels get the variables by which a cloud's client logs in where an input file is from there; a wrong
    inputs.yml keeps no kernel from starting.
    """
    for name in ("AZURE_STORAGE_ACCOUNT_KEY", "GOOGLE_SERVICE_ACCOUNT_KEY"):
        monkeypatch.setenv(name, "canary")
    place, path = Workspace(tiny.root), tiny.root / "environments" / "inputs.yml"
    held = {"": set(), "a.csv: {from: az://b/a}": {"AZURE_STORAGE_ACCOUNT_KEY"}, "a.csv: {from: [": set()}
    for text, names in held.items():
        path.write_text(text)
        given = callers.named(place, Settings.model_construct(), ())
        assert (given.secrets.keys(), given.likely_secrets) == (names, [*names])


def test_postgresql_logs_in(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels get the variables by which libpq logs in where the warehouse is a server, reproductions too; one that is
    handed by name is no secret for that.
    """
    for name in ("PGPASSWORD", "PGSSLROOTCERT", "PGUSER", "PGOPTIONS"):
        monkeypatch.setenv(name, "somebody")
    monkeypatch.setenv(variables.EXTRA, "PGUSER")
    place, logins = Workspace(tiny.root), {"PGPASSWORD", "PGSSLROOTCERT", "PGUSER"}
    assert not logins & callers.of_secrets(place, Settings.model_construct(), ()).keys()
    (tiny.root / "environments" / "dev.yml").write_text("warehouse: {url: 'postgresql://me@host/rows'}\n")
    given = callers.named(place, settings.load(place, "dev"), ())
    assert (given.secrets.keys(), given.digests) == (logins, {"PGUSER": sha256(b"somebody")})
    plan = receipt.plan({"commit": None, "notebook": "sum", "parameters": {}, "env": "dev"})
    assert isolation.variables(plan, tiny.root, "a" * 40, "local", print).keys() >= logins


def test_kernels_outside_runs(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels in Lab and of tests get the same: the short list, the settings' variables, their notebook's secrets."""
    path = tiny.notebook("work", parameters='token: str = Secret("API_TOKEN")')
    (tiny.root / "environments" / "dev.yml").write_text("variables: [MODE]\n")
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    for name in ("MODE", "API_TOKEN", "OTHER", "JUPYTER_TOKEN"):
        monkeypatch.setenv(name, "1")
    assert {"MODE", "API_TOKEN", "OTHER", "JUPYTER_TOKEN"} & interactive.outside_runs(path).keys() == {
        "MODE",
        "API_TOKEN",
    }


def test_lost_variable_is_named(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that fails for want of a variable that the shell has says so; not one that looks up another dictionary."""
    tiny.notebook("lost", work='import os\nos.environ["API_URL"]')
    ended = tiny.samebook("run", "lost", API_URL="http://127.0.0.1")
    line = "API_URL is set in your shell, but a kernel gets only a short list of variables"
    assert f"{line}: add it to variables: in environments/dev.yml, or give -e API_URL" in ended.stderr
    monkeypatch.setenv("API_URL", "http://127.0.0.1")
    assert execute.missing_variable("'API_URL'", ["File <frozen os>:716, in __getitem__"], {}) == "API_URL"
    assert execute.missing_variable("'API_URL'", ["----> 1 {}['API_URL']"], {}) == ""
    assert execute.missing_variable("the secret API_URL is not set", [], {}) == "API_URL"
    assert execute.missing_variable("the secret API_URL is not set", [], {"API_URL": "x"}) == ""


def test_missing_file_is_looked_for(tmp_path: Path) -> None:
    """A cell that has not found a file says from which folder it looked, and the names that are near."""
    folder = tmp_path / "notebooks"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "customers.csv").touch()
    text = "[Errno 2] No such file or directory: 'data/{}'"
    looked = "\n  looked for from notebooks/, the folder of the notebook"
    assert execute.missing_file(text.format("custmers.csv"), folder) == f"{looked}; did you mean customers.csv?"
    assert execute.missing_file(text.format("no/such.csv"), folder) == looked
    assert execute.missing_file(text.format("x.parquet"), folder) == looked, "names that are not near are not told"
    assert execute.missing_file("[Errno 2] No such file or directory: '/x/customers.csv'", folder) == ""


def test_settings_of_matplotlib(tiny: Tiny) -> None:
    """A run's matplotlib has samebook's settings, which make SVG files alike, until the workspace has its own."""
    work = "import matplotlib, samebook; samebook.log_param('salt', matplotlib.rcParams['svg.hashsalt'])"
    salts = []
    for own in ("", "svg.hashsalt: mine\n"):
        if own:
            (tiny.root / "environments" / "matplotlibrc").write_text(own)
        tiny.notebook("train", work=work)
        assert tiny.samebook("run", "train").code == 0
        statement = receipt.read(tiny.last / "receipt.json")
        salts.append(statement["predicate"]["buildDefinition"]["internalParameters"]["logged"]["salt"])
        assert [name for name in receipt.undeclared(statement) if "matplotlib" in name] == []
    assert salts == ["samebook", "mine"]
