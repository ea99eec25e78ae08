"""Imports modules in place of a notebook's cells, and tells what the cells would have shown, or would miss."""

import contextlib
import importlib
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Effects:
    """What imports have done to the process, to be done again where another environment takes the place of this one.

    `set` and `removed` are variables; `filters` are those that they have put before what Python and ipykernel had.
    """

    set: dict[str, str]
    removed: list[str]
    filters: list[Any]

    @classmethod
    def since(cls, env: dict[str, str], filters: list[Any]) -> "Effects":
        changed = {name: text for name, text in os.environ.items() if env.get(name) != text}
        return cls(changed, [name for name in env if name not in os.environ], shown()[: -len(filters)])


def preloaded(own: list[str], modules: list[str]) -> tuple[Effects, str]:
    """What importing these modules, after the program's own, has done; and why nothing can be forked here, if so."""
    why = _refused(own)
    env, filters = dict(os.environ), list(shown())
    why = why or _refused(modules)
    if not why and shown()[-len(filters) :] != filters:
        why = "an import has changed which warnings are shown"
    return Effects.since(env, filters), why


def _refused(modules: list[str]) -> str:
    """Import these modules; why kernels can't be forked from here then, "" where they can.

    What a module says while it is imported would be missing in the notebook that imports it again; a thread would be
    missing in the kernel.
    """
    said: list[str] = []
    with _capturing(said):
        for name in modules:
            try:
                _import(name)
            except BaseException as error:
                return f"{name}: {type(error).__name__}: {error}"
    if said:
        return f"an import has something to say: {said[0][:200]}"
    threads = [each.name for each in threading.enumerate() if each is not threading.main_thread()]
    return f"an import has started a thread: {threads[0]}" if threads else ""


def shown() -> list[Any]:
    """The list of filters that says which warnings are shown, to be changed in place."""
    filters: Any = warnings.filters
    return filters


def _import(name: str) -> None:
    """Import a module; of `module:name` also the name, where that is a module which the first has not imported."""
    module, _, inner = name.partition(":")
    if inner and not hasattr(importlib.import_module(module), inner):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(f"{module}.{inner}")
    elif not inner:
        importlib.import_module(module)


@contextlib.contextmanager
def _capturing(said: list[str]) -> Iterator[None]:
    """Catch what is written to stdout and stderr in the block, by C code too."""
    with tempfile.TemporaryFile() as file:
        kept = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            file.seek(0)
            if text := file.read().decode(errors="replace").strip():
                said.append(text)
