"""Acknowledge a finding of monitoring: somebody has looked at it, answers for it, and need not hear of it again."""

import datetime
import json
import re
from dataclasses import dataclass
from typing import Any

from samebook.core import workspace as workspaces
from samebook.core.digest import sha256
from samebook.core.errors import UsageError, nearest
from samebook.core.text import visible, word
from samebook.core.workspace import Workspace
from samebook.models import commits
from samebook.monitoring import acknowledged
from samebook.monitoring.acknowledged import Acknowledgement, Withdrawal
from samebook.monitoring.finding import OK, Finding, Said
from samebook.records import receipt, run_folder

REPORT = "drift.json"
# A model, a run or a notebook, `@` a branch: never a path.
MODEL = re.compile(r"\w[\w-]*(@\S+)?")


@dataclass(frozen=True)
class AckRequest:
    """One call of `samebook ack`: a run of monitoring, the name of a finding in its report, and the reason.

    `window` means the finding over several days, where there is one of the day, too. `withdraw` ends what was
    acknowledged of it.
    """

    run: str
    what: str
    why: str
    window: bool = False
    withdraw: bool = False


@dataclass(frozen=True)
class Acknowledged:
    """The acknowledgement of a model's finding, and its commit; the number of those that were withdrawn instead."""

    model: str
    acknowledgement: Acknowledgement
    commit: str
    withdrawn: int = 0


def ack(request: AckRequest) -> Acknowledged:
    """Add a line to models/<name>.acknowledged.jsonl, in one commit. Raises UsageError where the report of the run has
    no such finding beyond its limits, or is not what the receipt says; git and work tree are then as before.
    """
    workspace = workspaces.find()
    if not request.why.strip():
        raise UsageError("no reason is given; expected why it is no fault", mend=_mend(request, request.what))
    run = run_folder.locate(workspace, request.run).parent
    report = _report(workspace, run.name)
    try:
        finding, said = _found(report, request)
    except (LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"{REPORT} of {run.name} is no report of monitoring; found {error!r}", mend="make run NOTEBOOK=monitor"
        ) from None
    path = acknowledged.path(workspace, report["model"])
    with commits.hold_branch(workspace, path) as tip:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        who = commits.author(workspace.root)
        given = Acknowledgement.of(finding, said, who=who, when=now, why=request.why.strip(), run=run.name)
        before = acknowledged.content(workspace, report["model"])
        digests = _digests(before, report["model"], given) if request.withdraw else ()
        line = Withdrawal(who, now, given.why, digests).line() if request.withdraw else given.line()
        content = before + (b"" if before.endswith(b"\n") or not before else b"\n") + line
        acknowledged.parse(content, report["model"])
        message = _message("Withdraw" if request.withdraw else "Acknowledge", report["model"], given)
        commit = commits.commit_file(workspace, tip, path, content, message)
    return Acknowledged(report["model"], given, commit, len(digests))


def _digests(lines: bytes, model: str, given: Acknowledgement) -> tuple[str, ...]:
    """The sha256 of each line that acknowledges the same finding. Raises UsageError where there is none."""
    found = tuple(digest for digest, other in acknowledged.in_force(lines, model) if other.key == given.key)
    if not found:
        raise UsageError(
            f"nobody has acknowledged {given.name}, {given.span}, of {model}", mend=f"git log -- models/{model}*"
        )
    return found


def text(result: Acknowledged) -> str:
    """What was acknowledged, in one line, and its commit."""
    given = result.acknowledgement
    what = f"{given.name}{'' if given.span == 'day' else ', over the window'}"
    value = f"{given.said.verdict} {given.said.value:g} of {given.said.day}"
    if result.withdrawn:
        return f"{result.model}: {what} is acknowledged no more\ncommitted {result.commit[:12]}"
    return f"{result.model}: {what} ({value}) is acknowledged by {given.who}\ncommitted {result.commit[:12]}"


def _report(workspace: Workspace, run: str) -> dict[str, Any]:
    """The report of a run of monitoring, as its receipt has it."""
    path = workspace.runs / run / "outputs" / REPORT
    if not path.is_file():
        raise UsageError(f"run {run} has no {REPORT}; expected a run of monitoring", mend="make runs")
    content = path.read_bytes()
    digests = receipt.subject_digests(receipt.read(workspace.runs / run / run_folder.RECEIPT))
    if digests.get(f"outputs/{REPORT}") != sha256(content):
        raise UsageError(
            f"{REPORT} of {run} is not what its receipt says: it was changed since", mend=f"make verify RUN={word(run)}"
        )
    report = json.loads(content)
    model = report.get("model") if isinstance(report, dict) else None
    if not isinstance(model, str) or not MODEL.fullmatch(model):
        raise UsageError(f"{REPORT} of {run} names no model; expected one of models/", mend="make run NOTEBOOK=monitor")
    return report


def _found(report: dict[str, Any], request: AckRequest) -> tuple[Finding, Said]:
    """The finding that a name means, and how it is: that of the day, unless only the window has one."""
    beyond = [item for item in report["findings"] if item["verdict"] != OK]
    named = [item for item in beyond if item["name"] == request.what]
    spans = [item for item in named if (item["span"] != "day") == request.window] or (
        named if not request.window else []
    )
    if not spans:
        names = sorted({item["name"] for item in beyond})
        raise UsageError(
            f"the report of {report['day']} warns of no {request.what!r}{nearest(request.what, names)}; "
            f"it warns of {', '.join(names) or 'nothing'}",
            mend=_mend(request, names[0]) if names else "make runs",
        )
    item = spans[0]
    finding = Finding(**{name: item[name] for name in Finding.__dataclass_fields__ if name in item})
    said = Said(
        report["day"], finding.verdict, finding.value, finding.way, item.get("bins", ""), tuple(item.get("counts", ()))
    )
    return finding, said


def _mend(request: AckRequest, what: str) -> str:
    return f"make ack RUN={word(request.run)} WHAT={word(what)} WHY='…'"


def _message(verb: str, model: str, given: Acknowledgement) -> str:
    subject = visible(f"{verb} {given.name} of {given.said.day}, monitored for {model}", kept="")
    return f"{subject}\n\n{given.why}\n"
