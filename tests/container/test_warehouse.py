"""Servers in containers, for runs in containers and beside them: PostgreSQL by `make warehouse`, `make mlflow`."""

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from containers import CHECKOUT, base
from mlflow_server import runs
from s3 import free_ports

from samebook.core.errors import UsageError
from samebook.data.postgresql_warehouse import PostgreSQL
from samebook.data.sql import Query
from samebook.environment.sections import Warehouse
from samebook.records import receipt

INGEST = "make run NOTEBOOK=ingest PARAMS='start=2013-12-29 end=2013-12-31'"
START = 'eval "$(make warehouse)"'
COUNT = Query("count.sql", "SELECT count(*) AS n FROM flights", {})
ROLE = Query("role.sql", "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", {})


@dataclass(frozen=True)
class Place:
    """A clone, with a compose project, images and a port of its own."""

    folder: Path
    port: int

    def shell(self, command: str) -> str:
        """What a shell command prints that must succeed."""
        named = {"ENGINE": "docker", "BASE_IMAGE": base(), "SAMEBOOK_TAG": "-clone"}
        own = {"COMPOSE_PROJECT_NAME": f"samebook-{self.port}", "WAREHOUSE_PORT": str(self.port)}
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, env=os.environ | named | own, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ingested(self, command: str) -> dict[str, str]:
        """The sha256 of each result of the run of ingest that a command starts."""
        before = set(self.folder.glob("runs/*/receipt.json"))
        self.shell(command)
        (made,) = set(self.folder.glob("runs/*/receipt.json")) - before
        return receipt.subject_digests(receipt.read(made))

    def rows(self, query: Query) -> list[dict[str, Any]]:
        """The rows of a query, asked from the machine around the containers."""
        where = Warehouse(url=f"postgresql://samebook@127.0.0.1:{self.port}/samebook", password="WAREHOUSE_PASSWORD")
        return PostgreSQL(where).rows(query).to_dict("records")


@pytest.fixture(scope="module")
def place(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    del engine
    folder = tmp_path_factory.mktemp("warehouse") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(folder)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = Place(folder, free.getsockname()[1])
    yield own
    own.shell(f"make stop && docker volume rm --force samebook-{own.port}_warehouse samebook-{own.port}_mlflow")


@pytest.fixture
def password(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    """The password of a warehouse that is up."""
    given = place.shell(f'{START} && echo "$WAREHOUSE_PASSWORD"').strip()
    monkeypatch.setenv("WAREHOUSE_PASSWORD", given)
    return given


def test_same_results(place: Place) -> None:
    """A run on PostgreSQL, each in its container, has the same results as one on DuckDB, byte for byte."""
    embedded = place.ingested(INGEST)
    (place.folder / "data" / "warehouse.duckdb").unlink()
    assert place.ingested(f"{START} && {INGEST}") == embedded
    assert not (place.folder / "data" / "warehouse.duckdb").exists()
    assert len([name for name in embedded if name.endswith(".parquet")]) == 2 * 3


def test_warehouse_is_shut_off(place: Place, password: str, engine: docker.DockerClient) -> None:
    """It answers on loopback alone, without a privilege, as a user that is not root; the password is in no setting."""
    (container,) = engine.containers.list(filters={"label": f"com.docker.compose.project=samebook-{place.port}"})
    facts = container.attrs
    assert facts["HostConfig"]["PortBindings"] == {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(place.port)}]}
    assert facts["HostConfig"]["CapDrop"] == ["ALL"]
    assert facts["HostConfig"]["ReadonlyRootfs"]
    assert facts["Config"]["User"] == "postgres"
    assert password not in str(facts)
    assert password not in container.logs().decode()


def test_role_and_password(place: Place, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role `samebook` is no superuser, and needs its password."""
    assert place.rows(ROLE) == [{"rolsuper": False}]
    monkeypatch.setenv("WAREHOUSE_PASSWORD", password[::-1])
    with pytest.raises(UsageError, match="password authentication failed"):
        place.rows(ROLE)


@pytest.mark.usefixtures("password")
def test_restart_keeps_rows(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was loaded is there after a stop, also when the password was cleaned away and is another then."""
    before = place.rows(COUNT)
    place.shell("make stop && rm -rf .samebook/warehouse")
    monkeypatch.setenv("WAREHOUSE_PASSWORD", place.shell(f'{START} && echo "$WAREHOUSE_PASSWORD"').strip())
    assert place.rows(COUNT) == before == [{"n": 336_776}]


@pytest.mark.long
def test_runs_are_mirrored(place: Place, engine: docker.DockerClient) -> None:
    """`make mlflow` is MLflow's own server: on loopback, without a privilege, with a database that a restart keeps. A
    run in a container is there when it ends, and nothing is left to send but the runs of before.
    """
    (port,) = free_ports(1)
    start = f'eval "$(make mlflow MLFLOW_PORT={port})"'
    place.shell(f"{start} && make run NOTEBOOK=ingest PARAMS='start=2013-12-31 end=2013-12-31'")
    filters = {"label": [f"com.docker.compose.project=samebook-{place.port}", "com.docker.compose.service=mlflow"]}
    facts = engine.containers.list(filters=filters)[0].attrs
    assert facts["HostConfig"]["PortBindings"] == {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    assert (facts["HostConfig"]["CapDrop"], facts["Config"]["User"]) == (["ALL"], "1000:1000")
    newest = max(path.parent.name for path in place.folder.glob("runs/*-ingest-*/receipt.json"))
    before = runs(f"http://127.0.0.1:{port}", "samebook/ingest")
    assert [run["run_name"] for run in before] == [newest]
    place.shell(f"{start} && make mlflow-sync")
    place.shell("make stop")
    assert " 0 sent; 0 changes" in place.shell(f"{start} && make mlflow-sync")
