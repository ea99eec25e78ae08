"""Secrets that are files, and the names that say that something is secret."""

from pathlib import Path

import pytest

from samebook.core import secret

pytestmark = pytest.mark.secrets


def test_files_in_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in a folder has the folder in its name; what Kubernetes puts beside a token is no secret."""
    monkeypatch.setattr(secret, "SECRETS", tmp_path / "secrets")
    assert secret.files() == []
    account = tmp_path / "secrets" / "kubernetes.io" / "serviceaccount"
    (account / "..2013_06_30").mkdir(parents=True)
    for name, text in {"token": "canary-0123", "namespace": "default", "ca.crt": "public"}.items():
        (account / "..2013_06_30" / name).write_text(text)
        (account / name).symlink_to(f"..2013_06_30/{name}")
    (account.parent.parent / "a b").write_text("canary-4567")
    (account.parent.parent / "picture").write_bytes(b"\xff\xfe")
    names = ["a b", "kubernetes.io/serviceaccount/token"]
    assert (secret.files(), list(secret.texts(names).values())) == (names, ["canary-0123", "canary-4567"][::-1])


@pytest.mark.fast
@pytest.mark.parametrize(
    ("part", "is_secret"),
    [
        ("maxTokens=128000", False),
        ("tokens=canary-0123", True),
        ("accessToken2=123456", True),
        ("hapikey=123456", True),
        ("sortKey=dep_delay", False),
        ("partition-key=carrier", False),
        ("publicKey=MIGfMA0GCS", False),
        ("objectkey=rows/2013.csv", False),
        ("monkey=howler", False),
        ("secretSortKey=dep_delay", True),
        ("shared_key=dep_delay", True),
    ],
)
def test_part_of_a_query(part: str, is_secret: bool) -> None:
    """A number of tokens and the key of a table are no secrets, whatever the words in their names; others are."""
    assert secret.is_in_query(*part.split("=")) == is_secret
    assert secret.is_likely("ROWS", f"https://data.example/rows?day=1&{part}#top") == is_secret
