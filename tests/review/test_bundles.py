"""Two versions of a model side by side: a bundle may come from anybody, and its values are shown as plain text."""

from pathlib import Path

import promoting
import pytest
from promoting import promote, stderr_of
from tiny import Tiny, git

from samebook.core import git as commits
from samebook.core.errors import UsageError
from samebook.review.bundles import ModelDiff, Row, markdown, text


@pytest.mark.parametrize("value", ["good\n  auc  0.2  0.9", "a\r  auc", "a\x1b[2Kb", "a\u2028b", "a\u202eb", "a\tb"])
def test_value_is_one_line(value: str) -> None:
    """A value with line ends or control characters is shown escaped, in its own row."""
    diffs = [ModelDiff("delay", [Row("provenance", "why", "none", value), Row("provenance", value, "a", "b")])]
    for shown in (text(diffs, "main", value), markdown(diffs, "main", value)):
        assert all(line.isprintable() for line in shown.split("\n"))
    assert len(text(diffs, "main", "").split("\n")) == 4
    assert len(markdown(diffs, "main", "").split("\n")) == 6


@pytest.mark.parametrize(
    ("value", "inert"),
    [
        ("a | b", "a &#124; b"),
        ("\\| b", "&#92;&#124; b"),
        ("<img src=x>", "&#60;img src=x&#62;"),
        ("ask @everybody", "ask @<!-- -->everybody"),
        ("fixes #12", "fixes #<!-- -->12"),
        ("&lt;b> `c` [d](e)", "&#38;lt;b&#62; &#96;c&#96; &#91;d&#93;(e)"),
        ("a\n\n# b", r"a&#92;n&#92;n#<!-- --> b"),
    ],
)
def test_markdown_value_is_text(value: str, inert: str) -> None:
    """In Markdown a value opens no cell, tag, link or code, and mentions nobody."""
    shown = markdown([ModelDiff("delay", [Row("provenance", "why", "none", value)])], "main", "")
    assert f"| provenance | why | none | {inert} |  |" in shown
    same = markdown([ModelDiff("delay", [])], value, "")
    assert same == f"**delay**: the same in {inert} and here"


@pytest.mark.host
def test_ref_without_models(tmp_path: Path) -> None:
    """Against a commit from before the first model, without the folder, the model is new; an unknown ref fails."""
    tiny = promoting.create(tmp_path / "workspace", 2)
    promote(tiny, 2)
    before = _without_models(tiny)
    assert commits.file_names(tiny.root, before, "models", ".json") == []
    assert commits.file_names(tiny.root, "HEAD", "models", ".json") == ["delay"]
    shown = tiny.samebook("diff", before)
    assert ["run", "none", promoting.run_of(tiny, 2)] in [line.split() for line in shown.stdout.splitlines()]
    assert "no branch, tag or commit 'x'" in stderr_of(tiny.samebook("diff", "x"), 2)
    with pytest.raises(UsageError, match="no branch, tag or commit"):
        commits.file_names(tiny.root, "x", "models", ".json")


def _without_models(tiny: Tiny) -> str:
    """A commit whose tree has no folder models/."""
    git(tiny, "switch", "--quiet", "--orphan", "old")
    git(tiny, "commit", "--quiet", "--allow-empty", "-m", "old")
    git(tiny, "switch", "--quiet", "main")
    return git(tiny, "rev-parse", "old")
