"""Imports without the packages that a library imports and samebook never uses: they take much of a short run."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def without(absent: Sequence[str] = (), empty: Sequence[str] = ()) -> Iterator[None]:
    """Imports in the block find no module of the names in `absent`, and one without names for those in `empty`, where
    `module:name` is one with this name alone, which is None.

    A module that was imported before stays. After the block each of them can be imported as ever.
    """
    names: dict[str, ModuleType | None] = dict.fromkeys(absent)
    for entry in empty:
        name, _, attribute = entry.partition(":")
        names[name] = module = ModuleType(name)
        if attribute:
            setattr(module, attribute, None)
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    stand_ins = {name: module for name, module in names.items() if name not in modules}
    modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del modules[name]
