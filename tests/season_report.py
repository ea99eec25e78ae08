"""What a season was like: how well each day was scored, whether all is there once, what was noticed when."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from season import Replay

COLORS = {"ok": "#9bb7d4", "warn": "#e8b04a", "alarm": "#a00000"}
CHAMPION, BASELINE = "#c1440e", "#7a8ca3"
SMOOTH = 7


def quality(replay: "Replay", day: str) -> dict[str, float]:
    """AUC of a day's published scores, and of the baseline that could be known by then: shares by carrier and hour."""
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    path = replay.data / "predictions" / f"day={day}" / "part-0.parquet"
    rows = labelled(replay, day).merge(pd.read_parquet(path)[["id", "probability"]], on="id", validate="one_to_one")
    before = [str(date.fromisoformat(day) - timedelta(days=n + 1)) for n in range(replay.plan.learns_from)]
    known = pd.concat([labelled(replay, each) for each in before], ignore_index=True)
    scores = {"auc": rows["probability"], "baseline": baseline(known, rows)}
    return {name: round(float(roc_auc_score(rows["late"], score)), 4) for name, score in scores.items()}


def labelled(replay: "Replay", day: str) -> "pd.DataFrame":
    """A day's flights that arrived, under the carrier's code of then: id, carrier, departure, late (0 or 1)."""
    from season import FIRST

    number = (date.fromisoformat(day) - FIRST).days
    flights = replay.source.sent(replay.plan, number)[["id", "carrier", "departure"]]
    ended = replay.source.outcomes[day][["id", "late"]].dropna()
    return flights.merge(ended, on="id", validate="one_to_one").astype({"late": int})


def baseline(known: "pd.DataFrame", asked: "pd.DataFrame") -> "pd.Series":
    """The notebook train's baseline: the late share of the same carrier and hour, one flight at the overall share."""
    import pandas as pd

    overall = known["late"].mean()
    late = known["late"].groupby([known["carrier"], known["departure"].dt.hour]).agg(["sum", "size"])
    groups = pd.MultiIndex.from_arrays([asked["carrier"], asked["departure"].dt.hour])
    return ((late["sum"] + overall) / (late["size"] + 1)).reindex(groups).fillna(overall).set_axis(asked.index)


def checked(replay: "Replay") -> list[str]:
    """What is wrong at the end; nothing, if each day has been scored as it should, once."""
    plan, data = replay.plan, replay.data
    days = [plan.day(number) for number in range(plan.days)]
    found = [wrong for number, day in enumerate(days) for wrong in _day(replay, number, day)]
    there = sorted(path.name.removeprefix("day=") for path in (data / "predictions").glob("day=*"))
    refused = [path.name[:18] for path in sorted((data / "quarantine").glob("*.csv"))]
    partial = sorted(path.name for path in (replay.clone.root / "runs" / ".partial").glob("*-*"))
    expected = {
        "days with predictions": (there, days),
        "files left in the inbox": (sorted(path.name for path in (data / "inbox").iterdir()), []),
        "files in quarantine": (refused, [f"flights-{plan.day(plan.broken)}"]),
        "half-written runs": (partial, []),
        "a warehouse to read ahead in": (sorted(path.name for path in data.glob("warehouse.duckdb")), []),
        "kernels that run on": (replay.clone.kernels(), []),
    }
    return found + [f"{what}: found {is_}, expected {due}" for what, (is_, due) in expected.items() if is_ != due]


def _day(replay: "Replay", number: int, day: str) -> Iterator[str]:
    """What is wrong with a day's predictions: the flights that came, once each, by the bundle that was promoted."""
    import pandas as pd

    folder = replay.data / "predictions" / f"day={day}"
    files = sorted(path.name for path in folder.iterdir())
    rows = pd.read_parquet(folder / "part-0.parquet")
    sent, scored = replay.source.sent(replay.plan, number), replay.scored[day]
    told = json.loads((folder / "_origin.json").read_text())
    receipts = replay.clone.root.glob("runs/*-predict-*/receipt.json")
    runs = [path.parent.name for path in receipts if f'"day": "{day}"' in path.read_text()]
    expected = {
        "files": (files, ["_origin.json", "part-0.parquet"]),
        "flights": (sorted(rows["id"]), sorted(sent["id"])),
        "bundle": (set(rows["bundle"]), {scored[-1]}),
        "times scored": (len(scored), 2 if number in replay.plan.hours else 1),
        "versions": (len(told["versions"]), len(scored)),
        "runs": (len(runs), len(scored)),
    }
    for what, (is_, due) in expected.items():
        if is_ != due:
            yield f"{day}: {what}: found {str(is_)[:80]}, expected {str(due)[:80]}"


def summary(replay: "Replay") -> dict[str, Any]:
    """The planted faults and when each was noticed, and the alarms that nobody had planted."""
    import season

    plan = replay.plan
    seen = first_seen(replay.days)
    spoiled = next(each for each in replay.retrainings if each["spoiled"])
    broken = next(each for each in replay.days if each["quarantined"])
    whole = next(each["day"] for each in replay.days if plan.day(plan.broken) in each["scored"])
    gate = f"exit code {spoiled['code']}: AUC {spoiled['candidate']:.3f}, champion {spoiled['champion']:.3f}"
    faults = [
        _fault(f"{season.LACKING} missing", plan.day(plan.broken), broken["day"], f"quarantined; scored {whole}"),
        _drift(seen, plan.day(plan.renamed), "carrier", f"carrier {season.OLD} is {season.NEW}"),
        _fault("a bad model", plan.day(plan.spoiled), spoiled["day"] if spoiled["code"] == 6 else "", gate),
        _drift(seen, plan.day(plan.hours[0]), season.HOURS, f"{season.HOURS} in hours"),
    ]
    quiet = [day for day in seen if day < plan.day(plan.renamed)]
    planted = {"carrier", season.HOURS}
    unplanted = {day: names for day, each in seen.items() if (names := sorted(set(each["alarms"]) - planted))}
    return {
        "faults": sorted(faults, key=lambda fault: fault["planted"]),
        "quiet_days": len(quiet),
        "alarms_before_drift": [day for day in quiet if seen[day]["verdict"] == "alarm"],
        "unplanted": unplanted,
        "seconds_a_day": round(sum(each["seconds"] for each in replay.days) / len(replay.days), 1),
    }


def first_seen(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By day, what was seen of it when it was first scored."""
    found: dict[str, Any] = {}
    for each in days:
        for day, seen in each["seen"].items():
            found.setdefault(day, seen)
    return dict(sorted(found.items()))


def _drift(seen: Mapping[str, Any], planted: str, name: str, what: str) -> dict[str, str]:
    """A drift counts as noticed on the first day whose verdict is alarm because of that very feature."""
    noticed = [day for day, each in seen.items() if day >= planted and name in each["alarms"]]
    early = [day for day, each in seen.items() if day < planted and name in each["alarms"]]
    how = f"alarm: {name}, {len(noticed)} days" + (f"; {len(early)} false before" if early else "")
    return _fault(what, planted, noticed[0] if noticed else "", how if noticed else "no alarm")


def _fault(what: str, planted: str, noticed: str, how: str) -> dict[str, str]:
    return {"what": what, "planted": planted, "noticed": noticed, "how": how}


def line(day: Mapping[str, Any]) -> str:
    """A day, for a person who waits."""
    told = [
        f"{name[5:]} AUC {each['auc']:.3f} (baseline {each['baseline']:.3f}) {each['verdict']}"
        + (f": {', '.join(each['alarms'])}" if each["alarms"] else "")
        for name, each in day["seen"].items()
    ]
    return "; ".join(
        [f"{day['day']} {day['seconds']:5.1f} s", *told, *(f"{x} quarantined" for x in day["quarantined"])]
    )


def retrained(seen: Mapping[str, Any]) -> str:
    """A retraining, for a person who waits."""
    what = "promoted" if seen["promoted"] else f"refused (exit code {seen['code']}): {seen['said']}"
    return f"{seen['day']} {seen['seconds']:5.1f} s  {seen['pipeline']}{' spoiled' * seen['spoiled']}: {what}"


def table(found: Mapping[str, Any]) -> str:
    """The faults and when each was noticed; then what else there is to know."""
    lines = [f"{'fault':<28} {'planted':<11} {'noticed':<11} how"]
    lines += [f"{x['what']:<28} {x['planted']:<11} {x['noticed'] or 'never':<11} {x['how']}" for x in found["faults"]]
    promoted = sum(each["promoted"] for each in found["retrainings"])
    refused = [each["day"] for each in found["retrainings"] if not each["promoted"] and not each["spoiled"]]
    lines += [
        f"{len(found['retrainings'])} retrainings: {promoted} promoted; refused, but not spoiled: {refused or 'none'}",
        f"alarms on {len(found['alarms_before_drift'])} of {found['quiet_days']} days before the first planted drift; "
        f"in all {len(found['unplanted'])} days with alarms that nobody planted",
        f"{found['seconds_a_day']} s a day",
        *(f"WRONG: {each}" for each in found["wrong"]),
        *([] if found["wrong"] else ["each day is scored by the bundle of its time; none is missing, none double"]),
    ]
    return "\n".join(lines)


def draw(found: Mapping[str, Any], path: Path) -> None:
    """AUC by day of champion and baseline, drift by day, promotions, and the faults from planted to noticed."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import pandas as pd

    seen = pd.DataFrame(first_seen(found["days"])).T
    seen.index = pd.to_datetime(seen.index)
    with mpl.rc_context({"date.converter": "concise", "font.size": 9, "axes.spines.top": False}):
        layout = {"height_ratios": [3, 2, 1.1]}
        figure, (top, middle, bottom) = plt.subplots(
            3, figsize=(10, 7.5), sharex=True, layout="constrained", gridspec_kw=layout
        )
        _draw_auc(top, seen)
        _draw_drift(middle, seen)
        _draw_events(bottom, found)
        for fault in found["faults"]:
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
    for verdict in [each for each in COLORS if (seen["verdict"] == each).any()]:
        part = seen[seen["verdict"] == verdict]
        told = f"{verdict}: {len(part)} day{'s' * (len(part) != 1)}"
        axes.bar(part.index, part["drift"].astype(float), color=COLORS[verdict], edgecolor="white", label=told)
    axes.axhline(1, color="#444444", linewidth=1)
    axes.set(ylabel="largest PSI, as a\nshare of what alarms", yscale="log", ylim=(0.1, None))
    axes.legend(loc="lower right", ncols=3, frameon=False, bbox_to_anchor=(1, 0.98))


def _draw_events(axes: "Axes", found: Mapping[str, Any]) -> None:
    """A row for retrainings, and one for each fault: a bar from planted to noticed."""
    import pandas as pd

    names = ["retrained", *(fault["what"] for fault in found["faults"])]
    for kind, marker, color in (("promoted", "^", "#2d7d46"), ("refused", "x", "#a00000")):
        at = [each["day"] for each in found["retrainings"] if each["promoted"] == (kind == "promoted")]
        axes.plot(pd.to_datetime(at), [0] * len(at), marker, color=color, label=f"{kind}: {len(at)}")
    for row, fault in enumerate(found["faults"], start=1):
        planted, noticed = pd.Timestamp(fault["planted"]), pd.Timestamp(fault["noticed"] or fault["planted"])
        axes.plot([planted, noticed], [row, row], color="#444444", linewidth=3, solid_capstyle="round")
        axes.plot(planted, row, "|", color="#444444", markersize=11)
        late = (noticed - planted).days
        told = f"noticed {f'after {late} days' if late else 'the same day'}: {fault['how']}"
        # On the side where there is more room.
        is_late = planted > pd.Timestamp(found["days"][len(found["days"]) // 2]["day"])
        place = {"x": planted if is_late else noticed, "ha": "right" if is_late else "left"}
        axes.text(s=f"  {told if fault['noticed'] else 'never noticed'}  ", y=row, va="center", fontsize=8, **place)
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    axes.legend(loc="lower right", ncols=2, frameon=False, bbox_to_anchor=(1, 0.95))
