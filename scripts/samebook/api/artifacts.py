"""Inputs from other runs and from promoted models: files, bundles and models, each recorded by hash."""

import os
from pathlib import Path

from samebook.api import context
from samebook.core import workspace
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.text import word
from samebook.environment import settings
from samebook.models import admission, bundle, lookup, supply
from samebook.models.bundle import Bundle
from samebook.reads import undeclared
from samebook.records import inputs, model_file, receipt, run_folder
from samebook.store import objects


@undeclared.declared_reads()
def find_artifact(source: str, name: str) -> Path:
    """A copy of the file `name` of a source, recorded as an input.

    `source` is a path, a run's id, a notebook's name for its newest finished run, or a promoted model: `churn` as it
    is promoted here, `churn@prod` as it is at a branch, tag or commit. Raises UsageError where there is none.
    """
    label = _file_label(source, name) or f"{source}/{name}"
    if (content := context.pinned_content(label)) is not None:
        if (promoted := context.pinned_content(inputs.bundle(source))) is not None:  # the run has read that, too
            context.recorded(inputs.bundle(source), promoted)
        return _copy(name, context.recorded(label, content))
    if lookup.is_reference(context.current_workspace(), source):
        return _promoted(source, name, label)
    path = _artifact(source, name)
    context.check_place(path)
    runs = context.current_workspace().runs
    run = path.relative_to(runs).parts[0] if path.is_relative_to(runs) else ""
    content = path.read_bytes()
    built = _built_from(run, path.relative_to(runs / run).as_posix(), content) if run else None
    context.recorded(label, content, run, built)
    undeclared.declare(path)
    return path


def _file_label(source: str, name: str) -> str:
    """The label of the file that a source is: its path, from the workspace where it is inside, else as it is given; ""
    where it is none.

    The file may be gone where its run is reproduced: then the receipt's inputs say that it was one. The workspace may
    be elsewhere there, and earlier receipts have a file's name alone.
    """
    here, pinned = context.current_workspace(), context.pinned()
    place = Path(os.path.normpath(here.root / source))
    path = here.relative(place) if place.is_relative_to(here.root) else os.path.normpath(source)
    labels = [label for label in pinned if f"/{path}".endswith(f"/{label}")]
    label = max(labels, default=name if name in pinned else path, key=len)
    was_file = label in pinned and (Path(source).name == name or path in pinned)
    return label if (here.root / source).is_file() or was_file else ""


@undeclared.declared_reads()
def load_bundle(source: str) -> Bundle:
    """The bundle of the promoted model `churn`, or of `churn@prod` at a branch, tag or commit; recorded as an input.

    Raises UsageError where no such model is promoted, and for a bundle that is not whole.
    """
    label = inputs.bundle(source)
    if (content := context.pinned_content(label)) is None:
        content = lookup.read(context.current_workspace(), source).content()
    return bundle.parse(context.recorded(label, content), source)


@undeclared.declared_reads()
def find_bundle(source: str) -> Bundle | None:
    """The bundle of a promoted model, recorded as an input; None where `source` means a run, a notebook or a file."""
    if not _is_promoted(source):
        run_folder.append_event(context.run(), {"kind": "lacked", "name": inputs.bundle(source)})
        return None
    return load_bundle(source)


def _is_promoted(source: str) -> bool:
    """Whether a source means a promoted model, here or in the run that is reproduced."""
    is_pinned = context.pinned_content(inputs.bundle(source)) is not None
    return is_pinned or lookup.is_reference(context.current_workspace(), source)


def find_model(source: str) -> Path:
    """A copy of the model file of a source, `model.*` of any kind, recorded as an input; sources are those of
    `find_artifact`. Raises UsageError where there is none, or more than one.
    """
    if not _is_promoted(source):
        return find_artifact(source, model_name(source))
    files = [name for name in load_bundle(source).outputs if Path(name).stem == model_file.STEM]
    if len(files) != 1:
        raise UsageError(
            f"model {source}: found {', '.join(files) or 'no model file'}; expected one {model_file.STEM}.*",
            mend=f"samebook.find_artifact({source!r}, …)",
        )
    return find_artifact(source, files[0])


def load_model(name: str, at: str = "") -> model_file.Model:
    """The promoted model `name`, as it is here or at a branch, tag or commit; no checkout is needed.

    Its bytes come from the store or the remote store. Raises UsageError where they are in neither, and where its file
    is not of a kind that can be loaded (`find_artifact` gives any file).
    """
    source = f"{name}@{at}" if at else name
    files = [name for name in load_bundle(source).outputs if Path(name).stem == model_file.STEM]
    if len(files) != 1 or Path(files[0]).suffix not in model_file.LOADABLE:
        expected = " or ".join(model_file.STEM + suffix for suffix in model_file.LOADABLE)
        raise UsageError(
            f"model {source}: found {', '.join(files) or 'no model file'}; expected one {expected}",
            mend=f"samebook.find_artifact({source!r}, …) gives a file of any kind",
        )
    return model_file.load(find_artifact(source, files[0]))


@undeclared.declared_reads()
def model_name(source: str) -> str:
    """The name of the model file among the outputs of a run, or of a notebook's newest finished run."""
    recorded = (Path(label) for label in context.pinned() if label.startswith(f"{source}/"))
    runs = _runs(source)
    written = (path for run in runs for path in sorted((run / "outputs").glob(f"{model_file.STEM}.*")))
    names = (path.name for path in (*recorded, *written) if path.stem == model_file.STEM)
    return next(names, f"{model_file.STEM}{model_file.LOADABLE[0]}")


def _promoted(source: str, name: str, label: str) -> Path:
    promoted = load_bundle(source)
    if name not in promoted.outputs:
        raise UsageError(
            f"model {source} has no file {name!r}; it has {', '.join(promoted.outputs)}",
            mend=f"samebook.find_artifact({source!r}, {next(iter(promoted.outputs))!r})",
        )
    if missing := supply.fetch_missing(context.current_workspace(), context.current_settings(), promoted, context.note):
        raise UsageError(
            f"model {source}: {missing[0]} is not in the store, nor in a remote one",
            mend=f"make models MODEL={source}",
        )
    _check_model(promoted, lookup.ref(source))
    content = objects.local_store(context.current_workspace()).get(promoted.outputs[name].sha256)
    assert content is not None, "what was just supplied is gone"
    return _copy(name, context.recorded(label, content, promoted.receipt.run, promoted.built_from()))


def _check_model(bundle: Bundle, ref: str) -> None:
    """Raise PolicyRefused where the policy at HEAD does not admit a promoted model to this run.

    The gate's own notebook may read any champion: otherwise none of a weaker policy could be replaced.
    """
    env = os.environ.get("SAMEBOOK_ENV", "dev")
    conditions = settings.committed_promotion(context.current_workspace(), env)
    if conditions.gate is None or not run_folder.is_named_after(context.run().name, conditions.gate.notebook):
        admission.check(context.current_workspace(), conditions, bundle, env, ref)


def _copy(name: str, content: bytes) -> Path:
    folder = context.run() / run_folder.INPUTS / sha256(content)[:12]
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"artifact {name!r}: expected a name without a way out of its folder",
            mend=f"samebook.find_artifact(…, {Path(name).name!r})",
        )
    workspace.write_whole(path, content)
    return path


def _built_from(run: str, name: str, content: bytes) -> receipt.Json:
    """The way in which an output of a run was built. Raises UsageError for other bytes than its receipt names."""
    statement = receipt.read(context.current_workspace().runs / run / run_folder.RECEIPT)
    if receipt.subject_digests(statement).get(name) != sha256(content):
        raise UsageError(
            f"{name} of {run} is not what its receipt says: it was changed since",
            mend=f"make reproduce RUN={word(run)}",
        )
    return receipt.built_from(statement)


def _artifact(source: str, name: str) -> Path:
    file = context.current_workspace().root / source
    if file.is_file():
        return file
    outputs = (run / "outputs" / name for run in _runs(source))
    if path := next(filter(Path.is_file, outputs), None):
        return path
    if run := next(iter(_runs(source)), None):
        written = ", ".join(sorted(path.name for path in (run / "outputs").glob("*"))) or "none"
        raise UsageError(
            f"run {run.name} has no output {name!r}; its outputs: {written}",
            mend=f"samebook.output_path({name!r}) in notebooks/{run_folder.notebook_name(run.name)}.ipynb",
        )
    raise UsageError(
        f"no {name} from {source!r}: expected a promoted model, a file, a run's id, or a notebook with a finished run",
        mend=f"make run NOTEBOOK={source}" if source.isidentifier() else "make runs",
    )


def _runs(source: str) -> list[Path]:
    """The folders of the finished runs that a run's id or a notebook's name means, the newest first."""
    exact = context.current_workspace().runs / source
    return (
        [exact]
        if (exact / run_folder.RECEIPT).is_file()
        else run_folder.finished_runs(context.current_workspace(), source)
    )
