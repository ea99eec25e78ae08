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
