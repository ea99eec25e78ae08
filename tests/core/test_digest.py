"""Digests, and the JSON that is hashed."""

from pathlib import Path

import pytest

from samebook.core import digest
from samebook.core.digest import parse_json


def test_sha256_of_both(tmp_path: Path) -> None:
    """Bytes and the file that holds them have the same sha256."""
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest.sha256(b"abc") == digest.sha256(tmp_path / "file") == expected


def test_equal_values_equal_bytes() -> None:
    """Equal values give equal bytes, in whatever order their keys came."""
    assert (
        digest.json_bytes({"b": 1, "a": "ü"})
        == digest.json_bytes({"a": "ü", "b": 1})
        == '{\n  "a": "ü",\n  "b": 1\n}\n'.encode()
    )


def test_nan_is_refused() -> None:
    """NaN, which JSON does not have, is an error instead of a file that others can't read."""
    with pytest.raises(ValueError, match="JSON"):
        digest.json_bytes({"auc": float("nan")})


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', '[{"b": {"c": 1, "c": 1}}]', "NaN", '{"a": -Infinity}', "[" * 10**5]
)
def test_ambiguous_json_is_refused(text: str) -> None:
    """JSON that two readers could read differently, or that no reader can, is a ValueError."""
    with pytest.raises(ValueError, match=r"twice|NaN|Infinity|deep"):
        parse_json(text)
