"""environments/inputs.yml: what an entry may say, how errors name it, and how a sha256 is written into it."""

import json
from pathlib import Path

import jsonschema
import pytest
from tiny import Tiny

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import input_entries, settings

DIGEST = "5" * 64
OLD = "0" * 64
LETTERS = "# Ours.\ncustomers.csv:  # big\n  from: https://example.org/c.csv?a=1  # public\n"
PINNED = f"größe 1.csv:\n    from: a.csv\n    sha256: {OLD} # yes\nb: {{from: c}}\n"


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    return Workspace(Tiny.create(tmp_path / "workspace").root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.csv: {frm: b}", "a.csv: unknown setting 'frm'; did you mean from?"),
        ("a.csv: {sha256: 12, from: b}", "a.csv: sha256: found '12'; "),
        ("a.csv: {size: x, from: b}", "a.csv: size: found 'x'; "),
        ("a.csv: {size: 3}", "a.csv: expected sha256, from, or both"),
        ("a.csv:", "a.csv: expected sha256, from, or both"),
        (
            "a.csv: {from: ftp://h/b}",
            "a.csv: from: found ftp://; expected https://, http://, s3://, gs://, az://, or a",
        ),
        ("a.csv: {from: 'https://user:hidden@h/b'}", "a.csv: from: a key stands in the URL"),
        ("a.csv: {from: 'https://h/b?X-Amz-Signature=hidden'}", "a.csv: from: a key stands in the URL"),
        ("a.csv: {from: 'https://h/b?auth=hidden'}", "a.csv: from: a key stands in the URL"),
        ("a.csv: {from: 'https://h/b?se=1&sig=hidden'}", "a.csv: from: a key stands in the URL"),
        *(
            (f"a.csv: {{from: 'https://h/b?{name}=hidden'}}", "a.csv: from: a key stands in the URL")
            for name in ("hapikey", "licensekey", "tokenid", "sessionkey", "mysig", "sas")
        ),
        ("a.csv: {from: [hidden]}", "a.csv: from: the value is not shown"),
        ("../a.csv: {from: b}", "found '../a.csv'; expected a name"),
        ("/a.csv: {from: b}", "found '/a.csv'; expected a name"),
        ("a.csv: {from: b}\na.csv: {from: c}", "line 2: 'a.csv' is there already, in line 1"),
        ("- a.csv", "found a list; expected settings"),
    ],
)
def test_wrong_entry_is_told(here: Workspace, text: str, message: str) -> None:
    """An error names the entry and the key, says what was expected, and never shows a secret."""
    input_entries.path(here).write_text(text)
    with pytest.raises(UsageError) as caught:
        input_entries.read(here)
    assert message in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (LETTERS, "customers.csv", LETTERS.replace("  from", f"  sha256: {DIGEST}\n  from")),
        (PINNED, "größe 1.csv", PINNED.replace(OLD, DIGEST)),
        (PINNED, "b", PINNED.replace("{from", f"{{sha256: {DIGEST}, from")),
    ],
)
def test_pin_keeps_all_else(here: Workspace, text: str, name: str, expected: str) -> None:
    """A sha256 is written into its entry; comments and other entries stay as they are."""
    input_entries.path(here).write_text(text)
    input_entries.pin(here, name, DIGEST)
    assert input_entries.path(here).read_text() == expected
    assert input_entries.read(here)[name].sha256 == DIGEST


def test_query_is_not_shown(here: Workspace) -> None:
    """Where a file is from is recorded without the query of its URL."""
    input_entries.path(here).write_text(LETTERS)
    assert input_entries.read(here)["customers.csv"].shown == "https://example.org/c.csv"


def test_inputs_are_no_environment(here: Workspace) -> None:
    """inputs.yml lies beside the environments' settings, and is none of them."""
    input_entries.path(here).write_text(LETTERS)
    assert settings.names(here) == ["dev"]
    with pytest.raises(UsageError, match="no environment 'inputs'; expected one of: dev"):
        settings.load(here, "inputs")


@pytest.mark.parametrize(("key", "is_known"), [("size", True), ("sise", False)])
def test_schema_knows_the_keys(key: str, is_known: bool) -> None:
    """The JSON Schema for editors takes an entry of the file, and refuses an unknown key."""
    file = {"a.csv": {"sha256": "ab" * 32, key: 1, "from": "https://example.com/a.csv"}}
    assert jsonschema.Draft202012Validator(json.loads(input_entries.schema())).is_valid(file) == is_known
