"""Run a notebook headless: parameters checked first, everything it leaves in one folder, whole or marked failed."""

import datetime
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from samebook.core import signals, workspace
from samebook.core.digest import json_bytes
from samebook.core.errors import SamebookError
from samebook.core.redaction import Redaction
from samebook.core.workspace import Workspace
from samebook.data import publish
from samebook.environment import identity, variables
from samebook.execution import parameters
from samebook.execution.preparation import PreparedRun, RunRequest, prepare
from samebook.execution.warm import client, early
from samebook.records import provenance, receipt, run_folder, signing, undeclared
from samebook.records.run_folder import RunFolder
from samebook.store import objects

if TYPE_CHECKING:
    from samebook.execution import provisioner


class Reporter:
    """What wants to know of a run while it runs; the default says nothing."""

    def run_started(self, run: Path, request: RunRequest) -> None: ...

    def cell_started(self, index: int, total: int, name: str) -> None: ...

    def cell_finished(self, index: int, total: int, name: str, seconds: float, failed: bool) -> None: ...

    def printed(self, lines: Sequence[str]) -> None: ...

    def noted(self, line: str) -> None: ...

    def run_ended(self) -> None: ...


def run(request: RunRequest, reporter: Reporter | None = None) -> Path:
    """Run the notebook; returns the run's folder. Raises a SamebookError, with the failed run kept beside.

    A failed run's folder has error.txt in place of receipt.json, and the notebook as far as it came.
    """
    found = workspace.find()
    signing.check_key()
    run_folder.recover(found)
    reporter = reporter or Reporter()
    prepared = prepare(found, request, reporter.noted)
    folder = RunFolder.create(found, prepared.path.stem)
    try:
        reporter.run_started(folder.path, request)
        with signals.as_errors():
            _fill(folder, prepared, reporter)
    except BaseException as error:
        raise _failed(folder, error, prepared.redaction, found) from error
    finally:
        reporter.run_ended()
    final = folder.finish()
    publish.publish(found, prepared.settings, final)
    return final


def _fill(folder: RunFolder, prepared: PreparedRun, reporter: Reporter) -> None:
    from samebook.execution import engine

    request, in_force = prepared.request, prepared.settings
    started = _now()
    pages = _Beside(_pages)
    installed = _Beside(partial(identity.of, prepared.workspace))
    timeout = in_force.cell_timeout if request.cell_timeout is None else request.cell_timeout
    with run_folder.scratch(folder.path) as scratch:
        env = _kernel_env(prepared, folder, scratch)
        source = _source(prepared, installed)
        executed = engine.execute(
            engine.Execution(
                notebook=prepared.notebook,
                output=folder.path / run_folder.NOTEBOOK,
                folder=prepared.path.parent,
                scratch=scratch,
                env=env,
                observer=reporter,
                redaction=prepared.redaction,
                cell_timeout=timeout,
                save_every=in_force.save_every,
                source=source,
            )
        )
    run_folder.append_event(folder.path, {"kind": "kernel", "name": source.start})
    (folder.path / run_folder.PAGE).write_text(pages.result().html(executed, prepared.path.stem))
    prepared.redaction.check_files(folder.outputs)
    _write_metrics(folder.path, prepared.redaction)
    _write_receipt(folder, prepared, executed, started, installed.result())


def _kernel_env(prepared: PreparedRun, folder: RunFolder, scratch: Path) -> dict[str, str]:
    undeclared.startup(scratch / "ipython")
    env = variables.of_kernel(prepared.workspace, folder.path, prepared.request.env, scratch)
    env |= variables.threads(prepared.settings.threads)
    pinned = prepared.request.receipt
    return {**env, "SAMEBOOK_PINNED": str(pinned)} if pinned else env


def _source(prepared: PreparedRun, installed: "_Beside[dict[str, Any]]") -> "provisioner.Source":
    """Where the kernel may come from: from a zygote, if there is one; its kind takes time to find out."""
    from samebook.execution import pool, provisioner

    folder = client.folder(prepared.workspace)
    kind = pool.kind(prepared, installed.result()["digest"]) if folder else None
    return provisioner.Source(folder, kind, early.take())


def _pages() -> ModuleType:
    """The module that makes pages, ready to."""
    from samebook.execution import page

    page.warm_up()
    return page


def _write_metrics(run: Path, redaction: Redaction) -> None:
    metrics = {redaction.text(event["name"]): event["value"] for event in run_folder.events(run, "metric")}
    (run / run_folder.METRICS).write_bytes(json_bytes(metrics))


def _write_receipt(
    folder: RunFolder, prepared: PreparedRun, executed: Any, started: str, installed: dict[str, Any]
) -> None:
    facts = provenance.Facts(
        workspace=prepared.workspace,
        run=folder.path,
        run_id=folder.id,
        notebook=prepared.path,
        source=prepared.source,
        executed=executed,
        identity=installed,
        parameters=parameters.json_values(prepared.values),
        env=prepared.request.env,
        threads=variables.threads(prepared.settings.threads).get("OMP_NUM_THREADS", "all"),
        events=tuple(run_folder.events(folder.path)),
        drift=prepared.drift,
        redaction=prepared.redaction,
        started=started,
        finished=_now(),
    )
    statement = prepared.redaction.value(provenance.statement(facts))
    kept = objects.local_store(prepared.workspace)
    for name in receipt.subject_digests(statement):
        kept.put(folder.path / name)
    if (patch := folder.path / run_folder.PATCH).is_file():
        kept.put(patch)
    content = json_bytes(statement)
    kept.put(content)
    workspace.write_whole(folder.path / run_folder.RECEIPT, content)
    signing.sign(folder.path / run_folder.RECEIPT)


def _failed(folder: RunFolder, error: BaseException, redaction: Redaction, found: Workspace) -> BaseException:
    """Keep the failed run with its error.txt; the error to raise, which names where it is kept."""
    text = redaction.text(f"{type(error).__name__}: {error}")
    try:
        (folder.path / run_folder.RECEIPT).unlink(missing_ok=True)
        redaction.remove_files(folder.outputs)
        (folder.path / run_folder.ERROR).write_text(text + "\n")
        kept = folder.finish()
    except OSError:
        return error  # no room, or no permission, for the rest either: the next start recovers the folder
    if isinstance(error, SamebookError):
        error.add_note(f"the run as far as it came: {found.relative(kept)}")
    return error


class _Beside[Result]:
    """What is done in a thread, while the kernel works."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._done: Future[Result] = Future()
        threading.Thread(target=self._do, daemon=True).start()

    def _do(self) -> None:
        try:
            self._done.set_result(self._work())
        except Exception as error:
            self._done.set_exception(error)

    def result(self) -> Result:
        """What came out; what failed is done again, alone: of two threads that import, one may see half a module."""
        return self._work() if self._done.exception() else self._done.result()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
