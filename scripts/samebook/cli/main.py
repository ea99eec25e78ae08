"""The entry point: the group of all commands, and the exit code of each error."""

import errno
import os
import sys
from pathlib import Path

import click

from samebook.cli import make_call
from samebook.cli.cluster import cluster, kubernetes
from samebook.cli.environment import data, doctor, kernel, settings
from samebook.cli.models import bundle, diff, lint, models, promote, review, rollback
from samebook.cli.monitoring import ack, drift, report
from samebook.cli.options import say
from samebook.cli.pipelines import backfill, pipeline, pipelines, watch
from samebook.cli.projects import adopt, new, update
from samebook.cli.release import deploy, publish, sbom, verify_image
from samebook.cli.runs import reproduce, run, runs, verify, why
from samebook.cli.store import compare, export, fetch, keep, lineage, mlflow, store
from samebook.cli.sweeps import sweep, warm
from samebook.cli.upkeep import ci, gc, hooks, log, schedule
from samebook.core import errors, processes

# Where only the packages of the command line are installed, and a command needs those of runs, or of new projects.
EXTRA = "pip install 'samebook[{extra}]'; in a workspace make has what the lock names: make run"


def _print_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Print the version, and the commit that it is of: a wheel's version names it, a checkout's is HEAD."""
    if is_asked and not context.resilient_parsing:
        from samebook.environment import identity

        click.echo(f"samebook {identity.samebook_version()}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def cli() -> None:
    """Run notebooks headless in a pinned environment: the same notebook, on every machine.

    \b
      samebook new churn                      make a project of your own in a new folder
      samebook run train                      run notebooks/train.ipynb
      samebook run train -p max_depth=4       run it with a parameter
      samebook runs                           list the runs with their metrics
      samebook reproduce train                run the newest run again, and compare by hash
    """


for command in (
    *(run, runs, reproduce, why, compare, lineage, verify),
    *(data, settings, doctor, kernel),
    *(adopt, promote, rollback, models, bundle, diff, review, lint, store, fetch, keep, export, mlflow),
    *(pipeline, pipelines, backfill, watch),
    *(sweep, warm, cluster, kubernetes),
    *(drift, ack, report, log, gc, hooks, schedule, ci),
    *(new, update),
    *(publish, verify_image, sbom, deploy),
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; an error becomes a message on stderr and an exit code here, and nowhere else."""
    try:
        cli(make_call.arguments(cli, sys.argv[1:], os.environ), prog_name="samebook", standalone_mode=False)
        processes.exit_at_once()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except errors.SamebookError as error:
        sys.exit(_print_error(error, error.exit_code, error.mend))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "samebook":
            raise
        extra = "new" if error.name == "copier" else "run"
        sys.exit(_print_error(error, errors.EnvironmentMismatch.exit_code, EXTRA.format(extra=extra)))
    except OSError as error:
        sys.exit(_print_error(error, *_storage(error)))


def _print_error(error: Exception, code: int, mend: str | None) -> int:
    """Print an error, its notes and the command that mends it; returns the exit code."""
    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    say(str(error))
    for note in errors.notes(error):
        say(f"  {note}")
    if mend:
        say(f"  {errors.ARROW}{mend}")
    return code


def _storage(error: OSError) -> tuple[int, str | None]:
    """The exit code for an error of the file system, and what mends it."""
    folder = Path(error.filename or ".").parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.SamebookError.exit_code, f"free some space at {folder}: make clean, or an older run in runs/"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return errors.UsageError.exit_code, f"give user {os.getuid()} permission to write in {folder}"
    return errors.SamebookError.exit_code, None
