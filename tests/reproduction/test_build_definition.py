"""The definitions of a receipt and of the run that repeats it: what must be the same, and what is only told."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import Tiny

from samebook.core.digest import sha256
from samebook.records import receipt
from samebook.records.comparison import Verdict
from samebook.reproduction import definition, isolation
from samebook.verbs import reproduce as verb

STATEMENT: dict[str, Any] = {
    "predicate": {
        "buildDefinition": {
            "externalParameters": {"notebook": "notebooks/sum.ipynb", "parameters": {"n": 2}, "env": "dev"},
            "internalParameters": {
                "engine": "local",
                "platform": "linux/x86_64",
                "papermill": "2",
                "threads": "2",
                "variables": {"TZ": "UTC"},
                "drift": {},
                "logged": {"rows": 3},
            },
            "resolvedDependencies": [
                {"name": "commit", "digest": {"gitCommit": "a" * 40}, "annotations": {"dirty": False}},
                {"name": "notebooks/sum.ipynb", "digest": {"sha256": "b" * 64}},
                {"name": "code beside the notebook", "digest": {"sha256": "c" * 64}},
                {"name": "environment", "digest": {"sha256": "d" * 64}, "annotations": {"packages": {"numpy": "2"}}},
                {"name": "rows/day=2013-01-01", "digest": {"sha256": "e" * 64}, "annotations": {"input": True}},
            ],
        }
    }
}
DAY = "input rows/day=2013-01-01"
EXTERNAL, INTERNAL, DEPENDENCIES = "externalParameters", "internalParameters", "resolvedDependencies"
UNREAD = {"name": "rows/day=2013-01-02", "digest": {"sha256": "f" * 64}, "annotations": {"input": True}}
IMAGE = {"name": "image", "uri": "samebook@sha256:" + "0" * 64}

# A change of the receipt, the fact by which it is named, and whether a result that claims it is another one.
CHANGES: dict[str, tuple[Callable[[Any], object], str, bool]] = {
    "a day that was not read": (lambda it: it[DEPENDENCIES].append(UNREAD), "input rows/day=2013-01-02", True),
    "an input twice": (
        lambda it: it[DEPENDENCIES].append(it[DEPENDENCIES][4]),
        f"{DAY} again",
        True,
    ),
    "other rows": (lambda it: it[DEPENDENCIES][4]["digest"].update(sha256="0" * 64), DAY, True),
    "another parameter": (lambda it: it[EXTERNAL]["parameters"].update(n="2"), "externalParameters.parameters.n", True),
    "another commit": (lambda it: it[DEPENDENCIES][0]["digest"].update(gitCommit="0" * 40), "commit", True),
    "other code": (lambda it: it[DEPENDENCIES][2]["digest"].update(sha256="0" * 64), "code beside the notebook", True),
    "a logged value": (lambda it: it[INTERNAL]["logged"].update(rows=4), "internalParameters.logged.rows", True),
    "another variable": (lambda it: it[INTERNAL]["variables"].pop("TZ"), "internalParameters.variables.TZ", True),
    "drift": (lambda it: it[INTERNAL]["drift"].update(numpy="1"), "internalParameters.drift.numpy", True),
    "another package": (
        lambda it: it[DEPENDENCIES][3]["annotations"]["packages"].update(numpy="1"),
        "environment.annotations.packages.numpy",
        True,
    ),
    "another environment": (lambda it: it[DEPENDENCIES][3]["digest"].update(sha256="0" * 64), "environment", True),
    "an unknown claim": (lambda it: it[INTERNAL].update(reviewed="yes"), "internalParameters.reviewed", True),
    "another engine": (lambda it: it[INTERNAL].update(engine="docker"), "internalParameters.engine", False),
    "an image": (lambda it: it[DEPENDENCIES].append(IMAGE), "image", False),
    "uncommitted changes": (
        lambda it: it[DEPENDENCIES][0]["annotations"].update(dirty=True),
        "commit.annotations.dirty",
        False,
    ),
    "another number of threads": (lambda it: it[INTERNAL].update(threads="1"), "internalParameters.threads", False),
    "another processor": (
        lambda it: it[INTERNAL].update(processor={"level": "x86-64-v4"}),
        "internalParameters.processor.level",
        False,
    ),
    "other numerics": (lambda it: it[INTERNAL].update(numerics="fast"), "internalParameters.numerics", True),
}


def changed(change: Callable[[Any], object]) -> dict[str, Any]:
    statement = copy.deepcopy(STATEMENT)
    change(statement["predicate"]["buildDefinition"])
    return statement


def test_same_definition() -> None:
    """Equal definitions don't differ."""
    assert definition.divergences(STATEMENT, copy.deepcopy(STATEMENT)) == []


@pytest.mark.parametrize("change", CHANGES)
def test_divergence_is_named(change: str) -> None:
    """Whatever differs is named; a place may differ, a claim about the run may not."""
    edit, name, is_essential = CHANGES[change]
    found = definition.divergences(changed(edit), STATEMENT)
    assert [(item.name, item.is_essential) for item in found] == [(name, is_essential)]


def test_packages_of_other_platform() -> None:
    """On another platform the packages are others, and the result may be the same."""

    def other(it: Any) -> None:
        it[INTERNAL]["platform"] = "linux/aarch64"
        it[DEPENDENCIES][3]["digest"]["sha256"] = "0" * 64

    assert not any(item.is_essential for item in definition.divergences(changed(other), STATEMENT))


@pytest.mark.parametrize(
    ("package", "is_essential"),
    [
        ("1", True),
        ("2.1 sha256:00", True),
        ("2 sha256:00", False),
        ("2+cpu sha256:00", False),
        (None, False),
        (3, True),
    ],
)
@pytest.mark.parametrize("platform", ["linux/aarch64", "x", None])
def test_claimed_platform(platform: str | None, package: Any, is_essential: bool) -> None:
    """A receipt that claims another platform has the same versions, or is wrong; one that claims none has the same
    packages.
    """

    def claim(it: Any) -> None:
        it[INTERNAL].update(platform=platform) if platform else it[INTERNAL].pop("platform")
        packages = it[DEPENDENCIES][3]["annotations"]["packages"]
        packages.update(numpy=package) if package else packages.pop("numpy")

    found = {item.name: item.is_essential for item in definition.divergences(changed(claim), STATEMENT)}
    assert found["environment.annotations.packages.numpy"] is (is_essential or platform is None)


def test_undeclared_reads() -> None:
    """Files that were read without being declared are listed, and make no run another: they are told."""
    item = {"name": "/tmp/cache", "digest": {"sha256": "9" * 64}, "annotations": {"undeclared": True}}
    statement = changed(lambda it: it[DEPENDENCIES].append(item))
    assert receipt.undeclared(statement) == {"/tmp/cache": "9" * 64}
    assert [found.is_essential for found in definition.divergences(STATEMENT, statement)] == [False]


def test_bundle_of_files_that_were_read() -> None:
    """A bundle that was not read again is told where its files were read, and is a false claim where none was."""
    bundle = {"name": "bundle delay", "digest": {"sha256": "9" * 64}, "annotations": {"input": True}}
    file = {"name": "delay/model.txt", "digest": {"sha256": "8" * 64}, "annotations": {"input": True}}
    old, new = (changed(lambda it, items=items: it[DEPENDENCIES].extend(items)) for items in ([bundle, file], [file]))
    assert [item.is_essential for item in definition.divergences(old, new)] == [False]
    claimed = changed(lambda it: it[DEPENDENCIES].append(bundle))
    assert [item.is_essential for item in definition.divergences(claimed, STATEMENT)] == [True]


def test_numerics_go_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rerun has the receipt's numerics and threads, in a container too; one of before has one number, or all."""
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    statement = changed(lambda it: it[INTERNAL].update(numerics="fast", threads={"openmp": 8, "blas": 2}))
    variables = isolation.inherited("a" * 40) | isolation.numerics(statement)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SAMEBOOK_NUMERICS")
    assert [variables[name] for name in names] == ["8", "2", "fast"]
    assert set(names) <= set(variables["SECRETS"].split())
    assert isolation.numerics(STATEMENT)["OMP_NUM_THREADS"] == "2"
    assert "OMP_NUM_THREADS" not in isolation.numerics(changed(lambda it: it[INTERNAL].update(threads="all; rm -rf /")))


SHELL = {"SAME": "1", "CHANGED": "2", "OTHERS": "3", "API_TOKEN": "canary-0123", "DOCKER_HOST": "unix://x"}
RECORDED = {"SAME": sha256(b"1"), "CHANGED": sha256(b"1"), "GONE": sha256(b"1"), "API_TOKEN": None}


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A receipt with variables of its caller's shell, some of which are the same in this one."""
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    return changed(lambda it: it[INTERNAL].update(callerVariables=RECORDED))


def test_variables_go_along(recorded: dict[str, Any], tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rerun has the receipt's variables that are the same here, those that -e names, and what Docker needs."""
    said: list[str] = []
    env = isolation.variables(recorded, tiny.root, "a" * 40, "local", said.append)
    assert SHELL.keys() & env.keys() == {"SAME", "DOCKER_HOST"}
    assert "SAME" in env["SECRETS"].split()
    assert said[0] == "without a variable of the run's shell: CHANGED: another value here"
    monkeypatch.setenv("SAMEBOOK_EXTRA_VARIABLES", "CHANGED API_TOKEN")
    assert isolation.handed(recorded) == ["SAME", "CHANGED", "API_TOKEN"]
    assert receipt.handover(recorded, "", isolation.handed(recorded))["predicate"]["buildDefinition"][INTERNAL] == {
        "run": "",
        "callerVariables": {"SAME": None, "CHANGED": None, "API_TOKEN": None},
    }


def test_secrets_of_the_commit_go_along(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rerun has the secrets that the commit's notebooks and settings name, those in SECRETS, and the warehouse's."""
    (tiny.root / "environments" / "dev.yml").write_text("notify: {webhook: HOOK}\n")
    tiny.notebook("sum", parameters='token: str = Secret("API_TOKEN")')
    for name in ("HOOK", "API_TOKEN", "HANDED", "OTHER", "SIGNING_KEY", "ROWS_PASSWORD"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SAMEBOOK_WAREHOUSE__PASSWORD", "ROWS_PASSWORD")
    monkeypatch.setenv("SECRETS", "HANDED SIGNING_KEY")
    secrets = isolation.secrets(STATEMENT, tiny.root, "local")
    assert secrets.keys() == {"HOOK", "API_TOKEN", "HANDED", "ROWS_PASSWORD"}
    # A container has only what the caller names: make, which could hand it more, doesn't have more.
    assert isolation.secrets(STATEMENT, tiny.root, "docker").keys() == {"HANDED", "ROWS_PASSWORD"}


def test_lacking_variables_are_said_first(recorded: dict[str, Any], tmp_path: Path) -> None:
    """A verdict begins with the variables that the new run lacked; they make no result another one."""
    lines = [
        "CHANGED: another value here",
        "GONE: not set here",
        "API_TOKEN: a secret, which goes along by your word alone: VARIABLES=API_TOKEN",
    ]
    assert isolation.lacking(recorded) == lines
    divergences = definition.divergences(recorded, STATEMENT)
    assert [item.is_essential for item in divergences] == [False] * len(RECORDED)
    result = verb.Reproduction(Verdict.IDENTICAL, [], divergences, [], {}, tmp_path, [], lines)
    assert verb.table(result).startswith("without variables of the run's shell:\n  CHANGED: another value here\n")
