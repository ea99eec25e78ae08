"""Runs and models in a real server of MLflow: each once, however often they are sent, and read back by its client."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import mlflow_server
import promoting
import pytest
from mlflow_server import runs
from promoting import promoted_bundle, run_of, stderr_of
from tiny import Tiny, git

from samebook.core.digest import sha256
from samebook.environment.sections import Mlflow
from samebook.tracking import record
from samebook.tracking.server import Refused, Server

pytestmark = pytest.mark.host
# What a person does with MLflow's own client: bring the champion's file.
DOWNLOAD = (
    "import mlflow, sys; print(mlflow.artifacts.download_artifacts('models:/delay@champion', dst_path=sys.argv[1]))"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server.serving(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with the runs of levels 3 and 5, and the first promoted."""
    tiny = promoting.create(tmp_path_factory.mktemp("tracking") / "workspace", 3, 5)
    assert tiny.samebook("run", "gate", "-p", f"candidate={run_of(tiny, 3)}").code == 0
    promoting.promote(tiny, 3)
    return tiny


@pytest.fixture
def tiny(site: Tiny, tmp_path: Path, url: str, request: pytest.FixtureRequest) -> Iterator[Tiny]:
    """A copy of the repository, whose settings name the server and an experiment of the test's own."""
    tiny = promoting.copy(site, tmp_path / "workspace")
    (tiny.root / "environments" / "dev.yml").write_text(
        f"{promoting.DEV}mlflow: {{url: {url}, experiment: {request.node.name}}}\n"
    )
    commit(tiny)
    yield tiny
    server = Server(Mlflow(url=url))
    with suppress(Refused):
        server.delete("registered-models/delete", name="delay")


def commit(tiny: Tiny) -> None:
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "settings")


def synced(tiny: Tiny, **variables: str) -> str:
    result = tiny.samebook("mlflow", "sync", **variables)
    assert result.code == 0, result.stderr
    return result.stdout.partition(": ")[2].strip()


def model(url: str, name: str = "delay") -> dict[str, str]:
    """The version of each alias of a registered model."""
    found = Server(Mlflow(url=url)).get("registered-models/get", name=name)["registered_model"]
    return {item["alias"]: item["version"] for item in found.get("aliases", [])}


def test_all_of_a_run(tiny: Tiny, url: str, request: pytest.FixtureRequest) -> None:
    """A run is sent when it is complete: parameters, metrics, environment, commit, receipt, and each file."""
    result = tiny.samebook("run", "train", "-p", "level=4")
    assert (result.code, "MLflow" in result.stderr) == (0, False)
    (run,) = runs(url, f"{request.node.name}/train")
    assert (run["status"], run["run_name"], run["params"]) == ("FINISHED", tiny.last.name, {"level": "4"})
    assert run["metrics"] == {"auc": 0.4}
    tags, environment = run["tags"], json.loads((tiny.last / "environment.json").read_text())
    assert tags["mlflow.source.git.commit"] == git(tiny, "rev-parse", "HEAD")
    assert (tags["samebook.receipt"], tags["samebook.environment"]) == (
        sha256(tiny.last / "receipt.json"),
        environment["digest"],
    )
    names = [path.relative_to(tiny.last) for path in tiny.last.rglob("*") if path.is_file()]
    address = f"{url}/api/2.0/mlflow-artifacts/artifacts/{run['artifact_uri'].partition(':/')[2]}"
    for name in names:
        with urllib.request.urlopen(f"{address}/{name}") as response:
            assert sha256(response.read()) == sha256(tiny.last / name), name


def test_twice_changes_nothing(tiny: Tiny, url: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A second call sends nothing, and no run there is another than before; a new reproduction is brought later.

    MLflow's own client gets the champion's files.
    """
    assert synced(tiny) == "3 runs, 3 sent; 3 changes of models"
    before = runs(url, f"{request.node.name}/train")
    assert synced(tiny) == "3 runs, 0 sent; 0 changes of models"
    assert runs(url, f"{request.node.name}/train") == before
    promoting.attest(tiny, 3)
    assert synced(tiny) == "3 runs, 1 sent; 0 changes of models"
    after = runs(url, f"{request.node.name}/train")
    assert [run["run_id"] for run in after] == [run["run_id"] for run in before]
    assert after[0]["tags"]["samebook.reproductions"] == "IDENTICAL"
    command = mlflow_server.client("python", "-c", DOWNLOAD, str(tmp_path))
    env = {**tiny.environ(), "MLFLOW_TRACKING_URI": url}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    digest = promoted_bundle(tiny)["artifacts"]["outputs/model.txt"]["sha256"]
    assert digest in {sha256(path) for path in tmp_path.rglob("model.txt")}


def test_champion_and_challenger(tiny: Tiny, url: str) -> None:
    """Versions follow the branch: a promotion moves the champion, a rollback moves it back, a withdrawal takes it.

    The challenger is the model that the settings' experiment names, of another branch; another machine, with git and
    the store alone, has nothing to add.
    """
    assert tiny.samebook("run", "gate", "-p", f"candidate={run_of(tiny, 5)}", "-p", "champion=delay").code == 0
    git(tiny, "switch", "--quiet", "--create", "ab-test-better")
    promoting.promote(tiny, 5)
    git(tiny, "switch", "--quiet", "main")
    settings = tiny.root / "environments" / "dev.yml"
    test = "{experiment: e, salt: s, challenger: delay@ab-test-better, share: 0.5, start: 2013-01-01, end: 2013-01-02}"
    settings.write_text(f"{settings.read_text()}ab_test: {test}\n")
    commit(tiny)
    synced(tiny)
    assert model(url) == {"champion": "1", "challenger": "2"}
    git(tiny, "merge", "--quiet", "ab-test-better")
    other = promoting.clone(tiny, tiny.root.parent / "other")
    git(other, "fetch", "--quiet", "origin", "ab-test-better:ab-test-better")
    shutil.copytree(tiny.root / "store", other.root / "store")
    assert synced(other) == "0 runs, 0 sent; 1 changes of models"
    assert model(url) == {"champion": "2", "challenger": "2"}
    assert tiny.samebook("rollback", "delay").code == 0
    assert synced(tiny) == "4 runs, 0 sent; 1 changes of models"
    assert model(url) == {"champion": "1", "challenger": "2"}
    assert tiny.samebook("rollback", "delay", "--withdraw").code == 0
    synced(tiny)
    assert model(url) == {"challenger": "2"}


def test_catches_up(tiny: Tiny, url: str, request: pytest.FixtureRequest) -> None:
    """A run that was cut off in the middle of being sent is completed, not made again; a failed one is sent as such;
    one that somebody has deleted stays so; one whose bytes are others is left out.
    """
    server, name = Server(Mlflow(url=url)), f"{request.node.name}/train"
    synced(tiny)
    first, second = runs(url, name)
    server.post("runs/delete-tag", run_id=first["run_id"], key="samebook.mirrored")
    server.post("runs/delete", run_id=second["run_id"])
    tiny.notebook("train", parameters="level: int = 3", work="raise ValueError('no data')")
    assert tiny.samebook("run", "train").code == 1
    assert synced(tiny) == "4 runs, 2 sent; 0 changes of models"
    again, deleted, failed = runs(url, name)
    assert again["run_id"] == first["run_id"]
    assert again["tags"] == first["tags"]
    assert deleted["lifecycle_stage"] == "deleted"
    assert (failed["status"], "no data" in failed["tags"]["samebook.error"]) == ("FAILED", True)


def test_damaged_run(tiny: Tiny, url: str, request: pytest.FixtureRequest) -> None:
    """A run with other bytes than its receipt says is left out, and said; the others are sent."""
    (tiny.root / "runs" / run_of(tiny, 5) / "outputs" / "reference.json").write_text("{}")
    result = tiny.samebook("mlflow", "sync")
    assert f"{run_of(tiny, 5)} is left out: outputs/reference.json" in stderr_of(result, 0)
    assert [run["run_name"] for run in runs(url, f"{request.node.name}/train")] == [run_of(tiny, 3)]


def test_model_of_another(tiny: Tiny, url: str) -> None:
    """A registered model that is not this repository's is left alone."""
    server = Server(Mlflow(url=url))
    server.post("registered-models/create", name="delay")
    error = stderr_of(tiny.samebook("mlflow", "sync"), 1)
    assert "the model delay in MLflow is another one" in error
    assert model(url) == {}


def test_names_and_sizes(tiny: Tiny, url: str, request: pytest.FixtureRequest) -> None:
    """More parameters than a call takes, a text that is too long, and names that MLflow refuses are all there."""
    parameters = "from samebook import log_metric, log_param"
    work = "for n in range(150): log_param(f'p{n}', n)\nlog_param('long', 'x' * 9000)\nlog_metric('<ü>', 1)"
    tiny.notebook("it's", parameters=parameters, work=work)
    result = tiny.samebook("run", "it's")
    assert (result.code, "MLflow" in result.stderr) == (0, False), result.stderr
    (run,) = runs(url, f"{request.node.name}/it's")
    assert {name: run["params"][name] for name in ("p0", "p149")} == {"p0": "0", "p149": "149"}
    assert len(run["params"]["long"]) == record.LONGEST_VALUE
    assert run["metrics"] == {record.safe_name("<ü>"): 1}
    assert synced(tiny) == "4 runs, 3 sent; 3 changes of models"


def test_nothing_secret(tiny: Tiny, url: str, request: pytest.FixtureRequest) -> None:
    """No file, tag or parameter in MLflow has the text of a secret, nor the server's token; no patch is sent."""
    secrets = {"API_KEY": "canary-of-the-api-key", "TOKEN": "canary-of-the-token"}
    settings = tiny.root / "environments" / "dev.yml"
    settings.write_text(settings.read_text().replace("mlflow: {", "mlflow: {token: TOKEN, "))
    cell = "from samebook import Secret, log_param, output_path\nkey: Secret = Secret('API_KEY')"
    work = "log_param('given', str(key))\nprint(key)\noutput_path('a.txt').write_text('all')"
    tiny.notebook("spy", parameters=cell, work=work)
    assert tiny.samebook("run", "spy", **secrets).code == 0
    (run,) = runs(url, f"{request.node.name}/spy")
    assert (tiny.last / "uncommitted.patch").is_file()
    path = run["artifact_uri"].partition(":/")[2]
    root = f"{url}/api/2.0/mlflow-artifacts/artifacts"
    with urllib.request.urlopen(f"{root}?path={path}") as response:
        names = [item["path"] for item in json.load(response)["files"] if not item["is_dir"]]
    assert "receipt.json" in names
    assert "uncommitted.patch" not in names
    contents = b"".join(urllib.request.urlopen(f"{root}/{path}/{name}").read() for name in names)
    assert b"canary" not in contents + json.dumps(run).encode()
