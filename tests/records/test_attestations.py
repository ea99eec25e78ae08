"""Attestations of reproductions: what their schema takes, and what counts as none."""

import json
from typing import Any

import jsonschema
import pytest
from tiny import CHECKOUT

from samebook.core.digest import json_bytes
from samebook.records import attestations

SHA = "0" * 64


def statement() -> dict[str, Any]:
    """The least that an attestation says, as those of before do."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "urn:samebook:reproduction:v1",
        "subject": [{"name": "metrics.json", "digest": {"sha256": SHA}}],
        "predicate": {
            "verdict": "IDENTICAL",
            "verdicts": {"metrics.json": {"verdict": "IDENTICAL"}},
            "receipt": {"sha256": SHA},
            "reproducer": {"builder": "urn:b", "engine": "local", "platform": "linux/x86_64", "new": 1},
            "finishedOn": "2013-01-01T00:00:00+00:00",
        },
    }


def test_least() -> None:
    """An attestation of before, and one with fields that nobody knows, count; its facts are those that it states."""
    parsed = attestations.parse(json_bytes(statement()))
    assert parsed is not None
    assert attestations.facts(parsed)["builder"] == "urn:b"
    assert attestations.contradicted_facts(parsed, True) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1"),
        (("predicateType",), "https://slsa.dev/provenance/v1"),
        (("subject",), "metrics.json"),
        (("subject", 0, "digest", "sha256"), "0"),
        (("subject", 0, "name"), "../metrics.json"),
        (("predicate", "verdict"), "FINE"),
        (("predicate", "verdict"), ["IDENTICAL"]),
        (("predicate", "verdicts", "metrics.json", "verdict"), "identical"),
        (("predicate", "verdicts", "metrics.json"), "IDENTICAL"),
        (("predicate", "receipt", "sha256"), 7),
        (("predicate", "reproducer", "builder"), {"id": "urn:b"}),
        (("predicate", "definition"), {"image": {"original": "a", "reproduced": "b", "essential": "no"}}),
        (("predicate", "tolerance"), -1),
        (("predicate", "finishedOn"), None),
    ],
)
def test_none(path: tuple[str | int, ...], value: object) -> None:
    """A statement that breaks the schema anywhere is no attestation, and so no reproduction."""
    broken: Any = statement()
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert attestations.parse(json_bytes(broken)) is None
    assert attestations.parse(b"{") is None


def test_schema_is_published() -> None:
    """The schema in docs is that of today, and names each field of a predicate that the page describes."""
    published = json.loads((CHECKOUT / "docs" / "reference" / "reproduction.schema.json").read_text())
    assert published == json.loads(attestations.json_schema())
    page = (CHECKOUT / "docs" / "reference" / "reproduction.md").read_text()
    fields = published["$defs"]["Predicate"]["properties"]
    assert [name for name in fields if f"| `{name}" not in page] == []


def test_example_is_valid() -> None:
    """The page's example is an attestation, by the published schema too, which refuses another verdict."""
    page = (CHECKOUT / "docs" / "reference" / "reproduction.md").read_text()
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    validator = jsonschema.Draft202012Validator(json.loads(attestations.json_schema()))
    validator.validate(example)
    assert attestations.parse(json_bytes(example)) == example
    example["predicate"]["verdict"] = "FINE"
    assert not validator.is_valid(example)
