"""This process as a notebook's kernel in Lab."""

from collections.abc import Iterator

import pytest
from tiny import Tiny

from samebook.api import context


@pytest.fixture
def lab(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    """This process as a notebook's kernel in Lab: a workspace, and no runner around it."""
    for name in ("SAMEBOOK_RUN", "SAMEBOOK_PINNED", "SAMEBOOK_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    cached = [value for value in vars(context).values() if hasattr(value, "cache_clear")]
    for function in cached:
        function.cache_clear()
    yield tiny
    for function in cached:
        function.cache_clear()
