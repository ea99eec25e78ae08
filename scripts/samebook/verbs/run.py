"""Run a notebook headless: check its parameters, then leave one folder, which is complete or marked as failed."""

import datetime
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from samebook.core import processes, signals
from samebook.core import workspace as workspaces
from samebook.core.digest import json_bytes
from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.data import publish
from samebook.environment import identity, machine, variables
from samebook.execution import background, outputs, parameters, startup
from samebook.execution.preparation import PreparedRun, RunRequest, prepare
from samebook.execution.warm import face
from samebook.execution.warm.without import without
from samebook.reads import origin
from samebook.records import provenance, receipt, run_folder, signing
from samebook.records import source as run_source
from samebook.records.run_folder import RunFolder
from samebook.records.source import Source
from samebook.redaction import own_parts
from samebook.redaction.redactor import Redaction
from samebook.store import objects, own_patches

if TYPE_CHECKING:
    from samebook.execution import provisioner

# nbconvert's server, guesses at a text's encoding, and a parser of HTML: no page of a run needs them.
UNUSED, PARSER = ("nbconvert.postprocessors.serve", "charset_normalizer"), "bs4:BeautifulSoup"


class Reporter:
    """The events of a run, as methods that the run calls; this default ignores them all."""

    def run_started(self, run: Path, request: RunRequest, redaction: Redaction) -> None: ...

    def cell_started(self, index: int, total: int, name: str) -> None: ...

    def cell_finished(self, index: int, total: int, name: str, seconds: float, failed: bool) -> None: ...

    def printed(self, lines: Sequence[str]) -> None: ...

    def noted(self, line: str) -> None: ...

    def run_ended(self) -> None: ...


def run(request: RunRequest, reporter: Reporter | None = None) -> Path:
    """Run a notebook and return the run's folder. Raises a SamebookError for a run that fails.

    A failed run's folder stays in runs/: it has error.txt in place of receipt.json, and the notebook as far as it came.
    """
    workspace = workspaces.find()
    signing.check_key()
    run_folder.recover(workspace)
    reporter = reporter or Reporter()
    prepared = prepare(workspace, request, reporter.noted)
    folder = RunFolder.create(workspace, request.run or run_folder.new_id(prepared.name))
    try:
        run_folder.note_secrets(folder.path, prepared.redaction)
        reporter.run_started(folder.path, request, prepared.redaction)
        with signals.as_errors(), outputs.alone(workspace, prepared.settings.outputs, reporter.noted):
            _execute(folder, prepared, reporter)
    except BaseException as error:
        raise _failed(folder, error, prepared.redaction, workspace) from error
    finally:
        reporter.run_ended()
    final = folder.finish()
    _publish(prepared, final)
    return final


def _publish(prepared: PreparedRun, run: Path) -> None:
    if not prepared.request.is_trial:
        publish.publish(prepared.workspace, prepared.settings, run)


def finished_run(request: RunRequest) -> Path | None:
    """The finished run that did the same as this request would, its partitions published; None where there is none."""
    from samebook.execution import freshness

    workspace = workspaces.find()
    prepared = prepare(workspace, request)
    in_image = machine.engine() == "docker" and prepared.settings.promotion.pinned_image
    if run := freshness.fresh_run(prepared, in_image=in_image):
        _publish(prepared, run)
    return run


def _execute(folder: RunFolder, prepared: PreparedRun, reporter: Reporter) -> None:
    from samebook.execution import execute

    request, settings = prepared.request, prepared.settings
    started, before = _now(), outputs.beside(prepared.path.parent)
    page = _Background(_page)
    environment = _Background(partial(processes.shared, identity.of, prepared.workspace))
    timeout = settings.cell_timeout if request.cell_timeout is None else request.cell_timeout
    with run_folder.scratch(folder.path) as scratch:
        env = _kernel_env(prepared, folder, scratch)
        source = replace(_kernel_source(prepared, environment), run=folder.path)
        executed = execute.execute(
            execute.Execution(
                notebook=prepared.notebook,
                path=prepared.path,
                output=folder.path / run_folder.NOTEBOOK,
                scratch=scratch,
                env=env,
                observer=reporter,
                redaction=prepared.redaction,
                cell_timeout=timeout,
                save_every=settings.save_every,
                output_limit=settings.output_limit,
                source=source,
            )
        )
    background.check(folder.path)
    for event in run_folder.events(folder.path, run_folder.LIBRARIES):
        prepared.numerics.check(event["value"])
    run_folder.append_event(folder.path, {"kind": "kernel", "name": source.start})
    if request.pins.inputs is not None:
        run_folder.append_event(folder.path, {"kind": receipt.PINNED, "name": "inputs"})
    page.result().write(folder.path / run_folder.PAGE, executed, prepared.name)
    beside = outputs.take(prepared.path.parent, before, settings.outputs, folder.outputs)
    for line in (*beside, *outputs.normalize(folder.outputs, prepared.workspace.root)):
        reporter.noted(prepared.redaction.text(line))
    prepared.redaction.check_files(folder.path, run_folder.UNSEARCHED)
    events = tuple(origin.settled(prepared.workspace, prepared.source, prepared.path, run_folder.events(folder.path)))
    for line in origin.notes(events, settings.ignore_unseen):
        reporter.noted(prepared.redaction.text(line))
    outputs.write_metrics(folder.path, prepared.redaction)
    prepared = replace(prepared, source=_source_after(prepared, reporter))
    _write_receipt(folder, prepared, executed, events, started, environment.result())


def _source_after(prepared: PreparedRun, reporter: Reporter) -> Source:
    """The source, with the files that were edited during the run; `reporter` hears of them."""
    text = "\n".join(cell.source for cell in prepared.notebook.cells)
    source = run_source.after_run(prepared.workspace, prepared.source, prepared.path, text)
    for line in source.unpatched[len(prepared.source.unpatched) :]:
        reporter.noted(prepared.redaction.text(f"in no patch, so that the run can't be reproduced or promoted: {line}"))
    return source


def _kernel_env(prepared: PreparedRun, folder: RunFolder, scratch: Path) -> dict[str, str]:
    startup.write_script(scratch / "ipython", prepared.settings.output_limit)
    return {
        **variables.of_any_kernel(prepared.workspace, prepared.numerics, prepared.callers.variables),
        **variables.of_run(prepared.workspace, folder.path, prepared.request.env, scratch),
        **prepared.request.pins.write(scratch / "pinned.json"),
        "SAMEBOOK_BUILDER": receipt.builder(),
    }


def _kernel_source(prepared: PreparedRun, environment: "_Background[dict[str, Any]]") -> "provisioner.KernelSource":
    """The source of the kernel: a zygote where one is warm, else a process of its own.

    The zygote's kind depends on the environment's identity, which is waited for only where a zygote may be.
    """
    from samebook.execution import pool, provisioner

    sockets = face.folder(prepared.workspace)
    kind = pool.kind(prepared, environment.result()["digest"]) if sockets else None
    return provisioner.KernelSource(sockets, kind, face.take_early(), secrets=frozenset(prepared.callers.secrets))


def _page() -> ModuleType:
    """The module `execution.page`, with its templates compiled."""
    with without(absent=UNUSED, empty=(PARSER,)):
        from samebook.execution import page

    page.warm_up()
    return page


def _write_receipt(
    folder: RunFolder,
    prepared: PreparedRun,
    executed: Any,
    events: tuple[dict[str, Any], ...],
    started: str,
    environment: dict[str, Any],
) -> None:
    facts = provenance.Facts(
        workspace=prepared.workspace,
        run=folder.path,
        run_id=folder.id,
        notebook=prepared.path,
        source=prepared.source,
        executed=executed.cells,
        left_out=executed.left_out,
        identity=environment,
        parameters=parameters.json_values(prepared.values),
        env=prepared.request.env,
        numerics=prepared.numerics,
        callers=prepared.callers.digests,
        events=events,
        drift=prepared.drift | environment.get("edited", {}),
        redaction=prepared.redaction,
        started=started,
        finished=_now(),
    )
    statement = prepared.redaction.value(provenance.statement(facts), own_parts.RECEIPT)
    store = objects.local_store(prepared.workspace)
    for name in receipt.subject_digests(statement):
        store.put(folder.path / name)
    if (patch := folder.path / run_folder.PATCH).is_file():
        own_patches.put(prepared.workspace, patch)
    content = json_bytes(statement)
    store.put(content)
    workspaces.write_whole(folder.path / run_folder.RECEIPT, content)
    signing.sign(folder.path / run_folder.RECEIPT, content)


def _failed(folder: RunFolder, error: BaseException, redaction: Redaction, workspace: Workspace) -> BaseException:
    """Keep the folder of a failed run, with an error.txt; a note on the error, which is redacted, names the folder."""
    redaction.redact_error(error)
    try:
        (folder.path / run_folder.RECEIPT).unlink(missing_ok=True)
        redaction.remove_files(folder.path, run_folder.UNSEARCHED)
        (folder.path / run_folder.ERROR).write_text(redaction.text(f"{type(error).__name__}: {error}\n"))
        final = folder.finish()
    except OSError:
        return error  # a full disk, or no permission: the next start of samebook recovers the folder
    if isinstance(error, SamebookError):
        error.add_note(f"the run as far as it came: {workspace.relative(final)}")
    return error


class _Background[Result]:
    """Work that a thread does while the kernel runs in its own process."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._future: Future[Result] = Future()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._future.set_result(self._work())
        except Exception as error:
            self._future.set_exception(error)

    def result(self) -> Result:
        """The result.

        Work that failed is done again in this thread, because an import in two threads at once can fail.
        """
        return self._work() if self._future.exception() else self._future.result()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
