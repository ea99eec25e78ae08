"""The layering of the package: imports only go down, and each outside program has one door."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter

from tiny import CHECKOUT

SOURCES = {path.stem: ast.parse(path.read_text()) for path in (CHECKOUT / "scripts" / "samebook").glob("*.py")}
TOP = {
    "cli",
    "cli_models",
    "cli_store",
    "cli_pipelines",
    "cli_upkeep",
    "cli_monitoring",
    "cli_sweeps",
    "options",
    "__main__",
    "console",
    "ready",
}
BASE = {"errors", "digest", "git", "workspace"}
# One verb, one module, one public function of that name.
VERBS = {name for name in SOURCES if any(getattr(node, "name", "") == name for node in SOURCES[name].body)} - BASE - TOP


def layer(module: str) -> int:
    return 4 if module in TOP else 3 if module in VERBS else 1 if module in BASE else 2


def imported(module: str) -> Iterator[str]:
    """The modules that a module imports, anywhere in it: `samebook.x` as x, others by their first name."""
    for node in ast.walk(SOURCES[module]):
        if isinstance(node, ast.Import):
            found = (alias.name.removeprefix("samebook.").split(".")[0] for alias in node.names)
            yield from (name for name in found if name not in sys.stdlib_module_names)
        elif isinstance(node, ast.ImportFrom) and node.module == "samebook":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").removeprefix("samebook.").split(".")[0]


def users(name: str) -> set[str]:
    """The modules with a call of a function, or an exception, of this name, or with this text."""
    found = {(module, node) for module, tree in SOURCES.items() for node in ast.walk(tree)}
    return {
        module
        for module, node in found
        if name in (getattr(node, "id", 0), getattr(node, "attr", 0), getattr(node, "value", 0))
    }


def test_imports_go_down() -> None:
    """No module imports one of a layer above its own, no verb imports a verb, and there is no cycle."""
    graph = {module: set(imported(module)) & SOURCES.keys() for module in SOURCES.keys() - {"__init__"}}
    up = {(a, b) for a, below in graph.items() for b in below if layer(b) > layer(a) or layer(a) == layer(b) == 3}
    assert {"run", "runs", "doctor"} <= VERBS
    assert up == set()
    TopologicalSorter(graph).prepare()


def test_one_door_each() -> None:
    """Only the engine imports papermill, bucket.py obstore; only git.py calls git; only the top prints or exits."""
    assert {module for module in SOURCES if "papermill" in imported(module)} == {"execution", "papermill_engine"}
    assert {module for module in SOURCES if "obstore" in imported(module)} == {"bucket"}
    assert users("git") - {module for module in SOURCES if "git" in imported(module)} == {"git"}
    # A zygote is a program of its own.
    assert users("print") | users("echo") | users("exit") | users("SystemExit") <= TOP | {"zygote"}
