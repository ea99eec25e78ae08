"""Exports of runs and models as RO-Crates, which the validator of RO-Crates judges from outside."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import promoting
import pytest
import yaml
from promoting import promoted_bundle, run_of, stderr_of
from tiny import CHECKOUT, Tiny

from samebook.core.digest import sha256

pytestmark = pytest.mark.host
UV = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
# The validator, and the library that holds RO-Crate's own JSON-LD context, so that no test fetches it.
TOOLS = ("--with", "roc-validator==0.13.0", "--with", "rocrate==0.16.0")
VALIDATE = """
import io, pathlib, sys
import requests, requests_cache, rocrate, urllib3
from rocrate_validator import services
from rocrate_validator.models import ValidationSettings

content = (pathlib.Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes()
response, headers = requests.Response(), {"Content-Type": "application/ld+json"}
response.request = requests.Request("GET", "https://w3id.org/ro/crate/1.1/context").prepare()
response.url, response.status_code, response._content = response.request.url, 200, content
response.headers.update(headers)
response.raw = urllib3.HTTPResponse(io.BytesIO(content), headers, 200, preload_content=False)
requests_cache.CachedSession(sys.argv[1], backend="sqlite", expire_after=-1).cache.save_response(response)
settings = {"profile_identifier": "process-run-crate", "requirement_severity": sys.argv[2]}
for crate in sys.argv[3:]:
    options = ValidationSettings(rocrate_uri=crate, cache_path=sys.argv[1], offline=True, **settings)
    for issue in services.validate(options).get_issues():
        print(issue.severity.name, issue.message, issue.violatingEntity)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with the model of level 3, promoted by its gate, and a run of level 5."""
    tiny = promoting.create(tmp_path_factory.mktemp("export") / "workspace", 3)
    assert tiny.samebook("run", "gate", "-p", f"candidate={run_of(tiny, 3)}").code == 0
    promoting.promote(tiny, 3)
    assert tiny.samebook("run", "score").code == 0
    return tiny


@pytest.fixture
def tiny(site: Tiny, tmp_path: Path) -> Tiny:
    return promoting.copy(site, tmp_path / "workspace")


def exported(tiny: Tiny, name: str, path: Path, *options: str) -> dict[str, bytes]:
    """The files of an export, by their paths in it."""
    result = tiny.samebook("export", name, "--into", str(path), *options)
    assert result.code == 0, result.stderr
    with zipfile.ZipFile(path) as archive:
        return {entry: archive.read(entry) for entry in archive.namelist()}


def graph(files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """The entities of a crate, by their ids."""
    return {item["@id"]: item for item in json.loads(files["ro-crate-metadata.json"])["@graph"]}


def test_validator_accepts(site: Tiny, tmp_path: Path) -> None:
    """A run and a model's lineage are Process Run Crates: nothing that is required is missing, and a crate without its
    action's notebook is refused.
    """
    folders = []
    for name in ("score", "delay"):
        exported(site, name, tmp_path / f"{name}.zip")
        zipfile.ZipFile(tmp_path / f"{name}.zip").extractall(tmp_path / name)
        folders.append(str(tmp_path / name))
    wrong = tmp_path / "delay" / "ro-crate-metadata.json"
    run = (UV, "run", "--quiet", "--no-project", "--python", sys.executable, *TOOLS, "python", "-c", VALIDATE)
    command = [*run, str(tmp_path / "cache"), "REQUIRED"]
    done = subprocess.run([*command, *folders], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    wrong.write_text(wrong.read_text().replace('"instrument"', '"tool"'))
    done = subprocess.run([*command, folders[1]], capture_output=True, text=True, check=False)
    assert "MUST have an instrument" in done.stdout, done.stderr


def test_model_with_its_lineage(site: Tiny, tmp_path: Path) -> None:
    """A model's crate has its run and the gate's, whose inputs are the first one's files, and all by the same hash."""
    files = exported(site, "delay", tmp_path / "delay.zip")
    bundle, entities = promoted_bundle(site), graph(files)
    train, gate = bundle["receipt"]["run"], bundle["promoted"]["gate"]["run"]
    assert [item["@id"] for item in entities["./"]["mentions"]] == [f"#{train}", f"#{gate}"]
    model = f"runs/{train}/outputs/model.txt"
    assert {"@id": model} in entities[f"#{train}"]["result"]
    assert {"@id": model} in entities[f"#{gate}"]["object"]
    assert entities[f"#{train}/level"]["value"] == 3
    assert json.loads(files["models/delay.json"]) == bundle
    held = {name: item for name, item in entities.items() if item["@type"] == "File"}
    assert {name: sha256(content) for name, content in files.items() if name != "ro-crate-metadata.json"} == {
        name: item["sha256"] for name, item in held.items()
    }


def test_same_bytes_elsewhere(site: Tiny, tmp_path: Path) -> None:
    """Another clone, which has git and the store alone, gives the same zip."""
    exported(site, "delay", tmp_path / "here.zip")
    other = promoting.clone(site, tmp_path / "other")
    assert "make pull" in stderr_of(other.samebook("export", "delay"), 2)
    (other.root / "store").symlink_to(site.root / "store")
    exported(other, "delay", tmp_path / "there.zip")
    assert (tmp_path / "here.zip").read_bytes() == (tmp_path / "there.zip").read_bytes()


def test_citation(tiny: Tiny, tmp_path: Path) -> None:
    """The citation and Zenodo's metadata take authors and licence from the repository's own, and no address."""
    person = {"family-names": "Lovelace", "given-names": "Ada", "email": "ada@b.c", "orcid": "https://orcid.org/0000-1"}
    own = {"title": "Delays", "license": "Apache-2.0", "authors": [person, {"name": "A team"}], "keywords": ["late"]}
    (tiny.root / "CITATION.cff").write_text(json.dumps(own))
    files = exported(tiny, "delay", tmp_path / "delay.zip")
    cited, zenodo = yaml.safe_load(files["CITATION.cff"]), json.loads(files[".zenodo.json"])
    assert cited["title"] == "Delays: model delay"
    assert cited["authors"][0] == {name: person[name] for name in ("given-names", "family-names", "orcid")}
    assert zenodo["creators"] == [{"name": "Lovelace, Ada", "orcid": "0000-1"}, {"name": "A team"}]
    assert (zenodo["license"], zenodo["upload_type"]) == ("apache-2.0", "dataset")
    assert graph(files)["./"]["license"] == {"@id": "https://spdx.org/licenses/Apache-2.0"}
    assert b"ada@b.c" not in b"".join(files.values())


def test_damaged_file(tiny: Tiny, tmp_path: Path) -> None:
    """A file with other bytes than the receipt says is exported as nothing, and neither is a half zip."""
    (tiny.root / "runs" / run_of(tiny, 3) / "outputs" / "model.txt").write_text("9")
    result = tiny.samebook("export", "delay", "--into", str(tmp_path / "delay.zip"))
    assert "the receipt says" in stderr_of(result, 3)
    assert list(tmp_path.glob("*.zip")) == []


def test_uncommitted_changes_stay(tiny: Tiny, tmp_path: Path) -> None:
    """The patch of a run that was made on uncommitted changes is in no crate; that it was, is said."""
    path = tiny.root / "notebooks" / "train.ipynb"
    path.write_text(path.read_text().replace("level / 10", "level / 10 + 0"))
    assert tiny.samebook("run", "train", "-p", "level=4").code == 0
    assert (tiny.last / "uncommitted.patch").is_file()
    files = exported(tiny, "train", tmp_path / "run.zip")
    assert [name for name in files if name.endswith(".patch")] == []
    assert "on uncommitted changes" in graph(files)[f"#{tiny.last.name}"]["description"]


def test_name_of_nothing(tiny: Tiny) -> None:
    """A mistyped name is refused with the nearest one."""
    assert "did you mean train?" in stderr_of(tiny.samebook("export", "trian"), 2)
