"""The commands for runs: run a notebook, list its runs, and reproduce or verify one, or ask why two differ."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from samebook.cli.options import ENGINE, ENV, FILE, SECONDS, VARIABLES, ToleranceType, mirror, parameters, say, show
from samebook.core import errors, workspace
from samebook.core.text import word

if TYPE_CHECKING:
    from samebook.verbs.reproduce import ReproduceRequest


@click.command()
@click.argument("notebook", metavar="NOTEBOOK", required=False)
@click.option("--receipt", type=FILE, help="Repeat the run of this receipt: its notebook, parameters and environment.")
@parameters
@ENV
@VARIABLES
@click.option(
    "--timeout",
    type=SECONDS,
    help="Seconds that a cell may take; 0 sets no limit, the default is cell_timeout of the settings.",
)
@click.option(
    "--allow-drift", is_flag=True, help="Run although the environment differs from the lock; the receipt records it."
)
@click.option("-v", "--verbose", is_flag=True, help="Show the output of the notebook's cells.")
@click.option("--dry-run", "--dry", is_flag=True, help="Check notebook, parameters and settings, without a run.")
@click.option("--reuse", is_flag=True, help="Give a finished run that did the same, without a new run.")
@click.option("--trial", is_flag=True, help="Publish nothing: days of datasets stay in the run's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as a JSON object, in one line.")
def run(
    notebook: str | None,
    receipt: Path | None,
    given: dict[str, str],
    env: str,
    timeout: int | None,
    allow_drift: bool,
    verbose: bool,
    dry_run: bool,
    reuse: bool,
    trial: bool,
    as_json: bool,
) -> None:
    """Run notebooks/NOTEBOOK.ipynb headless, into a folder of its own under runs/.

    Example: samebook run train -p max_depth=4 --env prod

    Exit codes: 0 done, 1 a cell failed, 2 usage or parameters, 4 data rejected by its schema, 5 environment
    does not match the lock, 6 refused by a policy, 130 Ctrl-C, 138 the kernel died, 143 SIGTERM.
    """
    from samebook.cli.console import Console
    from samebook.execution import preparation
    from samebook.records.summary import summarize
    from samebook.verbs import run as verb
    from samebook.verbs.runs import METRICS_SHOWN

    if (notebook is None) == (receipt is None):
        raise errors.UsageError(
            f"{'both' if notebook else 'neither'} of a notebook and a receipt; expected one of them",
            mend=f"make run NOTEBOOK={notebook}" if notebook else "make run NOTEBOOK=train",
        )
    request = preparation.RunRequest(notebook or "", given, env, timeout, allow_drift, is_trial=trial)
    if receipt:
        request = preparation.from_receipt(receipt, request)
    if dry_run:
        prepared = preparation.prepare(workspace.find(), request, say)
        show(f"would run {prepared.name}.ipynb with {prepared.values or 'its defaults'} in env {env}")
        return
    earlier = verb.finished_run(request) if reuse else None
    folder = earlier or verb.run(request, Console(verbose=verbose))
    if not (earlier or receipt or trial):
        mirror(folder, env)
    summary = summarize(folder)
    if as_json:
        show(json.dumps({**summary.as_json(), "reused": earlier is not None}))
        return
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in list(summary.metrics.items())[:METRICS_SHOWN])
    show(f"{workspace.find().relative(folder)}  {metrics}".rstrip())


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--last", type=click.IntRange(min=1), help="List only this many, the newest: nothing else is read.")
def runs(as_json: bool, last: int | None) -> None:
    """List the runs, newest first: the status, seconds and metrics of each."""
    from samebook.verbs import runs as verb

    summaries = verb.runs(workspace.find(), last)
    show(json.dumps([run.as_json() for run in summaries], indent=2) if as_json else verb.table(summaries))


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@ENGINE
@click.option(
    "--range",
    "range_",
    default="",
    help="Reproduce each model that is new in this range of commits instead, as main..HEAD.",
)
@ENV
@click.option(
    "--tolerance",
    type=ToleranceType(),
    default=0.0,
    help="Accept numbers that are at most this far apart, as EQUIVALENT.",
)
@click.option(
    "--times",
    type=click.IntRange(min=2),
    help="Run it this many times on this machine instead, and find the first cell that differs.",
)
@click.option("--strict", is_flag=True, help="Refuse a run that reads files which it does not declare.")
@VARIABLES
@click.option("--trust-patch", is_flag=True, help="Apply the changes that came with the receipt: their code runs here.")
def reproduce(
    run: str | None,
    engine: str,
    range_: str,
    env: str,
    tolerance: float,
    times: int | None,
    strict: bool,
    trust_patch: bool,
) -> None:
    """Run RUN again from its receipt, in a worktree of its own, and give a verdict by hash on each of its results.

    \b
    Examples:
      samebook reproduce train
      samebook reproduce --range main..retrain    what a branch promotes, as CI does

    RUN is a run's id, the file of a receipt, a notebook's name for its newest run, or a promoted model's name
    (churn, churn@prod). Exit code 0 for IDENTICAL (with --tolerance also EQUIVALENT), 3 for any other verdict.
    The gate's run on it is reproduced, too: that of the model's bundle, or the newest one where a committed policy
    asks for reproductions. With --times, RUN may also be a notebook that has not run yet; a run is compared with new
    ones at its commit. Receipts and inputs of a range's models come from the shared store of --env.
    """
    from samebook.verbs.reproduce import ReproduceRequest

    if (run is None) == (not range_) or (range_ and times):
        raise errors.UsageError("expected RUN, or RANGE alone", mend="make reproduce RUN=train")
    if run and times:
        _print_stability(run, times, engine, trust_patch)
        return
    request = ReproduceRequest(run or "", engine, tolerance, strict, trust_patch)
    names = _new_models(range_, env) if run is None else [run]
    verdicts = [_reproduced(replace(request, run=name)) for name in names]
    if not all(verdicts):
        sys.exit(errors.NotReproduced.exit_code)


def _new_models(range_: str, env: str) -> list[str]:
    from samebook.review import new_models

    names = new_models.references(workspace.find(), range_, env, say)
    say(f"{range_} brings {', '.join(names) or 'no model'}")
    return names


def _reproduced(request: "ReproduceRequest") -> bool:
    """Print the verdicts on a run, and on its gate's unless that of the run is a bad one; whether all are good."""
    from samebook.models import reproducible
    from samebook.records import signing
    from samebook.verbs import reproduce as verb

    for number, path in enumerate(reproducible.receipts(workspace.find(), request.run)):
        if number:
            say(f"\nand its gate's run, {path.parent.name}")
        reproduction = verb.reproduce(replace(request, run=str(path)), say)
        show(verb.table(reproduction))
        show(f"attested in {workspace.find().relative(reproduction.attestation)}")
        if not signing.envelope_path(reproduction.attestation).is_file():
            say("unsigned: the builder's name in it proves nothing to others, a trusted key does: SIGNING_KEY=me.pem")
        if reproduction.verdict not in (verb.Verdict.IDENTICAL, verb.Verdict.EQUIVALENT):
            return False
    return True


def _print_stability(run: str, times: int, engine: str, trust_patch: bool) -> None:
    from samebook.verbs import stability as verb

    result = verb.stability(verb.StabilityRequest(run, times, engine, trust_patch), say)
    show(verb.table(result))
    if result.difference:
        sys.exit(errors.NotReproduced.exit_code)


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@ENGINE
@click.option("--metric", default="", help="Explain this metric alone.")
@click.option(
    "--subject", default="", help="Explain this result: metrics.json by default, else the first that differs."
)
@click.option("--runs", "most", type=click.IntRange(min=2), default=30, help="Make at most this many new runs.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=60, help="Start none after so long.")
@click.option("--dry", is_flag=True, help="List what differs, and run nothing.")
@click.option(
    "--trust-patch", is_flag=True, help="Apply the changes that came with the receipts: their code runs here."
)
def why(
    before: str,
    after: str,
    engine: str,
    metric: str,
    subject: str,
    most: int,
    minutes: float,
    dry: bool,
    trust_patch: bool,
) -> None:
    """Say why B is another result than A: the changes that make the difference, found by running mixtures of both.

    \b
    Examples:
      samebook why 20130630T120000Z-train-1a2b3c train     a run, and the newest one of train
      samebook why churn@prod churn@main --metric auc      what two branches promote

    A and B are runs of one notebook, each named as `samebook reproduce` names them. Code is taken apart by file, cell
    and lines, a lock by package, datasets by day. What a search has found is kept: the same command goes on after
    --runs or --minutes are over. Exit code 3 where A or B gives another result here than it did.
    """
    from samebook.verbs import why as verb

    request = verb.WhyRequest(before, after, subject, metric, most, minutes, engine, trust_patch, dry)
    answer = verb.why(request, say)
    show(verb.table(answer))
    if answer.limit:
        asked = {"A": before, "B": after, "METRIC": metric, "SUBJECT": subject}
        asked |= {"RUNS": str(2 * most), "MINUTES": f"{2 * minutes:g}"}
        raise errors.SamebookError(
            f"the search is not over: {answer.limit}",
            mend=" ".join(["make why", *(f"{name}={word(value)}" for name, value in asked.items() if value)]),
        )


@click.command()
@click.argument("run", metavar="RUN")
def verify(run: str) -> None:
    """Check the signature of RUN's receipt, and its hash of each result and byproduct against the files.

    RUN is a run's id, a notebook's name for its newest run, or the file of a receipt or of an attestation.
    Exit code 0 where the signature and all hashes hold, 3 for a file with another hash, 6 for a signature that is
    missing, unknown or wrong.
    """
    from samebook.records import run_folder
    from samebook.verbs import verify as verb

    show(verb.table(verb.verify(run_folder.locate(workspace.find(), run))))
