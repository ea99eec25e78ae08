"""The promoted models that a branch changes: both versions, what the gate found, who reproduced it, and its plots."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from samebook.core import git
from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.models import lookup
from samebook.models.bundle import NAME, Artifact, Bundle
from samebook.review import bundles, monitored
from samebook.review.bundles import ModelDiff
from samebook.review.markdown import inert, table
from samebook.review.span import Span
from samebook.store import objects

# Formats that hold pixels alone, by their first bytes: no other file opens as a page with a script.
IMAGES = {".png": b"\x89PNG\r\n", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff"}
SIDES = ("before", "after")
CHANGES = {"A": "added", "D": "removed", "M": "changed"}
# What a run's result comes from, beside its notebook: modules, queries, packages, the image, variables.
CODE = re.compile(
    r"(notebooks|scripts)/.*\.(py|sql|whl|toml)|scripts/samebook/image/.*|Dockerfile|\.python-version"
    r"|environments/([\w-]+\.(txt|lock|env)|image/.*|host)"
)


@dataclass(frozen=True)
class Model:
    """A model's bundle before and after; None where there is none. `problem` says why one can't be read."""

    name: str
    before: Bundle | None = None
    after: Bundle | None = None
    problem: str = ""


@dataclass(frozen=True)
class Plot:
    """An image of one side of a model: the name of its run's output, and the file to write."""

    model: str
    name: str
    side: str
    file: str
    content: bytes


def changed(workspace: Workspace, span: Span) -> list[Model]:
    """The models whose bundle a span changes."""
    paths = [PurePath(path) for path in sorted(span.paths)]
    names = [path.stem for path in paths if str(path.parent) == "models" and path.suffix == ".json"]
    return [_model(workspace, span, name) for name in names]


def _model(workspace: Workspace, span: Span, name: str) -> Model:
    if not NAME.fullmatch(name):
        return Model(name, problem="this can't be the name of a model")
    status = span.paths[f"models/{name}.json"]
    try:
        before = None if status == "A" else lookup.read(workspace, f"{name}@{span.before}")
        after = None if status == "D" else lookup.read(workspace, f"{name}@{span.after}")
    except SamebookError as error:
        return Model(name, problem=str(error))
    return Model(name, before, after)


def markdown(workspace: Workspace, model: Model, span: Span) -> Iterator[str]:
    """The parts of a model's section."""
    if model.problem:
        yield f"**{inert(model.name)}**: {inert(model.problem)}"
        return
    yield bundles.markdown([ModelDiff(model.name, bundles.rows(model.before, model.after))], *SIDES)
    if model.before and (report := monitored.newest(workspace, model.before)):
        yield f"Monitoring of the model before, {inert(report.day)} by {inert(report.run)}: {inert(report.line)}"
    if (bundle := model.after) is None:
        return
    yield from _source(bundle, span)
    if gate := bundle.promoted.gate:
        yield f"Its gate, {inert(gate.run)}:"
        yield table(("metric", "value", "interval"), gate_rows(gate.metrics))
    runs = {"the model's": bundle.reproductions, "the gate's": gate.reproductions if gate else []}
    rows = [
        (run, item.verdict, item.builder, item.engine, item.platform, item.finished)
        for run, reproductions in runs.items()
        for item in reproductions
    ]
    yield "Reproductions, as the bundle names them:" if rows else "Nobody has reproduced it."
    if rows:
        yield table(("run", "verdict", "by", "engine", "platform", "at"), rows)


def gate_rows(metrics: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """The metrics of a gate by name, each with its value and its interval; that of `x` is from `x_low` to `x_high`."""
    text = {name: f"{value:.6g}" for name, value in metrics.items()}
    ends = {name: (f"{name}_low", f"{name}_high") for name in (key.removesuffix("_low") for key in text)}
    intervals = {name: pair for name, pair in ends.items() if text.keys() >= {*pair}}
    names = (text.keys() | intervals.keys()) - {end for pair in intervals.values() for end in pair}
    shown = {name: " to ".join(text[end] for end in pair) for name, pair in intervals.items()}
    return [(name, text.get(name, ""), shown.get(name, "")) for name in sorted(names)]


def _source(bundle: Bundle, span: Span) -> Iterator[str]:
    """The commit of the model's run where the branch has other code by now, which no other section would show."""
    commit, tip = bundle.source.commit, span.after[:12]
    try:
        changes = span.changes(git.commit(span.root, commit), span.after)
    except SamebookError as error:
        yield f"The code that made it can't be shown: {inert(str(error))}"
        return
    own = {bundle.source.notebook, *(path for path in changes if CODE.fullmatch(path))}
    if rows := [(path, CHANGES.get(changes[path], changes[path])) for path in sorted(own & changes.keys())]:
        yield f"**It was made by other code than {tip} has**, by {commit[:12]}: `git diff {commit[:12]} {tip}`"
        yield table(("file", "since then"), rows)


def plots(workspace: Workspace, model: Model) -> Iterator[Plot]:
    """The images that differ, from the store, where it has them."""
    store = objects.local_store(workspace)
    before, after = (_images(bundle) for bundle in (model.before, model.after))
    for number, name in enumerate(sorted({**before, **after}), 1):
        if before.get(name) == after.get(name):
            continue
        for side, images in zip(SIDES, (before, after), strict=True):
            content = store.get(images[name].sha256) if name in images else None
            suffix = PurePath(name).suffix
            if content and content.startswith(IMAGES[suffix]):
                yield Plot(model.name, name, side, f"{model.name}.{number}-{side}{suffix}", content)


def _images(bundle: Bundle | None) -> dict[str, Artifact]:
    files = {**bundle.artifacts, **bundle.byproducts} if bundle else {}
    return {name: file for name, file in files.items() if PurePath(name).suffix in IMAGES}
