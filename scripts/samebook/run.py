"""Run a notebook headless: parameters checked first, everything it leaves in one folder, whole or marked failed."""

import datetime
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samebook import (
    dataset,
    environment,
    parameters,
    provenance,
    receipt,
    runfolder,
    secret,
    settings,
    signals,
    signing,
    store,
    watching,
    workspace,
)
from samebook.digest import json_bytes
from samebook.errors import EnvironmentMismatch, SamebookError, UsageError, nearest
from samebook.redaction import Redaction
from samebook.runfolder import RunFolder
from samebook.workspace import Workspace

SHOWN_DRIFT = 3


@dataclass(frozen=True)
class RunRequest:
    """One call of `samebook run`; `given` holds the -p pairs as typed.

    With a `receipt`, the run reads the very inputs that it names.
    """

    notebook: str
    given: Mapping[str, str]
    env: str = "dev"
    cell_timeout: int | None = None
    allow_drift: bool = False
    receipt: Path | None = None


class Reporter:
    """What wants to know of a run while it runs; the default says nothing."""

    def run_started(self, run: Path, request: RunRequest) -> None: ...

    def cell_started(self, index: int, total: int, name: str) -> None: ...

    def cell_finished(self, index: int, total: int, name: str, seconds: float, failed: bool) -> None: ...

    def printed(self, line: str) -> None: ...

    def noted(self, line: str) -> None: ...

    def run_ended(self) -> None: ...


def again(path: Path, request: RunRequest) -> RunRequest:
    """The request that a receipt is the answer to: its notebook, parameters and env."""
    external = receipt.external(receipt.read(path))
    given = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in external["parameters"].items()
    }
    return replace(request, notebook=external["notebook"], given=given, env=external["env"], receipt=path.resolve())


@dataclass(frozen=True)
class Prepared:
    """A request that was found to be runnable."""

    workspace: Workspace
    request: RunRequest
    settings: settings.Settings
    path: Path
    notebook: Any
    values: dict[str, Any]
    drift: dict[str, str]
    source: provenance.Source
    redaction: Redaction


def run(request: RunRequest, reporter: Reporter | None = None) -> Path:
    """Run the notebook; returns the run's folder. Raises a SamebookError, with the failed run kept beside.

    A failed run's folder has error.txt in place of receipt.json, and the notebook as far as it came.
    """
    found = workspace.find()
    signing.check_key()
    runfolder.recover(found)
    reporter = reporter or Reporter()
    prepared = prepare(found, request, reporter.noted)
    folder = RunFolder.create(found, prepared.path.stem)
    try:
        reporter.run_started(folder.path, request)
        with signals.raising():
            _fill(folder, prepared, reporter)
    except BaseException as error:
        raise _failed(folder, error, prepared.redaction, found) from error
    finally:
        reporter.run_ended()
    final = folder.finish()
    dataset.publish(found, final)
    return final


def prepare(found: Workspace, request: RunRequest, say: Callable[[str], None] = lambda _: None) -> Prepared:
    """Check everything that can be checked before a kernel starts; `say` hears what takes time. Raises UsageError."""
    from samebook import execution

    path = locate(found, request.notebook)
    drift = _drift(found, allowed=request.allow_drift)
    in_force = settings.load(found, request.env)
    source = provenance.source(found, path)
    notebook = execution.read(path)
    index = execution.parameters_index(notebook)
    if index < 0 and request.given:
        names = ", ".join(request.given)
        raise UsageError(
            f"{found.relative(path)} has no cell tagged `parameters`, so it takes none; found {names}",
            mend="in Lab: select the cell, then Property Inspector > Add Tag > parameters",
        )
    known = parameters.declared(notebook.cells[index].source) if index >= 0 else {}
    values = parameters.parsed(request.given, known)
    if request.receipt is None:  # a reproduction is handed its inputs by hash
        _check_models(found, in_force, known, values, say)
    redaction = Redaction(secret.known(in_force.secret_names()) | parameters.secrets(known))
    redaction.refuse_in(source.patch or b"", "the uncommitted work of this checkout")
    if values:
        notebook = execution.with_parameters(notebook, parameters.injected(values))
    return Prepared(found, request, in_force, path, notebook, values, drift, source, redaction)


def _check_models(
    found: Workspace,
    in_force: settings.Settings,
    known: Mapping[str, parameters.Parameter],
    values: Mapping[str, Any],
    say: Callable[[str], None],
) -> None:
    """Each promoted model that the notebook will score with: its bundle whole, its files in the store."""
    from samebook import bundles, supply

    named = [name for name in parameters.models(known, values) if bundles.is_reference(found, name)]
    test = in_force.ab_test
    variants = (test.champion, test.challenger) if test and parameters.takes_part(known, values, test.is_on) else ()
    for reference in (*named, *variants):
        supply.complete(found, in_force, reference, say)


def _drift(found: Workspace, *, allowed: bool) -> dict[str, str]:
    """How the environment differs from the lock. Raises EnvironmentMismatch, unless that is allowed."""
    wrong = environment.mismatches(found)
    drift = {name: f"locked {expected}, found {version or 'none'}" for name, (expected, version) in wrong.items()}
    if drift and not allowed:
        first = ", ".join(f"{name} ({how})" for name, how in list(drift.items())[:SHOWN_DRIFT])
        raise EnvironmentMismatch(
            f"the environment is not the lock's in {len(drift)} packages: {first}",
            mend="make doctor shows all; make run renews the environment; --allow-drift runs all the same, and says so",
        )
    return drift


def locate(found: Workspace, name: str) -> Path:
    """The notebook `train`, `train.ipynb` or `notebooks/train.ipynb`."""
    stem = name.removeprefix("notebooks/").removesuffix(".ipynb")
    path = found.notebooks / f"{stem}.ipynb"
    if not path.is_file() or not path.resolve().is_relative_to(found.notebooks):
        known = (str(other.relative_to(found.notebooks))[:-6] for other in found.notebooks.rglob("[!.]*.ipynb"))
        raise UsageError(f"no notebook {name!r}{nearest(stem, known)}")
    return path


def _fill(folder: RunFolder, prepared: Prepared, reporter: Reporter) -> None:
    from samebook import execution

    request, in_force = prepared.request, prepared.settings
    started = _now()
    html = _Importing("nbconvert.exporters.html")
    timeout = in_force.cell_timeout if request.cell_timeout is None else request.cell_timeout
    with runfolder.scratch(folder.path) as scratch:
        execution.execute(
            execution.Execution(
                notebook=prepared.notebook,
                output=folder.path / runfolder.NOTEBOOK,
                folder=prepared.path.parent,
                scratch=scratch,
                env=_kernel_env(prepared, folder, scratch),
                observer=reporter,
                redaction=prepared.redaction,
                cell_timeout=timeout,
                save_every=in_force.save_every,
            )
        )
    html.wait()
    _write_page(folder.path)
    prepared.redaction.refuse(folder.outputs)
    _write_metrics(folder.path, prepared.redaction)
    _write_receipt(folder, prepared, started)


def _kernel_env(prepared: Prepared, folder: RunFolder, scratch: Path) -> dict[str, str]:
    watching.startup(scratch / "ipython")
    env = environment.kernel_env(prepared.workspace, folder.path, prepared.request.env, scratch)
    env |= {"OMP_NUM_THREADS": _threads(prepared)} if _threads(prepared) else {}
    pinned = prepared.request.receipt
    return {**env, "SAMEBOOK_PINNED": str(pinned)} if pinned else env


def _threads(prepared: Prepared) -> str:
    """How many threads a kernel may take; "" for as many as there are cores."""
    return os.environ.get("OMP_NUM_THREADS") or str(prepared.settings.threads or "")


def _write_page(run: Path) -> None:
    from nbconvert.exporters import HTMLExporter

    page, _ = HTMLExporter().from_filename(str(run / runfolder.NOTEBOOK))
    (run / runfolder.PAGE).write_text(page)


def _write_metrics(run: Path, redaction: Redaction) -> None:
    metrics = {redaction.text(event["name"]): event["value"] for event in runfolder.events(run, "metric")}
    (run / runfolder.METRICS).write_bytes(json_bytes(metrics))


def _write_receipt(folder: RunFolder, prepared: Prepared, started: str) -> None:
    facts = provenance.Facts(
        workspace=prepared.workspace,
        run=folder.path,
        run_id=folder.id,
        notebook=prepared.path,
        source=prepared.source,
        parameters=parameters.json_values(prepared.values),
        env=prepared.request.env,
        threads=_threads(prepared) or "all",
        events=tuple(runfolder.events(folder.path)),
        drift=prepared.drift,
        redaction=prepared.redaction,
        started=started,
        finished=_now(),
    )
    statement = prepared.redaction.value(provenance.statement(facts))
    kept = store.of(prepared.workspace)
    for name in receipt.subject_digests(statement):
        kept.put(folder.path / name)
    if (patch := folder.path / runfolder.PATCH).is_file():
        kept.put(patch)
    content = json_bytes(statement)
    kept.put(content)
    workspace.write_whole(folder.path / runfolder.RECEIPT, content)
    signing.sign(folder.path / runfolder.RECEIPT)


def _failed(folder: RunFolder, error: BaseException, redaction: Redaction, found: Workspace) -> BaseException:
    """Keep the failed run with its error.txt; the error to raise, which names where it is kept."""
    text = redaction.text(f"{type(error).__name__}: {error}")
    try:
        (folder.path / runfolder.RECEIPT).unlink(missing_ok=True)
        redaction.drop(folder.outputs)
        (folder.path / runfolder.ERROR).write_text(text + "\n")
        kept = folder.finish()
    except OSError:
        return error  # no room, or no permission, for the rest either: the next start recovers the folder
    if isinstance(error, SamebookError):
        error.add_note(f"the run as far as it came: {found.relative(kept)}")
    return error


class _Importing:
    """Imports a module in a thread, while the kernel works."""

    def __init__(self, module: str) -> None:
        self.thread = threading.Thread(target=__import__, args=(module,), daemon=True)
        self.thread.start()

    def wait(self) -> None:
        self.thread.join()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
