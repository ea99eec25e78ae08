"""Mixtures of two runs: at the commit of the one, with some of the changes that lead to the other."""

import copy
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from samebook.bisection import pieces
from samebook.bisection.changes import Sides, is_lowered
from samebook.bisection.search import Leaf
from samebook.core import workspace as workspaces
from samebook.core.digest import json_bytes, parse_json, sha256
from samebook.core.errors import EnvironmentMismatch, NotReproduced, SamebookError
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment.numerics import LOWERED
from samebook.records import canonical, receipt, run_folder
from samebook.records.comparison import Side
from samebook.records.receipt import Json
from samebook.reproduction import isolation
from samebook.reproduction.checkout import Checkout
from samebook.reproduction.front import check_inside

STATE = Path(".samebook") / "why"
# The beginnings of the paths from which an environment follows; with Docker all code is in the image.
OF_ENVIRONMENT = ("environments/", "scripts/", "Dockerfile", "Makefile", ".python-version")


class RunsAreOver(SamebookError):
    """No further run is allowed."""


@dataclass(frozen=True)
class Facts:
    """What a run gave: the sha256 of its subjects, its metrics, and the sha256 of what each cell shows, by its name."""

    subjects: Mapping[str, str]
    metrics: Mapping[str, Any]
    cells: Mapping[str, str]
    run: str = ""

    @classmethod
    def of_side(cls, side: Side, run: str) -> "Facts":
        """The facts of a run, as far as its files are still here and whole: a stranger may have written them."""
        try:
            metrics = parse_json(side.content(run_folder.METRICS) or b"{}")
        except ValueError:
            metrics = dict[str, Any]()
        cells = of_cells(side.content(run_folder.CANONICAL) or b"[]")
        return cls(side.digests, metrics if isinstance(metrics, dict) else {}, cells, run)

    @classmethod
    def of_folder(cls, folder: Path) -> "Facts":
        """The facts of a run's folder."""
        digests = receipt.subject_digests(receipt.read(folder / run_folder.RECEIPT))
        return cls.of_side(Side(digests, lambda name: _content(folder / name)), folder.name)


@dataclass(frozen=True)
class Limits:
    """The number of runs that may be made, and the time at which none is started any more, in seconds of the clock
    that only goes forwards.
    """

    runs: int
    end: float


@dataclass
class Mixtures:
    """The runs of mixtures in one checkout, of the first run's commit. What they gave is kept in a file: a search goes
    on where it stopped.
    """

    workspace: Workspace
    checkout: Checkout
    sides: Sides
    limits: Limits
    say: Say
    made: int = 0
    kept: dict[str, Facts | None] = field(default_factory=dict)
    # The locks, code and settings that the environment was made from.
    installed: frozenset[Leaf] = frozenset()

    def __post_init__(self) -> None:
        with suppress(FileNotFoundError, ValueError, TypeError, AttributeError):  # a damaged one is made again
            content = json.loads(self._state.read_bytes())
            self.kept = {name: Facts(**facts) for name, facts in content.items()}

    def run(self, leaves: frozenset[Leaf]) -> Facts | None:
        """What a run with these changes gives; None where it fails. Raises RunsAreOver."""
        name = sha256(json_bytes(sorted(leaves)))
        if name not in self.kept:
            if self.made >= self.limits.runs or time.monotonic() > self.limits.end:
                runs = "1 run" if self.made == 1 else f"{self.made} runs"
                raise RunsAreOver(f"the limit is reached, with {runs}", mend="make why A=… B=… RUNS=…")
            self.made += 1
            self.say(f"run {self.made}, with {len(leaves)} of {self._count()} changes")
            self.kept[name] = self._new(leaves)
            # What failed may have lacked a network, or room on a disk: the next search tries it again.
            ended = {name: asdict(facts) for name, facts in self.kept.items() if facts}
            workspaces.write_whole(self._state, json_bytes(ended))
        return self.kept[name]

    def _new(self, leaves: frozenset[Leaf]) -> Facts | None:
        try:
            self._write(leaves)
            self._install(leaves)
            folder = self.checkout.run(*self._plan(leaves))
        except (NotReproduced, EnvironmentMismatch) as error:
            self.say(f"  it does not run: {str(error).splitlines()[0]}")
            return None
        facts = Facts.of_folder(folder)
        run_folder.set_aside(self.workspace, folder)
        return facts

    def _write(self, leaves: frozenset[Leaf]) -> None:
        """Write the files of a mixture into the checkout."""
        root = self.checkout.front.checkout
        names = {leaf[1] for leaf in leaves if leaf[0] == "package"}
        for path, change in self.sides.files.items():
            chosen = [int(leaf[2]) for leaf in leaves if leaf[:2] == ("file", path)]
            content = change.mixed(chosen)
            if path in self.sides.locks:
                old, new = ((side or b"").decode(errors="replace") for side in (change.before, change.after))
                content = pieces.mixed_lock(old, new, names).encode() if names else change.before
            file = root / path
            check_inside(root, (file,))
            if content is None:
                file.unlink(missing_ok=True)
            elif not file.is_file() or file.read_bytes() != content:
                workspaces.write_whole(file, content)
                file.chmod(change.mode)

    def _install(self, leaves: frozenset[Leaf]) -> None:
        """Make the environment of a mixture; with Docker the code is in the image."""
        is_local = self.checkout.front.engine == "local"
        beginnings = OF_ENVIRONMENT if is_local else ("",)
        files = (leaf for leaf in leaves if leaf[0] == "file" and leaf[1].startswith(beginnings))
        needed = frozenset((*files, *(leaf for leaf in leaves if leaf[0] == "package")))
        if needed != self.installed:
            self.checkout.front.environment(self.checkout.env)
            self.installed = needed

    def _plan(self, leaves: frozenset[Leaf]) -> tuple[Json, dict[str, str]]:
        """The statement that is run, with the inputs of both runs, and the variables of the run."""
        statement, after = copy.deepcopy(self.sides.before), self.sides.after
        definition = statement["predicate"]["buildDefinition"]
        external, others = definition["externalParameters"], receipt.external_parameters(after)
        internal = definition.setdefault("internalParameters", {})
        new_internal = after["predicate"]["buildDefinition"].get("internalParameters", {})
        items, new_items = ({item["name"]: item for item in receipt.input_items(side)} for side in (statement, after))
        for kind, *place in leaves:
            if kind == "parameter" and place[0] in others["parameters"]:
                external["parameters"][place[0]] = others["parameters"][place[0]]
            elif kind == "parameter":
                external["parameters"].pop(place[0], None)
            elif kind == "env":
                external["env"] = others["env"]
            elif kind == "input":
                items[place[0]] = new_items[place[0]]
            elif kind in ("numerics", "threads"):
                internal[kind] = new_internal.get(kind)
        definition["resolvedDependencies"] = [
            *(item for item in receipt.dependencies(statement) if item["name"] not in items),
            *(new_items | items).values(),
        ]
        lowered = is_lowered(self.sides.before) != (("processor",) in leaves)
        return statement, {**isolation.numerics(statement), LOWERED: "1" if lowered else ""}

    def _count(self) -> int:
        return sum(len(change.leaves) for change in self.sides.changes)

    @cached_property
    def _state(self) -> Path:
        """The file of what runs gave: of these two runs, these changes and this engine."""
        changes = [(change.name, sorted(change.leaves)) for change in self.sides.changes]
        question = [self.sides.before, self.sides.after, changes, self.checkout.front.engine]
        return self.workspace.root / STATE / f"{sha256(json_bytes(question))}.json"


def of_cells(content: bytes) -> dict[str, str]:
    """The sha256 of what each cell of a canonical notebook shows, by its name; of two of one name, the first.

    None of a notebook that is not whole: a stranger may have written it.
    """
    found: dict[str, str] = {}
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        cells = json.loads(content)
        for number, cell in zip(canonical.numbers(cell["type"] for cell in cells), cells, strict=True):
            if cell["type"] == "code":
                name = f"cell {number} `{canonical.name(cell['tags'], number)}`"
                found.setdefault(name, sha256(json_bytes([cell["printed"], cell["displayed"]])))
    return found


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
