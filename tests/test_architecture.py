"""The wings of the package: imports only go down, and each outside program has one door."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter

from tiny import CHECKOUT

PACKAGE = CHECKOUT / "scripts" / "samebook"
# Ground first: a module imports its own wing and those above it in this list.
WINGS = (
    *("core", "environment", "store", "records", "data", "models", "monitoring"),
    *("execution.warm", "execution", "pipelines", "api", "verbs", "cli"),
)
SOURCES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text())
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}
# The public faces, which stand beside the wings: what starts the program, and what tests of notebooks import.
FACES = {"__main__", "testing"}


def wing(module: str) -> str:
    """The innermost wing that a module stands in; "" for a face."""
    return max((name for name in WINGS if module.startswith(f"{name}.")), key=len, default="")


def imported(module: str) -> Iterator[str]:
    """What a module imports, anywhere in it: modules of the package without `samebook.`, others by their first name."""
    for node in ast.walk(SOURCES[module]):
        if isinstance(node, ast.Import):
            names = (alias.name.removeprefix("samebook.").split(".")[0] for alias in node.names)
            yield from (name for name in names if name not in sys.stdlib_module_names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "samebook":
            inside = (node.module or "").removeprefix("samebook").removeprefix(".")
            names = (f"{inside}.{alias.name}".removeprefix(".") for alias in node.names)
            yield from (name if name in SOURCES else inside for name in names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def users(name: str) -> set[str]:
    """The modules with a call of a function, or an exception, of this name, or with this text."""
    nodes = {(module, node) for module, tree in SOURCES.items() for node in ast.walk(tree)}
    return {
        module
        for module, node in nodes
        if name in (getattr(node, "id", 0), getattr(node, "attr", 0), getattr(node, "value", 0))
    }


GRAPH = {module: set(imported(module)) & SOURCES.keys() for module in SOURCES}


def test_each_module_has_a_wing() -> None:
    """Nothing but the faces stands outside the wings, and no wing but `verbs` has more than 18 modules."""
    assert {module for module in SOURCES if not wing(module)} == FACES
    sizes = {name: sum(wing(module) == name for module in SOURCES) for name in WINGS}
    assert min(sizes.values()) > 0
    assert {name for name, size in sizes.items() if size > 18} <= {"verbs"}


def test_imports_go_down() -> None:
    """No module imports one of a wing above its own, no verb imports a verb, and there is no cycle."""
    arrows = {(a, b) for a, below in GRAPH.items() if a not in FACES for b in below}
    assert ("verbs.run", "execution.preparation") in arrows
    assert {(a, b) for a, b in arrows if WINGS.index(wing(b)) > WINGS.index(wing(a))} == set()
    assert {(a, b) for a, b in arrows if wing(a) == wing(b) == "verbs"} == set()
    TopologicalSorter(GRAPH).prepare()


def test_verbs_are_functions() -> None:
    """Each module of `verbs` has one public function of its own name."""
    verbs = {module.removeprefix("verbs."): tree for module, tree in SOURCES.items() if wing(module) == "verbs"}
    assert {"run", "reproduce", "promote"} <= verbs.keys()
    for name, tree in verbs.items():
        assert any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body), name


def test_one_door_each() -> None:
    """Only the engine imports papermill, bucket.py obstore; only git.py calls git; only the top prints or exits."""
    assert {module for module in SOURCES if "papermill" in imported(module)} == {
        "execution.engine",
        "execution.papermill_engine",
    }
    assert {module for module in SOURCES if "obstore" in imported(module)} == {"store.bucket"}
    assert users("git") - {module for module in SOURCES if "core.git" in imported(module)} == {"core.git"}
    speakers = {module for module in SOURCES if wing(module) == "cli"} | FACES
    # A zygote is a program of its own.
    assert users("print") | users("echo") | users("exit") | users("SystemExit") <= speakers | {"execution.warm.zygote"}
