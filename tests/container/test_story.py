"""A better model on its way from a branch to production and back, on the real engine, with all that a team shares."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow_server
import pytest
from containers import CHECKOUT
from docker.models.images import Image
from postgresql import PostgreSQL
from registry import Registry
from s3 import S3
from team import Machine, Production, Team

from samebook.environment.sections import Mlflow, Warehouse
from samebook.tracking.server import Server

if TYPE_CHECKING:
    import pandas as pd

DAYS = [f"2013-07-0{number}" for number in range(1, 6)]
LEARNT = "as_of=2013-06-30 train_days=21 holdout_days=4"
# Deep trees overfit three weeks of flights.
WEAK, BETTER = f"{LEARNT} n_estimators=80 max_depth=6", f"{LEARNT} n_estimators=40 max_depth=3"
SCORES = {"into": "scores"}
# The column that arrives in hours one day: the fault that monitoring must see.
FAULT = "flight_delay_28d"


def dockerfile(base: str) -> str:
    """This repository's production image on a base of the team's own, which has the packages of the lock already."""
    shipped = (CHECKOUT / "Dockerfile").read_text()
    own = shipped[shipped.index("COPY --chmod=755 .python-version") : shipped.index("# --- lab")]
    return f"ARG BASE_IMAGE={base}\nFROM ${{BASE_IMAGE}} AS runtime\nUSER 0:0\n{own}"


def settings(warehouse: Warehouse, s3: S3, mlflow: str) -> dict[str, object]:
    """The settings of prod: what the team shares, what a promotion takes, and what comes in."""
    return {
        "warehouse": warehouse.model_dump(exclude={"sample"}),
        "store": {"url": s3.url, "endpoint": s3.endpoint, "access_key": "S3_KEY", "secret_key": "S3_TEXT"},
        "mlflow": {"url": mlflow, "experiment": "team", "branch": "main"},
        "datasets": {"flights": {"made_by": "ingest"}, "outcomes": {"made_by": "ingest"}, "predictions": SCORES},
        "promotion": {
            **dict.fromkeys(("pinned_image", "reproduced", "signed"), True),
            "gate": {"notebook": "gate", "metric": "auc", "margin": 0.002},
        },
        "watch": {"inbox": {"flights": "daily"}, "settle": 0.5},
        "schedule": {},
    }  # fmt: skip


def publish(person: Machine) -> str:
    """Publish the image of main, and push the commit that names it; returns the image."""
    person.pull()
    person.make("publish", "ENV=prod", f"REGISTRY={person.team.registry.address}/team", "RUNTIME_ONLY=1")
    person.git("push", "--quiet", "origin", "main")
    return person.published()


def propose(person: Machine, branch: str, parameters: str) -> None:
    """Push a branch with a new model; the policy takes it only once CI has reproduced it with a key of its own."""
    person.pull()
    person.git("switch", "--quiet", "--create", branch)
    person.make("run", "NOTEBOOK=train", "ENV=prod", f"PARAMS={parameters}")
    promote = ("promote", "RUN=train", "MODEL=delay", "ENV=prod", f"WHY={branch}")
    assert "it was reproduced by nobody; its gate's run was reproduced by nobody" in person.make(*promote, code=6)
    person.make("push", "ENV=prod")
    person.git("push", "--quiet", "origin", branch)
    reproduce(person, branch)
    person.make(*promote)
    person.make("push", "ENV=prod")
    person.git("push", "--quiet", "origin", branch)


def reproduce(person: Machine, branch: str) -> None:
    """CI's job: on a machine that has the commit alone, the receipts of the newest runs are run again and signed."""
    runner = person.team.machine("ci", f"ci-{branch}", branch)
    newest = [max(person.root.glob(f"runs/*-{name}-*")) for name in ("train", "gate")]
    for run in newest:
        (runner.root / "runs" / run.name).mkdir(parents=True)
        for name in ("receipt.json", "receipt.json.dsse"):
            shutil.copy(run / name, runner.root / "runs" / run.name)
    runner.make("pull", "ENV=prod")
    assert "IDENTICAL: 5 of 5 subjects" in runner.make("reproduce", f"RUN={newest[0].name}")
    for run in newest:
        for path in (runner.root / "runs" / run.name).glob("reproduction-1.json*"):
            shutil.copy(path, run)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server.serving(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture
def team(runtime: Image, registry: Registry, sampled: Warehouse, postgresql: PostgreSQL, s3: S3, mlflow: str,
         tmp_path: Path) -> Team:  # fmt: skip
    """The team, with an image of its own published for prod, and no model yet."""
    del sampled
    found = Team(tmp_path, registry)
    warehouse = postgresql.warehouse(postgresql.database("story", "sampled"))
    found.found(settings(warehouse, s3, mlflow), dockerfile(registry.push(str(runtime.id), "team/base")))
    return found


@pytest.fixture
def production(team: Team, postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Production]:
    """A machine for the deployment, on which nothing runs afterwards."""
    folder = tmp_path / f"samebook-story-{postgresql.port}" / "deploy"
    warehouse = postgresql.warehouse("story")
    made = Production(team.machine("production"), folder, warehouse, lambda text: postgresql.sql(text, "story"))
    yield made
    if folder.exists():
        made.compose("down", "--volumes")


def champion(mlflow: str) -> str:
    """The run of training whose version has the alias `champion` in MLflow."""
    server = Server(Mlflow(url=mlflow))
    found = server.get("registered-models/alias", name="delay", alias="champion")["model_version"]
    return server.get("runs/get", run_id=found["run_id"])["run"]["info"]["run_name"]


def review_and_merge(person: Machine, branch: str) -> None:
    """Look at a branch, and at what its model says of a day, without checking it out; then merge it."""
    person.pull()
    person.git("switch", "--quiet", branch)
    person.make("pull", "ENV=prod")
    person.git("switch", "--quiet", "main")
    review = person.make("review", f"RANGE=main..{branch}")
    assert "| prod | would be let in |" in review
    parameters = f"day=2013-06-30 model=delay@{branch}"
    person.make("run", "NOTEBOOK=predict", "ENV=prod", "TRIAL=1", f"PARAMS={parameters}")
    person.merge(branch)


def faulty(rows: "pd.DataFrame") -> "pd.DataFrame":
    """The rows with a column in another unit."""
    return rows.assign(**{FAULT: rows[FAULT] / 60})


def finding(report: dict[str, Any]) -> dict[str, Any]:
    """The finding of a report about the column at fault, on its day."""
    return next(item for item in report["findings"] if (item["name"], item["span"]) == (FAULT, "day"))


def acknowledge(person: Machine, monitor: Path) -> None:
    """Answer for the fault, with the report of production's run, and push the commit."""
    person.pull()
    shutil.copytree(monitor, person.root / "runs" / monitor.name)
    person.make("ack", f"RUN={monitor.name}", f"WHAT={FAULT}", "WHY=the source sends hours until August")
    person.git("push", "--quiet", "origin", "main")


def change_image(person: Machine) -> str:
    """Publish an image with another setting."""
    path = person.root / "environments" / "prod.yml"
    path.write_text(path.read_text().replace("cell_timeout: 3600", "cell_timeout: 1800"))
    person.git("commit", "--quiet", "--all", "--message", "Half an hour is enough")
    return publish(person)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_story(team: Team, production: Production, mlflow: str) -> None:
    """A better model is proposed by one person, reproduced by CI, reviewed and merged by another, and scores the next
    day in a deployment that goes on running. A fault in what comes in alarms once, until somebody answers for it. The
    model goes back without another image, and the image without another model; each day's rows in the warehouse name
    their model, its receipt the image, and the champion in MLflow is that of the branch.
    """
    ann, ben = team.machine("ann"), team.machine("ben")
    first_image = publish(ann)
    propose(ann, "first", WEAK)
    ben.merge("first")
    first = ben.bundle()["receipt"]["run"]

    production.machine.pull()
    ann.pull()
    production.deploy(ann)
    flights = {day: production.flights(day) for day in DAYS}
    production.arrive(DAYS[0], flights[DAYS[0]])
    propose(ann, "better", BETTER)  # while the deployment is at work
    seen = production.scored(DAYS[0])
    assert (seen.rows, seen.image) == ({first: len(flights[DAYS[0]])}, first_image)

    review_and_merge(ben, "better")
    better = ben.bundle()["receipt"]["run"]
    ann.pull()
    ann.make("mlflow-sync", "ENV=prod")
    assert champion(mlflow) == better
    watcher = production.container()
    production.machine.pull()
    production.arrive(DAYS[1], faulty(flights[DAYS[1]]))
    seen = production.scored(DAYS[1])
    assert (seen.rows, seen.image) == ({better: len(flights[DAYS[1]])}, first_image)
    assert finding(seen.report)["told"] == "alarm"
    assert production.container() == watcher

    acknowledge(ben, seen.monitor)
    ann.pull()
    second_image = change_image(ann)
    production.machine.pull()
    production.deploy(ann)
    assert production.container() != watcher
    watcher = production.container()
    production.arrive(DAYS[2], faulty(flights[DAYS[2]]))
    seen = production.scored(DAYS[2])
    assert (seen.rows, seen.image) == ({better: len(flights[DAYS[2]])}, second_image)
    assert (finding(seen.report)["verdict"], finding(seen.report)["state"]) == ("alarm", "acknowledged")

    ben.pull()
    ben.make("rollback", "MODEL=delay", "WHY=late flights are underestimated")
    ben.git("push", "--quiet", "origin", "main")
    production.machine.pull()
    production.arrive(DAYS[3], flights[DAYS[3]])
    seen = production.scored(DAYS[3])
    assert (seen.rows, seen.image) == ({first: len(flights[DAYS[3]])}, second_image)
    assert production.container() == watcher
    ann.pull()
    ann.make("mlflow-sync", "ENV=prod")
    assert champion(mlflow) == first

    ann.git("revert", "--no-edit", ann.git("log", "-1", "--format=%H", "--", "environments/prod.yml"))
    ann.git("push", "--quiet", "origin", "main")
    models = {path.name: path.read_bytes() for path in (production.machine.root / "models").iterdir()}
    production.deploy(ann)
    production.arrive(DAYS[4], flights[DAYS[4]])
    seen = production.scored(DAYS[4])
    assert seen.rows == {first: len(flights[DAYS[4]])}
    assert (ann.published(), seen.image) == (first_image, first_image)
    assert {path.name: path.read_bytes() for path in (production.machine.root / "models").iterdir()} == models
