"""Imports in a block that find a module absent or empty; after it all is as before."""

import importlib
import sys
from contextlib import suppress

import pytest

from samebook.execution.warm.without import without


def test_absent_and_empty_end_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the block one module is missing and another has no names; after it both are imported as ever."""
    for name in ("tabnanny", "colorsys"):  # an earlier test may have imported them
        monkeypatch.delitem(sys.modules, name, raising=False)
    with without(absent=("this_is_absent", "tabnanny"), empty=("colorsys", "chunk_of:One")):
        with pytest.raises(ModuleNotFoundError):
            import tabnanny
        import colorsys

        assert not hasattr(colorsys, "rgb_to_hls")
        assert vars(importlib.import_module("chunk_of"))["One"] is None
    import colorsys
    import tabnanny

    assert tabnanny.check
    assert colorsys.rgb_to_hls
    assert "this_is_absent" not in sys.modules


def test_imported_module_stays() -> None:
    """A module that was imported before the block is the same in it and after it, and its end may be an error."""
    before = sys.modules["pytest"]
    with suppress(KeyError), without(absent=("pytest",), empty=("sys",)):
        assert sys.modules["pytest"] is before
        raise KeyError
    assert sys.modules["pytest"] is before
