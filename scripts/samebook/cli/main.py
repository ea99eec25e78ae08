"""The commands. Each body parses, calls one function and prints its result; here alone the program exits."""

import errno
import json
import os
import sys
from pathlib import Path

import click

from samebook.cli import make_call
from samebook.cli.models import bundle, models, promote, rollback
from samebook.cli.monitoring import drift
from samebook.cli.options import ENGINE, ENV, FILE, parameters, say, show
from samebook.cli.pipelines import backfill, pipeline, pipelines, watch
from samebook.cli.store import store
from samebook.cli.sweeps import sweep, warm
from samebook.cli.upkeep import gc, log, schedule
from samebook.core import errors, processes, workspace


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="samebook")
def cli() -> None:
    """The same notebook, on every machine: run notebooks headless in a pinned environment.

    \b
      samebook run train                      run notebooks/train.ipynb
      samebook run train -p max_depth=4       ... with a parameter
      samebook runs                           what ran, and how well
    """


@cli.command()
@click.argument("notebook", metavar="NOTEBOOK", required=False)
@click.option("--receipt", type=FILE, help="Do what this receipt did.")
@parameters
@ENV
@click.option("--timeout", type=click.IntRange(min=0), help="Seconds that a cell may take; 0 is no limit.")
@click.option("--allow-drift", is_flag=True, help="Run although the environment is not the lock's; recorded.")
@click.option("-v", "--verbose", is_flag=True, help="Show what the notebook prints.")
@click.option("--dry-run", "--dry", is_flag=True, help="Check notebook, parameters and settings, and start nothing.")
@click.option("--json", "as_json", is_flag=True, help="For machines: print the run as a JSON object, in one line.")
def run(
    notebook: str | None,
    receipt: Path | None,
    given: dict[str, str],
    env: str,
    timeout: int | None,
    allow_drift: bool,
    verbose: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run notebooks/NOTEBOOK.ipynb headless, into a folder of its own under runs/.

    Exit codes: 0 done, 1 a cell failed, 2 usage or parameters, 4 data rejected by its schema, 5 environment
    does not match the lock, 6 refused by a policy, 130 Ctrl-C, 138 the kernel died, 143 SIGTERM.
    """
    from samebook.cli.console import Console
    from samebook.execution import preparation
    from samebook.records.summary import summarize
    from samebook.verbs import run as verb
    from samebook.verbs.runs import METRICS_SHOWN

    if (notebook is None) == (receipt is None):
        raise errors.UsageError("expected a notebook or --receipt, one of them")
    request = preparation.RunRequest(notebook or "", given, env, timeout, allow_drift)
    if receipt:
        request = preparation.from_receipt(receipt, request)
    if dry_run:
        prepared = preparation.prepare(workspace.find(), request)
        show(f"would run {prepared.path.name} with {prepared.values or 'its defaults'} in env {env}")
        return
    done = verb.run(request, Console(verbose=verbose))
    found = summarize(done)
    if as_json:
        show(json.dumps(found.as_json()))
        return
    shown = "  ".join(f"{name} {value:.4g}" for name, value in list(found.metrics.items())[:METRICS_SHOWN])
    show(f"{workspace.find().relative(done)}  {shown}".rstrip())


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON list.")
def runs(as_json: bool) -> None:
    """List the runs, newest first: status, seconds, metrics."""
    from samebook.verbs import runs as verb

    found = verb.runs(workspace.find())
    show(json.dumps([run.as_json() for run in found], indent=2) if as_json else verb.table(found))


@cli.command()
@click.argument("run", metavar="RUN")
@ENGINE
@click.option("--tolerance", type=click.FloatRange(min=0), default=0.0, help="Accept numbers this far apart.")
@click.option("--times", type=click.IntRange(min=2), help="Instead, run it so many times here: which cell differs?")
def reproduce(run: str, engine: str, tolerance: float, times: int | None) -> None:
    """Run RUN again from its receipt, elsewhere, and give a verdict by hash on each of its results.

    RUN is a run's id, the file of a receipt, a notebook's name for its newest run, or a promoted model's name
    (churn, churn@prod). Exit code 0 for IDENTICAL (with --tolerance also EQUIVALENT), 3 for anything else. With
    --times, find the first cell that makes runs of the same differ, and why; RUN may then be a notebook that has
    not run yet.
    """
    from samebook.verbs import reproduce as verb

    if times:
        _repeated(run, times)
        return
    found = verb.reproduce(verb.ReproduceRequest(run, engine, tolerance), say)
    show(verb.table(found))
    show(f"attested in {workspace.find().relative(found.attestation)}")
    if found.verdict not in (verb.Verdict.IDENTICAL, verb.Verdict.EQUIVALENT):
        sys.exit(errors.NotReproduced.exit_code)


def _repeated(run: str, times: int) -> None:
    from samebook.verbs import stability as verb

    found = verb.stability(verb.StabilityRequest(run, times), say)
    click.echo(verb.table(found))
    if found.difference:
        sys.exit(errors.NotReproduced.exit_code)


@cli.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--mermaid",
    type=click.Path(dir_okay=False, allow_dash=True),
    is_flag=False,
    flag_value="-",
    help="Draw it into this file instead, or on stdout.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON object.")
def lineage(run: str, mermaid: str | None, as_json: bool) -> None:
    """Show where a result comes from: its run, what that read, the runs that made it, and so on.

    RUN is a run's id, the file of a receipt, or a notebook's name for its newest run.
    """
    from samebook.verbs import lineage as verb

    found = verb.lineage(workspace.find(), run)
    if mermaid and mermaid != "-":
        workspace.write_whole(Path(mermaid), verb.mermaid(found).encode())
        click.echo(f"drawn in {mermaid}")
    elif mermaid:
        click.echo(verb.mermaid(found), nl=False)
    else:
        click.echo(json.dumps(found.as_json(), indent=2) if as_json else verb.text(found))


@cli.command()
@ENV
def data(env: str) -> None:
    """Load the sample warehouse, where the settings say that there is one and it is missing."""
    from samebook.data import warehouse
    from samebook.environment import settings

    here = workspace.find()
    show(warehouse.ensure(here, settings.load(here, env).warehouse))


@cli.command()
@ENV
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON list.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a settings file instead.")
def settings(env: str, as_json: bool, schema: bool) -> None:
    """Show the settings in force: each value, and the variable or file that says so."""
    from dataclasses import asdict

    from samebook.verbs import settings as verb

    if schema:
        click.echo(verb.schema(), nl=False)
        return
    found = verb.settings(workspace.find(), env)
    show(json.dumps([asdict(each) for each in found], indent=2) if as_json else verb.table(found))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON list.")
@click.option("--against", type=FILE, help="Compare with the environment that this receipt names.")
@click.option("--port", type=click.IntRange(1, 65535), default=8888, help="The port that Lab shall have.")
def doctor(as_json: bool, against: Path | None, port: int) -> None:
    """Compare the environment with what is pinned; exit code 5 when results could differ."""
    from dataclasses import asdict

    from samebook.records import receipt
    from samebook.verbs import doctor as verb

    if against:
        lines = verb.against(workspace.find(), receipt.read(against))
        show("\n".join(lines) or "the same environment, as far as results go")
        sys.exit(errors.EnvironmentMismatch.exit_code if lines else 0)
    findings = verb.doctor(workspace.find(), port)
    show(json.dumps([asdict(each) for each in findings], indent=2) if as_json else verb.table(findings))
    if any(each.changes_results and not each.ok for each in findings):
        sys.exit(errors.EnvironmentMismatch.exit_code)


@cli.command()
@click.argument("run", metavar="RUN")
def verify(run: str) -> None:
    """Check the signature of RUN's receipt, and its hash of each result and byproduct against the files.

    RUN is a run's id, a notebook's name for its newest run, or the file of a receipt or of an attestation.
    Exit code 0 when all holds, 3 for other bytes, 6 for a signature that is missing, unknown or wrong.
    """
    from samebook.records import run_folder
    from samebook.verbs import verify as verb

    show(verb.table(verb.verify(run_folder.locate(workspace.find(), run))))


for command in (
    promote,
    rollback,
    models,
    bundle,
    store,
    pipeline,
    pipelines,
    backfill,
    watch,
    sweep,
    warm,
    drift,
    log,
    gc,
    schedule,
):
    cli.add_command(command)


def main() -> None:
    """The one boundary where an error becomes words on stderr and an exit code."""
    try:
        cli(make_call.arguments(cli, sys.argv[1:], os.environ), prog_name="samebook", standalone_mode=False)
        processes.exit_at_once()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except errors.SamebookError as error:
        sys.exit(_told(error, error.exit_code, error.mend))
    except OSError as error:
        sys.exit(_told(error, *_storage(error)))


def _told(error: Exception, code: int, mend: str | None) -> int:
    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    click.echo(error, err=True)
    for note in getattr(error, "__notes__", ()):
        click.echo(f"  {note}", err=True)
    if mend:
        click.echo(f"  -> {mend}", err=True)
    return code


def _storage(error: OSError) -> tuple[int, str | None]:
    place = Path(error.filename or ".").parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.SamebookError.exit_code, f"free some space at {place}: make clean, or an older run in runs/"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return errors.UsageError.exit_code, f"give user {os.getuid()} permission to write in {place}"
    return errors.SamebookError.exit_code, None
