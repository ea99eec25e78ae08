"""The wings of the package: imports only go down, and each outside program has one door."""

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from tiny import CHECKOUT

PACKAGE = CHECKOUT / "scripts" / "samebook"
# Ground first: a module imports its own wing and those above it in this list.
WINGS = (
    *("core", "redaction", "environment", "store", "wheelhouse", "records", "reads", "reproduction", "data", "models"),
    *("bisection", "review", "export", "tracking", "monitoring", "report"),
    *("execution.warm", "execution.cells", "execution", "cluster", "pipelines", "release", "forge"),
    *("projects", "adoption.code", "adoption"),
    *("api", "verbs", "cli"),
)
# The public faces, which stand beside the wings: what starts the program, and what tests of notebooks import.
FACES = {"__main__", "testing"}
# Programs of their own, beside the command line.
PROGRAMS = {"execution.warm.zygote", "wheelhouse.first_pull", "wheelhouse.shared"}
# All that other wings may use of `execution.warm.face`.
WARM_FACE = {
    *("FOLDER", "RUNNER", "Kind", "Origin", "ZygoteProcess"),
    *("can_fork", "folder", "kernel_kind", "run", "runner_kind", "socket_folder", "take_early", "zygote"),
}
# Who imports another module of it: a kernel's script, which must import little, and what leaves vain packages out.
BESIDE_WARM_FACE = {
    ("execution.startup", "preload"),
    *((module, "without") for module in ("execution.preparation", "verbs.run", "cli.ready")),
}


@cache
def sources() -> dict[str, ast.Module]:
    """The syntax trees of the modules. Not made on import: each process that collects tests would parse them all."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text())
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }


def wing(module: str) -> str:
    """The innermost wing that a module stands in; "" for a face."""
    return max((name for name in WINGS if module.startswith(f"{name}.")), key=len, default="")


def imported(module: str) -> Iterator[str]:
    """What a module imports, anywhere in it: modules of the package without `samebook.`, others by their first name."""
    for node in ast.walk(sources()[module]):
        if isinstance(node, ast.Import):
            names = (alias.name.removeprefix("samebook.").split(".")[0] for alias in node.names)
            yield from (name for name in names if name not in sys.stdlib_module_names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "samebook":
            inside = (node.module or "").removeprefix("samebook").removeprefix(".")
            names = (f"{inside}.{alias.name}".removeprefix(".") for alias in node.names)
            yield from (name if name in sources() else inside for name in names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def users(name: str) -> set[str]:
    """The modules with a call of a function, or an exception, of this name, or with this text."""
    nodes = {(module, node) for module, tree in sources().items() for node in ast.walk(tree)}
    return {
        module
        for module, node in nodes
        if name in (getattr(node, "id", 0), getattr(node, "attr", 0), getattr(node, "value", 0))
    }


@cache
def graph() -> dict[str, set[str]]:
    """The modules of the package that each imports."""
    return {module: set(imported(module)) & sources().keys() for module in sources()}


def test_each_module_has_a_wing() -> None:
    """Nothing but the faces stands outside the wings, and no wing but `verbs` has more than 18 modules."""
    assert {module for module in sources() if not wing(module)} == FACES
    sizes = {name: sum(wing(module) == name for module in sources()) for name in WINGS}
    assert min(sizes.values()) > 0
    assert {name for name, size in sizes.items() if size > 18} <= {"verbs"}


def test_house_stays_small() -> None:
    """The front has at most 120 lines, the README 1,000 words, a module 260 lines, and half of the modules 110."""
    assert len((CHECKOUT / "Makefile").read_text().splitlines()) <= 120
    assert len((CHECKOUT / "README.md").read_text().split()) <= 1000
    sizes = sorted(len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py"))
    assert sizes[-1] <= 260
    assert sizes[len(sizes) // 2] <= 110


def test_imports_go_down() -> None:
    """No module imports one of a wing above its own, no verb imports a verb, and there is no cycle."""
    arrows = {(a, b) for a, below in graph().items() if a not in FACES for b in below}
    assert ("verbs.run", "execution.preparation") in arrows
    assert {(a, b) for a, b in arrows if WINGS.index(wing(b)) > WINGS.index(wing(a))} == set()
    assert {(a, b) for a, b in arrows if wing(a) == wing(b) == "verbs"} == set()
    TopologicalSorter(graph()).prepare()


def test_warm_has_one_face() -> None:
    """Other wings reach warm starts by one module, and use nothing of it but a handful of functions and types."""
    arrows = {(a, b) for a, below in graph().items() for b in below if wing(b) == "execution.warm" != wing(a)}
    others = {(a, b.rpartition(".")[2]) for a, b in arrows if b != "execution.warm.face"}
    assert others == BESIDE_WARM_FACE
    users = {a for a, b in arrows if b == "execution.warm.face"}
    text = "\n".join((PACKAGE / f"{user.replace('.', '/')}.py").read_text() for user in users)
    lines = re.findall(r"execution\.warm\.face import (.+)", text)
    assert {*re.findall(r"\bface\.(\w+)", text), *", ".join(lines).split(", ")} == WARM_FACE


def test_verbs_are_functions() -> None:
    """Each module of `verbs` has one public function of its own name."""
    verbs = {module.removeprefix("verbs."): tree for module, tree in sources().items() if wing(module) == "verbs"}
    assert {"run", "reproduce", "promote"} <= verbs.keys()
    for name, tree in verbs.items():
        assert any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body), name


def test_one_door_each() -> None:
    """papermill, obstore, distributed, git and kubectl have their modules; only the top prints or exits."""
    assert {module for module in sources() if "papermill" in imported(module)} == {
        "execution.execute",
        "execution.papermill_engine",
    }
    assert {module for module in sources() if "obstore" in imported(module)} == {"store.bucket"}
    dask = {"cluster.client", "cluster.ranks", "cluster.worker"}
    assert {module for module in sources() if "distributed" in imported(module)} == dask
    for door in ("core.git", "cluster.kubectl"):
        assert users(door.rpartition(".")[2]) - {name for name in sources() if door in imported(name)} == {door}
    speakers = {module for module in sources() if wing(module) == "cli"} | FACES
    assert users("print") | users("echo") | users("exit") | users("SystemExit") <= speakers | PROGRAMS


# Words of the example that ships: its data, its model and the library that it is made with. `outcomes` may be a
# variable's name, for several of an `Outcome`; `pyarrow.flight` is a protocol.
EXAMPLE = re.compile(
    r"(?<!pyarrow\.)flight(?!Client|ServerBase)|predictions|nycflights|airline|airport|carrier|tailnum|planes?\b|weather|precip\b|visib\b|_delay|\bdelay\b"
    r"|sched_dep|sched_arr|probability|manufacturer|xgboost|booster|ubj\b|\boutcomes",
    re.IGNORECASE,
)
MODEL_FILE = "records/model_file.py"


def example_words(path: Path) -> Iterator[str]:
    """Each word of the example in a source, its names, strings and comments, as `file:line: word`."""
    name = path.relative_to(PACKAGE).as_posix()
    with path.open("rb") as stream:
        for token in tokenize.tokenize(stream.readline):
            if token.type != tokenize.NAME or token.string != "outcomes":
                for number, line in enumerate(token.string.splitlines(), token.start[0]):
                    yield from (f"{name}:{number}: {word}" for word in EXAMPLE.findall(line))


def test_no_example() -> None:
    """No source knows the example that ships, in a name, docstring, message or help; one knows kinds of model files."""
    known = {path: list(example_words(path)) for path in sorted(PACKAGE.rglob("*.py"))}
    assert known.pop(PACKAGE / MODEL_FILE)
    assert [word for words in known.values() for word in words] == []


def test_example_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word of the example is found with its line in a docstring, a comment, a name and the text of an f-string."""
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "a.py").write_text('"""One.\n\nFlights."""\noutcomes = 1  # delay\nxgboost = f"{outcomes} outcomes"\n')
    found = ["a.py:3: Flight", "a.py:4: delay", "a.py:5: xgboost", "a.py:5: outcomes"]
    assert list(example_words(tmp_path / "a.py")) == found


def test_programs_ignore_where_they_work() -> None:
    """No program of samebook takes a module from the folder that it works in, where a notebook may write one: the
    program would have the key of runs. Kernels alone have that folder.
    """
    start = re.compile(r'("-P", )?"-m",\s+("samebook|\*command|RANK|SCHEDULED|program|worker\.RANK)')
    found = [
        (path.stem, match[0])
        for path in PACKAGE.rglob("*.py")
        if "warm" not in path.parts
        for match in start.finditer(path.read_text())
    ]
    assert len(found) == 9
    # A container's, and a kernel's.
    assert {name for name, text in found if not text.startswith('"-P"')} == {"debian_packages", "kernel"}
