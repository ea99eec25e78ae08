"""The report of a season: the quality of its scores, its checks, and the day on which each fault was noticed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from season_plan import FIRST, HOURS, LACKING, NEW, OLD

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from season import Replay

COLORS = {"ok": "#9bb7d4", "warn": "#e8b04a", "alarm": "#a00000"}
CHAMPION, BASELINE = "#c1440e", "#7a8ca3"
SMOOTH = 7


def quality(replay: "Replay", day: str) -> dict[str, float]:
    """AUC of a day's published scores, and of the baseline of its past: shares by carrier and hour."""
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    path = replay.data / "predictions" / f"day={day}" / "part-0.parquet"
    rows = labelled(replay, day).merge(pd.read_parquet(path)[["id", "probability"]], on="id", validate="one_to_one")
    before = [str(date.fromisoformat(day) - timedelta(days=n + 1)) for n in range(replay.plan.learns_from)]
    past = pd.concat([labelled(replay, earlier) for earlier in before], ignore_index=True)
    scores = {"auc": rows["probability"], "baseline": baseline(past, rows)}
    return {name: round(float(roc_auc_score(rows["late"], score)), 4) for name, score in scores.items()}


def labelled(replay: "Replay", day: str) -> "pd.DataFrame":
    """A day's flights that arrived, under the carrier's code of that day: id, carrier, departure, late (0 or 1)."""
    number = (date.fromisoformat(day) - FIRST).days
    flights = replay.source.sent(replay.plan, number)[["id", "carrier", "departure"]]
    outcomes = replay.source.outcomes[day][["id", "late"]].dropna()
    return flights.merge(outcomes, on="id", validate="one_to_one").astype({"late": int})


def baseline(past: "pd.DataFrame", rows: "pd.DataFrame") -> "pd.Series":
    """The baseline of the notebook train: the late share by carrier and hour, with one flight at the overall share."""
    import pandas as pd

    overall = past["late"].mean()
    late = past["late"].groupby([past["carrier"], past["departure"].dt.hour]).agg(["sum", "size"])
    groups = pd.MultiIndex.from_arrays([rows["carrier"], rows["departure"].dt.hour])
    return ((late["sum"] + overall) / (late["size"] + 1)).reindex(groups).fillna(overall).set_axis(rows.index)


def failed_checks(replay: "Replay") -> list[str]:
    """The failed checks at the end; none, if each day has been scored once by the right bundle."""
    plan, data = replay.plan, replay.data
    days = [plan.day(number) for number in range(plan.days)]
    failures = [failure for number, day in enumerate(days) for failure in _check_day(replay, number, day)]
    scored = sorted(path.name.removeprefix("day=") for path in (data / "predictions").glob("day=*"))
    refused = [path.name[:18] for path in sorted((data / "quarantine").glob("*.csv"))]
    partial = sorted(path.name for path in (replay.clone.root / "runs" / ".partial").glob("*-*"))
    expected = {
        "days with predictions": (scored, days),
        "files left in the inbox": (sorted(path.name for path in (data / "inbox").iterdir()), []),
        "files in quarantine": (refused, [f"flights-{plan.day(plan.broken)}"]),
        "half-written runs": (partial, []),
        "a warehouse to read ahead in": (sorted(path.name for path in data.glob("warehouse.duckdb")), []),
        "kernels that run on": (replay.clone.kernels(), []),
    }
    return failures + [
        f"{name}: found {actual}, expected {due}" for name, (actual, due) in expected.items() if actual != due
    ]


def _check_day(replay: "Replay", number: int, day: str) -> Iterator[str]:
    """The failed checks of a day's predictions: of each arrived flight once, by the promoted bundle."""
    import pandas as pd

    folder = replay.data / "predictions" / f"day={day}"
    files = sorted(path.name for path in folder.iterdir())
    rows = pd.read_parquet(folder / "part-0.parquet")
    sent, scored = replay.source.sent(replay.plan, number), replay.scored[day]
    origin = json.loads((folder / "_origin.json").read_text())
    receipts = replay.clone.root.glob("runs/*-predict-*/receipt.json")
    runs = [path.parent.name for path in receipts if f'"day": "{day}"' in path.read_text()]
    expected = {
        "files": (files, ["_origin.json", "part-0.parquet"]),
        "flights": (sorted(rows["id"]), sorted(sent["id"])),
        "bundle": (set(rows["bundle"]), {scored[-1]}),
        "times scored": (len(scored), 2 if number in replay.plan.hours else 1),
        "versions": (len(origin["versions"]), len(scored)),
        "runs": (len(runs), len(scored)),
    }
    for name, (actual, due) in expected.items():
        if actual != due:
            yield f"{day}: {name}: found {str(actual)[:80]}, expected {str(due)[:80]}"


def summary(replay: "Replay") -> dict[str, Any]:
    """The planted faults, the day on which each was noticed, and the alarms without a planted fault."""
    plan = replay.plan
    seen = first_seen(replay.days)
    spoiled = next(record for record in replay.retrainings if record["spoiled"])
    broken = next(record for record in replay.days if record["quarantined"])
    whole = next(record["day"] for record in replay.days if plan.day(plan.broken) in record["scored"])
    gate = f"exit code {spoiled['code']}: AUC {spoiled['candidate']:.3f}, champion {spoiled['champion']:.3f}"
    faults = [
        _fault(f"{LACKING} missing", plan.day(plan.broken), broken["day"], f"quarantined; scored {whole}"),
        _drift(seen, plan.day(plan.renamed), "carrier", f"carrier {OLD} is {NEW}"),
        _fault("a bad model", plan.day(plan.spoiled), spoiled["day"] if spoiled["code"] == 6 else "", gate),
        _drift(seen, plan.day(plan.hours[0]), HOURS, f"{HOURS} in hours"),
    ]
    quiet = [day for day in seen if day < plan.day(plan.renamed)]
    planted = {"carrier", HOURS}
    alarms = {day: sorted(set(findings["alarms"]) - planted) for day, findings in seen.items()}
    return {
        "faults": sorted(faults, key=lambda fault: fault["planted"]),
        "quiet_days": len(quiet),
        "alarms_before_drift": [day for day in quiet if seen[day]["verdict"] == "alarm"],
        "unplanted": {day: names for day, names in alarms.items() if names},
        "said_a_day": round(sum(findings["said"] for findings in seen.values()) / len(seen), 2),
        "seconds_a_day": round(sum(record["seconds"] for record in replay.days) / len(replay.days), 1),
    }


def first_seen(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The findings on each day when it was first scored."""
    first: dict[str, Any] = {}
    for record in days:
        for day, findings in record["seen"].items():
            first.setdefault(day, findings)
    return dict(sorted(first.items()))


def _drift(seen: Mapping[str, Any], planted: str, name: str, what: str) -> dict[str, str]:
    """The record of a drift, which is noticed on the first day on which an alarm of that very feature is said."""
    days = [day for day, findings in seen.items() if name in findings["alarms"]]
    noticed, early = [day for day in days if day >= planted], [day for day in days if day < planted]
    lasted = sum(name in findings["found"] for day, findings in seen.items() if day >= planted)
    how = f"alarm: {name}, said on {len(noticed)} of {lasted} days" + (f"; {len(early)} false before" if early else "")
    return _fault(what, planted, noticed[0] if noticed else "", how if noticed else "no alarm")


def _fault(what: str, planted: str, noticed: str, how: str) -> dict[str, str]:
    return {"what": what, "planted": planted, "noticed": noticed, "how": how}


def day_line(day: Mapping[str, Any]) -> str:
    """A day, as a line of progress."""
    parts = [
        f"{name[5:]} AUC {seen['auc']:.3f} (baseline {seen['baseline']:.3f}) {seen['verdict']}"
        + (f": {', '.join(seen['alarms'])}" if seen["alarms"] else "")
        for name, seen in day["seen"].items()
    ]
    return "; ".join(
        [f"{day['day']} {day['seconds']:5.1f} s", *parts, *(f"{name} quarantined" for name in day["quarantined"])]
    )


def retraining_line(record: Mapping[str, Any]) -> str:
    """A retraining, as a line of progress."""
    end = "promoted" if record["promoted"] else f"refused (exit code {record['code']}): {record['said']}"
    pipeline = f"{record['pipeline']}{' spoiled' * record['spoiled']}"
    return f"{record['day']} {record['seconds']:5.1f} s  {pipeline}: {end}"


def table(report: Mapping[str, Any]) -> str:
    """The faults with the day on which each was noticed; then retrainings, alarms, time and failed checks."""
    lines = [f"{'fault':<28} {'planted':<11} {'noticed':<11} how"]
    lines += [
        f"{fault['what']:<28} {fault['planted']:<11} {fault['noticed'] or 'never':<11} {fault['how']}"
        for fault in report["faults"]
    ]
    retrainings = report["retrainings"]
    promoted = sum(record["promoted"] for record in retrainings)
    refused = [record["day"] for record in retrainings if not record["promoted"] and not record["spoiled"]]
    lines += [
        f"{len(retrainings)} retrainings: {promoted} promoted; refused, but not spoiled: {refused or 'none'}",
        f"alarms on {len(report['alarms_before_drift'])} of {report['quiet_days']} days before the first planted "
        f"drift; in all {len(report['unplanted'])} days with alarms that nobody planted",
        f"{report['said_a_day']} warnings and alarms are said a day; {report['seconds_a_day']} s a day",
        *(f"WRONG: {failure}" for failure in report["wrong"]),
        *([] if report["wrong"] else ["each day is scored by the bundle of its time; none is missing, none double"]),
    ]
    return "\n".join(lines)


def draw(report: Mapping[str, Any], path: Path) -> None:
    """AUC by day of champion and baseline, drift by day, promotions, and the faults from planted to noticed."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import pandas as pd

    seen = pd.DataFrame(first_seen(report["days"])).T
    seen.index = pd.to_datetime(seen.index)
    with mpl.rc_context({"date.converter": "concise", "font.size": 9, "axes.spines.top": False}):
        layout = {"height_ratios": [3, 2, 1.1]}
        figure, (top, middle, bottom) = plt.subplots(
            3, figsize=(10, 7.5), sharex=True, layout="constrained", gridspec_kw=layout
        )
        _draw_auc(top, seen)
        _draw_drift(middle, seen)
        _draw_events(bottom, report)
        for fault in report["faults"]:
            for axes in (top, middle):
                axes.axvline(pd.Timestamp(fault["planted"]), color="#444444", linewidth=0.8, linestyle=":")
        figure.suptitle(f"A season replayed: {len(seen)} days of real flights through the inbox")
        figure.savefig(path, dpi=110, metadata={"Software": None})
        plt.close(figure)


def _draw_auc(axes: "Axes", seen: "pd.DataFrame") -> None:
    for name, color, who in (("auc", CHAMPION, "champion"), ("baseline", BASELINE, "baseline: carrier and hour")):
        values = seen[name].astype(float)
        axes.plot(seen.index, values, "o", color=color, markersize=3, alpha=0.35)
        smooth = values.rolling(SMOOTH, center=True, min_periods=1).mean()
        axes.plot(seen.index, smooth, color=color, label=f"{who}, mean {values.mean():.3f}")
    axes.axhline(0.5, color="#cccccc", linewidth=1, zorder=0)
    axes.set(ylabel=f"AUC by day, and over {SMOOTH} days")
    axes.legend(loc="lower right", ncols=2, frameon=False, bbox_to_anchor=(1, 0.98))


def _draw_drift(axes: "Axes", seen: "pd.DataFrame") -> None:
    for verdict in [verdict for verdict in COLORS if (seen["verdict"] == verdict).any()]:
        part = seen[seen["verdict"] == verdict]
        label = f"{verdict} said: {len(part)} day{'s' * (len(part) != 1)}"
        axes.bar(part.index, part["drift"].astype(float), color=COLORS[verdict], edgecolor="white", label=label)
    axes.axhline(1, color="#444444", linewidth=1)
    axes.set(ylabel="largest PSI, as a\nshare of what alarms", yscale="log", ylim=(0.1, None))
    axes.legend(loc="lower right", ncols=3, frameon=False, bbox_to_anchor=(1, 0.98))


def _draw_events(axes: "Axes", report: Mapping[str, Any]) -> None:
    """A row for retrainings, and one for each fault: a bar from planted to noticed."""
    import pandas as pd

    names = ["retrained", *(fault["what"] for fault in report["faults"])]
    for kind, marker, color in (("promoted", "^", "#2d7d46"), ("refused", "x", "#a00000")):
        at = [record["day"] for record in report["retrainings"] if record["promoted"] == (kind == "promoted")]
        axes.plot(pd.to_datetime(at), [0] * len(at), marker, color=color, label=f"{kind}: {len(at)}")
    for row, fault in enumerate(report["faults"], start=1):
        planted, noticed = pd.Timestamp(fault["planted"]), pd.Timestamp(fault["noticed"] or fault["planted"])
        axes.plot([planted, noticed], [row, row], color="#444444", linewidth=3, solid_capstyle="round")
        axes.plot(planted, row, "|", color="#444444", markersize=11)
        late = (noticed - planted).days
        text = f"noticed {f'after {late} days' if late else 'the same day'}: {fault['how']}"
        # The text stands on the side with more room.
        is_late = planted > pd.Timestamp(report["days"][len(report["days"]) // 2]["day"])
        place = {"x": planted if is_late else noticed, "ha": "right" if is_late else "left"}
        axes.text(s=f"  {text if fault['noticed'] else 'never noticed'}  ", y=row, va="center", fontsize=8, **place)
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    axes.legend(loc="lower right", ncols=2, frameon=False, bbox_to_anchor=(1, 0.95))
