"""The verdict of a day in one line: what is new, since when, whether it hurts, and what to do."""

from samebook.core.text import visible
from samebook.monitoring.finding import ACKNOWLEDGED, ALARM, KNOWN, OK, VERDICTS, WARN, Finding, Findings, Standing

type Pair = tuple[Finding, Standing]

# The change of a metric that is none, to who reads it.
SMALL = 0.0005
UNITS = {"auc": "AUC", "calibration_error": "calibration error"}


def line(report: Findings) -> str:
    """The verdict, as one line: `churn 2013-07-27: alarm: country (unseen 0 % to 17 %), since today; …`."""
    told = sorted(_in(report, "told"), key=lambda pair: (-VERDICTS.index(pair[1].told), pair[0].span != "day"))
    parts = [_first(report, told), _others(told[1:])] if told else [OK if report.verdict == OK else "nothing new"]
    words = "; ".join(filter(None, (*parts, _known(report), _acknowledged(report))))
    return visible(f"{report.model} {report.day}: {words}", kept="")


def _in(report: Findings, what: str) -> list[Pair]:
    return [pair for pair in report.pairs() if (pair[1].told != OK if what == "told" else pair[1].state == what)]


def _first(report: Findings, told: list[Pair]) -> str:
    finding, standing = told[0]
    since = "today" if standing.since == report.day else standing.since
    what = f"{standing.told}: {_what(report, finding)}, since {since}"
    return "; ".join((what, _hurts(report, finding), _action(finding, report.day)))


def _what(report: Findings, finding: Finding) -> str:
    """What a finding is of, and how it differs; of a window, how long that is."""
    moved = report.likeness.moved(finding) if report.likeness else ""
    span = "" if finding.span == "day" else f" over {finding.span}"
    detail = moved or finding.detail
    return f"{finding.name}{span}" + (f" ({detail})" if detail else "")


def _hurts(report: Findings, finding: Finding) -> str:
    """Whether a finding hurts: the change of the metrics that it can explain."""
    if finding.kind == "quality":
        return f"it hurts: at least {finding.value:.3f}"
    effect = dict(report.effects).get(finding.key)
    if effect is None:
        return "whether it hurts is not known"
    changes = [f"{unit} {effect[name]:+.3f}" for name, unit in UNITS.items() if abs(effect[name]) >= SMALL]
    return f"it can explain {' and '.join(changes)}" if changes else "it explains no change of AUC or calibration"


def _action(finding: Finding, day: str) -> str:
    """What to do: where nothing is wrong, acknowledge it."""
    if finding.kind == "quality" or (finding.kind == "feature" and finding.span != "day"):
        return "train again"
    return f"look at the data of {day}, and where they are right: make ack RUN=… WHAT={_word(finding.name)} WHY=…"


def _word(name: str) -> str:
    return name if name.replace("_", "").isalnum() else f"'{name}'"


def _others(told: list[Pair]) -> str:
    names = [f"{finding.name}{'' if finding.span == 'day' else ' over ' + finding.span}" for finding, _ in told]
    return f"new, too: {', '.join(names)}" if names else ""


def _known(report: Findings) -> str:
    """What goes on as it was said: alarms by name and since when, warnings by their number."""
    known = _in(report, KNOWN)
    alarms = [f"{finding.name} since {standing.since}" for finding, standing in known if finding.verdict == ALARM]
    warnings = sum(finding.verdict == WARN for finding, _ in known)
    parts = [f"alarm {', '.join(alarms)}"] if alarms else []
    parts += [f"{warnings} warning{'s' * (warnings != 1)}"] if warnings else []
    return f"as before: {', '.join(parts)}" if parts else ""


def _acknowledged(report: Findings) -> str:
    names = [finding.name for finding, _ in _in(report, ACKNOWLEDGED)]
    return f"acknowledged: {', '.join(names)}" if names else ""
