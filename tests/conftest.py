"""A workspace for each test that asks for one; nothing may run on in it when the test is over. A PostgreSQL for all."""

import os
import re
import signal
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, override

import kubernetes_cluster
import kubernetes_schemas
import pytest
import shared_imports
from postgresql import PASSWORD, SECRET, PostgreSQL, programs, running
from s3 import ALLOWED, KEY, S3, TEXT, serving
from tiny import SAMPLE, Tiny, as_from_a_shell
from xdist.scheduler import LoadFileScheduling

from samebook.core.workspace import Workspace
from samebook.data import warehouse
from samebook.environment.sections import Warehouse

TESTS = Path(__file__).parent
# What starts programs, kernels or servers takes seconds; the rest is fast.
SLOW_FIXTURES = {
    *("tiny", "postgresql", "sampled", "served", "s3", "azure", "google", "schemas"),
    *("noticed", "chain", "worked", "promoted", "notebook", "trained", "watched", "replay"),
}
SLOW_FOLDERS = {"notebooks", "container", "gallery", "projects"}
SLOW_MODULES = {
    *("test_bench", "test_faults", "test_season", "test_make", "test_light", "test_tutorial"),
    *("test_numerics", "test_portability", "test_provisioner", "test_debian_packages", "test_packages", "test_scale"),
    *("test_rerun", "test_rerun_cheats", "test_rerun_aside", "test_rerun_times", "test_runner", "test_warm"),
    *("test_gc", "test_drift", "test_endings", "test_signing", "test_secrets", "test_undeclared"),
    *("test_psi", "test_publish", "test_pipeline", "test_schedule", "test_run", "test_batches", "test_assignment"),
    *("test_signing_programs", "test_deployment"),
    *("test_review", "test_bundles", "test_arrays", "test_lint", "test_why", "test_bytecode"),
}
# These look at the start of a command, or at its process; the commands of all others share their imports.
OWN_PROCESSES = {
    *("test_bench", "test_console", "test_endings", "test_faults", "test_main", "test_processes", "test_run"),
    *("test_signals", "test_sweep", "test_dask"),
}
# An engine may change what these find: they read the environment, or look at the kernels and bytes that it gives.
OF_THE_ENGINE = {
    *("environment", "test_canonical.py", "test_console.py", "test_main.py", "test_page.py"),
    *("test_parameters.py", "test_parameters_cell.py", "test_run.py", "test_warm.py"),
    *("test_flights.py", "test_ingest.py", "test_train.py"),
}
# These take minutes, so they start first: with one of them last, all cores but one would wait for its end.
LONGEST = (
    *("container", "test_dask"),
    *("test_season", "test_pipeline", "test_watch", "test_chain", "test_ab_test", "test_promote", "test_gallery"),
    *("test_warm", "test_sweep", "test_models", "test_why", "test_faults", "test_new"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an expression of marks before workers start, which would only say that they have failed; hear signals."""
    check_marks(config.option.markexpr, config.getini("markers"))
    # In the background of a shell, or under nohup, these are ignored, and so they would be by all that tests start.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def check_marks(expression: str, lines: list[str]) -> None:
    """Raise pytest.UsageError for a mark that is not among these lines of declarations, with those of these tests."""
    declared = [re.split(r"[:(]", line)[0].strip() for line in lines]
    if unknown := sorted({*re.findall(r"[^\W\d]\w*", expression)} - {*declared, "and", "or", "not"}):
        own = ", ".join(declared[: declared.index("engine") + 1])
        raise pytest.UsageError(f"no mark {unknown[0]!r}; expected one of: {own}\n  -> make test MARK=engine")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is fast, and what an engine may change; the longest modules come first. What is long runs where it is
    asked for, by its mark or by the address of one test.
    """
    if "long" not in config.option.markexpr and not any("::" in argument for argument in config.args):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    items.sort(key=lambda item: LONGEST.index(group(item.path)) if group(item.path) in LONGEST else len(LONGEST))
    for item in items:
        parts = {*item.path.relative_to(TESTS).parts}
        if group(item.path) == "container":
            item.add_marker("host")
        elif OF_THE_ENGINE & parts:
            item.add_marker("engine")
        fixtures = {*getattr(item, "fixturenames", ())}
        if not (SLOW_FIXTURES & fixtures or SLOW_FOLDERS & parts or item.path.stem in SLOW_MODULES):
            item.add_marker("fast")


def group(path: Path) -> str:
    """The group of tests that run in one process, one after the other: a module's, or those that share the images."""
    return "container" if path.parent.name == "container" else path.stem


class Groups(LoadFileScheduling):
    """Hands whole groups to the workers of pytest-xdist, in the order of the tests."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return group(Path(nodeid.partition("::")[0]))


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: many tests wait for containers, servers and other programs."""
    return (os.process_cpu_count() or 1) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """The scheduler of all runs of these tests on several cores."""
    config.option.loadscopereorder = False  # it would begin with the modules of many, quick tests
    return Groups(config, log)


@pytest.fixture(autouse=True)
def own_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands start as a shell would start them where a test looks at that."""
    if request.path.parent.name == "warm" or request.path.stem in OWN_PROCESSES:
        as_from_a_shell(monkeypatch)


@pytest.fixture(autouse=True, scope="module")
def _kernels_of_module() -> Iterator[None]:
    """Processes that have imported packages for the notebooks of a module end with it."""
    yield
    shared_imports.end_of_module()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and kernels of the test start as from a shell: it looks at which of them are warm."""
    as_from_a_shell(monkeypatch)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Tiny]:
    workspace = Tiny.create(tmp_path / "workspace")
    yield workspace
    assert not workspace.kernels(), "a kernel outlived its run"
    assert not workspace.unfinished, "a run was left half-written"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A real server. Without one tests are skipped, or fail where SAMEBOOK_REQUIRE_DOCKER=1 says that none may be."""
    if programs() is None:
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("PostgreSQL's programs are not installed: apt-get install postgresql")
    with pytest.MonkeyPatch.context() as patch, running() as server:
        patch.setenv(SECRET, PASSWORD)
        yield server


@pytest.fixture(scope="session")
def sampled(postgresql: PostgreSQL) -> Warehouse:
    """Settings of a database there with the whole sample, loaded once."""
    settings = postgresql.warehouse(postgresql.database("sampled"), sample=SAMPLE)
    warehouse.ensure(Workspace(Path()), settings)
    return settings


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3. Not for the image, which has no server."""
    with serving(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real kubectl."""
    return kubernetes_cluster.kubectl(tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="session")
def schemas() -> ModuleType:
    """What checks manifests by the schemas of Kubernetes' API, in a program of its own."""
    return kubernetes_schemas


@pytest.fixture
def s3(served: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The S3 with a prefix for this test, and the machines' key in the variables that its settings name."""
    monkeypatch.setenv("S3_KEY", KEY)
    monkeypatch.setenv("S3_TEXT", TEXT)
    yield replace(served, prefix=f"team/{uuid.uuid4().hex}")
    served.allow(*ALLOWED)
