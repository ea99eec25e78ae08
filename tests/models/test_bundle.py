"""Bundles: one readable file, whose own hashes show an edit by hand and a mixture."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tiny import CHECKOUT, Tiny

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace, write_whole
from samebook.models import bundle, lookup
from samebook.store import objects

METRICS = {"auc": 0.75, "rows": 12.0}
HEX = "ab" * 32


def example(**changes: Any) -> bundle.Bundle:
    """An example bundle, with these fields changed before it gets its digest."""
    facts: dict[str, Any] = {
        "schema_version": 1,
        "name": "delay",
        "metrics": METRICS,
        "source": {"commit": "c" * 40, "dirty": False, "notebook": "train.ipynb", "parameters": {"n": 3}, "env": "dev"},
        "artifacts": {
            "metrics.json": {"sha256": sha256(json_bytes(METRICS)), "size": 1},
            "outputs/model.ubj": {"sha256": HEX, "size": 5},
        },
        "data": {"flights": {"newest": "2013-01-02", "days": {"2013-01-01": HEX, "2013-01-02": "cd" * 32}}},
        "environment": {"digest": HEX, "lock": HEX, "python": "3.13", "engine": "local", "packages": {"pandas": "3.1"}},
        "receipt": {"sha256": HEX, "run": "20130101T000000Z-train-abcdef", "builder": "urn:a", "finished": "2013"},
        "promoted": {"by": "a <a@b.c>", "at": "2013", "env": "dev", "why": "because"},
    }
    return bundle.Bundle.model_validate(facts | changes).sealed()


def test_file_reads_back() -> None:
    """A written bundle is read as the same bundle, and written again as the same bytes."""
    found = bundle.parse(example().content(), "delay")
    assert found == example()
    assert found.content() == example().content()


def test_file_is_readable() -> None:
    """Short groups and lists of numbers take a line each, so that a diff shows what changed."""
    lines = example(monitoring=None).content().decode().splitlines()
    assert '  "metrics": {"auc": 0.75, "rows": 12.0},' in lines
    assert f'    "outputs/model.ubj": {{"sha256": "{HEX}", "size": 5}}' in lines
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text.replace("0.75", "0.95"), "its digest is not that of its content"),
        (lambda text: text.replace("because", "reasons"), "its digest is not that of its content"),
        (lambda text: text.replace('"auc": 0.75', '"auc": 0.9, "auc": 0.75'), "is not as it was written"),
        (lambda text: text.replace('"name"', '"title"'), "is not a whole bundle: name: Field required"),
        (lambda text: text.replace('"size": 5', '"size": "5"'), "artifacts.outputs/model.ubj.size"),
        (lambda text: text[:-20], "is not a whole bundle"),
        (lambda text: "<<<<<<< ours\n" + text, "is not a whole bundle"),
        (lambda _: "", "is not a whole bundle"),
    ],
)
def test_edited_bundle_named(edit: Callable[[str], str], message: str) -> None:
    """A bundle that was edited by hand, cut short, or left in conflict is refused, and the mend keeps the edits."""
    with pytest.raises(UsageError) as refused:
        bundle.parse(edit(example().content().decode()).encode(), "models/delay.json")
    assert message in str(refused.value)
    assert refused.value.mend == "git stash push -- models"


@pytest.mark.parametrize("changes", [{"metrics": {"auc": 0.95}}, {"monitoring": {"rows": 3}}])
def test_forged_facts_named(changes: dict[str, Any]) -> None:
    """Metrics or a monitoring reference of another run are refused, even where the digest fits."""
    with pytest.raises(UsageError, match="is not what that file's hash says"):
        bundle.parse(example(**changes).content(), "delay")


def test_two_versions_differ_in_a_line() -> None:
    """Any two bundles differ in their digest's line: a line-by-line merge of two changes can't succeed."""
    first, second = (example(metrics=METRICS, promoted={**example().promoted.model_dump(), "why": why}) for why in "ab")
    digests = [next(line for line in item.content().splitlines() if b'"digest"' in line) for item in (first, second)]
    assert digests[0] != digests[1]


def test_plan_has_the_inputs() -> None:
    """The plan of a bundle has its notebook, and its inputs by hash, without the receipt."""
    definition = example().plan()["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {"notebook": "train.ipynb", "parameters": {"n": 3}, "env": "dev"}
    named = {item["name"]: item["digest"] for item in definition["resolvedDependencies"]}
    assert named["commit"] == {"gitCommit": "c" * 40}
    assert named["flights/day=2013-01-01"] == {"sha256": HEX}


def test_schema_knows_the_keys() -> None:
    """The JSON Schema of bundles takes one, and refuses an unknown key."""
    schema = jsonschema.Draft202012Validator(json.loads(bundle.json_schema()))
    file = json.loads(example().content())
    assert schema.is_valid(file)
    assert not schema.is_valid({**file, "metric": {}})


def test_shipped_bundles_are_whole() -> None:
    """The bundles in this repository are whole."""
    for path in (CHECKOUT / "models").glob("*.json"):
        assert bundle.parse(path.read_bytes(), path.name).name == path.stem


def test_readable_is_json() -> None:
    """The readable form is JSON of the same value, with any nesting."""
    for value in ({}, [], [[]], [{}], [{"a": []}], {"a": [{"b": {"c": "ü\n" * 80}}], "d": None}, [1.5, True, "x"]):
        assert json.loads(bundle.format_json(value)) == value


@pytest.mark.parametrize("name", ["outputs/../../x", "outputs//tmp/x", "/etc/x", "../x", "outputs/a\nb", "outputs/."])
def test_hostile_name_refused(name: str) -> None:
    """A name of an artifact that leads out of its folder is refused."""
    with pytest.raises(ValueError, match="expected a path inside"):
        example(artifacts={name: {"sha256": HEX, "size": 1}})


@pytest.mark.parametrize(
    "source", [{"commit": "--upload-pack=x"}, {"commit": "HEAD"}, {"notebook": "../x.ipynb"}, {"env": "../dev"}]
)
def test_hostile_source_refused(source: dict[str, str]) -> None:
    """A source whose commit, notebook or env could be something else than that is refused."""
    with pytest.raises(ValueError, match="source"):
        example(source=example().source.model_dump() | source)


@pytest.mark.parametrize("changes", [{"inputs": [{}]}, {"metrics": {"auc": float("nan")}}, {"monitoring": [1]}])
def test_odd_values_refused(changes: dict[str, Any]) -> None:
    """An input without a hash, a metric that is not a number and a reference that is not an object are refused."""
    with pytest.raises(ValueError, match=next(iter(changes))):
        example(**changes)


def test_later_fields_change_nothing() -> None:
    """A bundle from before a field was added keeps its content and its digest."""
    assert b"byproducts" not in example().content()
    assert bundle.parse(example().content(), "delay").mismatch() is None


@pytest.mark.parametrize("run", ["../x", "20130101T000000Z-a/../x-abcdef", "/etc", "20130101T000000Z-\x1b[2J-abcdef"])
def test_hostile_run_refused(run: str) -> None:
    """A run whose id leads out of runs/, or holds a command for the terminal, is refused."""
    with pytest.raises(ValueError, match="run"):
        example(receipt=example().receipt.model_dump() | {"run": run})


def test_receipt_is_the_bundles(tmp_path: Path) -> None:
    """The receipt of a promoted model is that of the bundle's hash; another one in the run's folder is not taken."""
    tiny, receipt = Tiny.create(tmp_path / "workspace"), b'{"the": "receipt"}'
    here = Workspace(tiny.root)
    model = example(receipt=example().receipt.model_dump() | {"sha256": objects.local_store(here).put(receipt)})
    write_whole(here.models / "delay.json", model.content())
    write_whole(here.runs / model.receipt.run / "receipt.json", b"{}")
    assert lookup.receipt_path(here, "delay").read_bytes() == receipt
