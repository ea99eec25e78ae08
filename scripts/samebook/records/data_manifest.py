"""Data manifests: the days of a dataset that a run has read, as one dependency of its receipt.

The receipt names the days together, `rows/day=2013-02-17..2013-06-30`, with the number of their files and bytes and
the sha256 of their list, so that it does not grow with the days. The list is an object in the store: JSON with the
sha256 of each day. A second list, whose sha256 is in the byproduct `makers`, has the run that made each day. A day
that is alone stands for itself. Nothing in a list counts but by the sha256 in the receipt.

`expanded` gives a receipt the form that all had before, with an input for each day: readers of inputs take that.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from samebook.core.digest import json_bytes, parse_json, sha256
from samebook.core.errors import UsageError
from samebook.core.text import repeated_name
from samebook.records import receipt, schema
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json
from samebook.store.objects import DamagedObject, Store

# The bytes of a list, for each of its days: a run's id is a folder's name, of 255 bytes at most.
LONGEST = 512
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Manifest:
    """The days of a dataset: the sha256 of each, and the run that made each; `size` is the number of bytes of all."""

    dataset: str
    days: dict[str, str]
    makers: dict[str, str]
    size: int

    @property
    def name(self) -> str:
        return str(Label(Kind.SPAN, self.dataset, min(self.days), max(self.days)))

    @property
    def lists(self) -> tuple[bytes, bytes]:
        """The content of both lists: the days, and their makers."""
        return json_bytes(self.days), json_bytes(self.makers)

    def keep(self, store: Store) -> None:
        """Put both lists into the store."""
        for content in self.lists:
            store.put(content)

    def dependency(self) -> Json:
        """The days as one dependency of a receipt."""
        annotations = {"input": True, "files": len(self.days), "bytes": self.size}
        return {"name": self.name, "digest": {"sha256": sha256(self.lists[0])}, "annotations": annotations}


def of_events(events: Iterable[Json]) -> list[Manifest]:
    """The manifests of inputs, from the events of a run: one for each dataset of which it has read several days."""
    datasets: dict[str, dict[str, Json]] = {}
    for event in events:
        label = Label.parse(event["name"])
        if label.kind is Kind.DAY:
            datasets.setdefault(label.name, {})[label.day] = event
    return [
        Manifest(
            name,
            {day: event["sha256"] for day, event in days.items()},
            {day: event.get("run") or UNKNOWN for day, event in days.items()},
            sum(event["bytes"] for event in days.values()),
        )
        for name, days in sorted(datasets.items())
        if len(days) > 1
    ]


def without(manifests: Iterable[Manifest], events: Iterable[Json]) -> list[Json]:
    """The events of inputs that are in none of the manifests."""
    datasets = {manifest.dataset for manifest in manifests}
    labels = ((event, Label.parse(event["name"])) for event in events)
    return [event for event, label in labels if label.kind is not Kind.DAY or label.name not in datasets]


def is_span(item: Json) -> bool:
    """Whether a dependency is several days of a dataset, whose list is in the store."""
    return Label.parse(item["name"]).kind is Kind.SPAN and "files" in item.get("annotations", {})


def lists(statement: Json) -> dict[str, str]:
    """A description of each list that a receipt needs in the store, by its sha256."""
    makers = receipt.byproduct(statement, receipt.MAKERS)
    days = {item["digest"]["sha256"]: f"the list of {item['name']}" for item in _spans(statement)}
    return {digest: f"the makers of {name}" for name, digest in makers.items()} | days


def compacted(inputs: Mapping[str, str]) -> dict[str, str]:
    """Inputs, sha256 by name, with several days of a dataset as one: equal ones of either form are equal."""
    datasets: dict[str, dict[str, str]] = {}
    for name, digest in inputs.items():
        label = Label.parse(name)
        if label.kind is Kind.DAY:
            datasets.setdefault(label.name, {})[label.day] = digest
    spans = [Manifest(name, days, {}, 0) for name, days in datasets.items() if len(days) > 1]
    days = {str(Label(Kind.DAY, span.dataset, day)) for span in spans for day in span.days}
    others = {name: digest for name, digest in inputs.items() if name not in days}
    return others | {span.name: sha256(span.lists[0]) for span in spans}


def expanded(store: Store, statement: Json, lost: Callable[[str], object] | None = None) -> Json:
    """The receipt with an input for each day, and each day's maker. One without lists is returned as it is.

    Raises UsageError for a list that is missing, or not what the receipt says, DamagedObject for a damaged one. With
    `lost`, which hears of each list that is missing or damaged, such days stay together.
    """
    spans, makers = _spans(statement), receipt.byproduct(statement, receipt.MAKERS)
    if not spans:
        return statement
    days = {item["name"]: _days(store, item, lost) for item in spans}
    items = [
        expanded_item
        for item in receipt.dependencies(statement)
        for expanded_item in (_items(item["name"], days[item["name"]]) if days.get(item["name"]) else [item])
    ]
    made_by = {run: list(names) for run, names in receipt.byproduct(statement, receipt.MADE_BY).items()}
    for item in spans:
        for day, run in _makers(store, item, makers, days[item["name"]], lost).items():
            made_by.setdefault(run, []).append(_day(item["name"], day))
    names = [item["name"] for item in items if item.get("annotations", {}).get("input")]
    if name := repeated_name(names) or repeated_name([name for made in made_by.values() for name in made]):
        raise UsageError(f"the receipt contradicts itself: it names {name} twice", mend="make runs")
    return with_inputs(statement, items, made_by)


def compact(statement: Json) -> Json:
    """The receipt with several days of a dataset as one input."""
    others = [item for item in receipt.dependencies(statement) if not item.get("annotations", {}).get("input")]
    inputs = compacted(receipt.inputs(statement)).items()
    items = [{"name": name, "digest": {"sha256": digest}, "annotations": {"input": True}} for name, digest in inputs]
    return with_inputs(statement, [*others, *items], receipt.byproduct(statement, receipt.MADE_BY))


def states(store: Store, statement: Json, lost: Callable[[str], object] | None = None) -> dict[str, str]:
    """The state of each list of a receipt, by name: "" where it is whole, or a description of the problem.

    With `lost`, which hears of each list that is missing or damaged, that is no problem.
    """
    makers, result = receipt.byproduct(statement, receipt.MAKERS), dict[str, str]()
    for item in _spans(statement):
        try:
            days = _days(store, item, lost)
            _makers(store, item, makers, days, lost)
        except (UsageError, DamagedObject) as error:
            result[item["name"]] = str(error)
            continue
        paths = [store.path(digest) for digest in days.values()]
        size, expected = sum(path.stat().st_size for path in paths if path.is_file()), item["annotations"].get("bytes")
        is_other = days and all(path.is_file() for path in paths) and size != expected
        result[item["name"]] = f"its files have {size} bytes, expected {expected}" if is_other else ""
    return result


def _spans(statement: Json) -> list[Json]:
    return [item for item in receipt.input_items(statement) if is_span(item)]


def _day(span: str, day: str) -> str:
    return str(Label(Kind.DAY, Label.parse(span).name, day))


def _items(span: str, days: Mapping[str, str]) -> list[Json]:
    return [
        {"name": _day(span, day), "digest": {"sha256": digest}, "annotations": {"input": True}}
        for day, digest in days.items()
    ]


def with_inputs(statement: Json, items: list[Json], made_by: Json) -> Json:
    """The receipt with these dependencies and makers."""
    predicate = statement["predicate"]
    definition = {**predicate["buildDefinition"], "resolvedDependencies": items}
    result = {**statement, "predicate": {**predicate, "buildDefinition": definition}}
    if details := predicate.get("runDetails"):
        replaced = (receipt.MAKERS, receipt.MADE_BY)
        others = [item for item in details.get("byproducts", ()) if item["name"] not in replaced]
        byproducts = [*others, *([{"name": receipt.MADE_BY, "annotations": made_by}] if made_by else [])]
        result["predicate"]["runDetails"] = {**details, "byproducts": byproducts}
    return result


def _days(store: Store, item: Json, lost: Callable[[str], object] | None) -> dict[str, str]:
    """The sha256 of each day; none where the list is lost, and `lost` hears of it."""
    digest, label = item["digest"]["sha256"], Label.parse(item["name"])
    days = _list(store, digest, f"the list of {item['name']}", item["annotations"]["files"], schema.DAYS, lost)
    if days and (len(days) != item["annotations"]["files"] or (min(days), max(days)) != (label.day, label.last)):
        raise UsageError(
            f"the list of {item['name']} is not what its receipt says: found {len(days)} days from {min(days)} to "
            f"{max(days)}, expected {item['annotations']['files']}",
            mend="make runs",
        )
    return days


def _makers(
    store: Store, item: Json, makers: Json, days: Mapping[str, str], lost: Callable[[str], object] | None
) -> dict[str, str]:
    """The run that made each day; none where a list is lost, and `lost` hears of it, or the receipt has none."""
    if not days or item["name"] not in makers:
        return {}
    name, files = f"the makers of {item['name']}", item["annotations"]["files"]
    found = _list(store, makers[item["name"]], name, files, schema.DAY_MAKERS, lost)
    if found and found.keys() != days.keys():
        raise UsageError(f"{name} are not what its receipt says: they are those of other days", mend="make runs")
    return found


def _list(
    store: Store,
    digest: str,
    name: str,
    files: int,
    kind: TypeAdapter[dict[str, str]],
    lost: Callable[[str], object] | None,
) -> dict[str, str]:
    """A list from the store. One that is not as samebook writes it, or is longer than its days need, is refused."""
    path = store.path(digest)
    if not path.is_file():
        error = UsageError(f"{name} (sha256 {digest[:12]}…) is not in the store", mend="make pull")
        return _lose(error, lost)
    if (size := path.stat().st_size) > files * LONGEST:
        raise UsageError(f"{name} has {size} bytes, more than {files} days need", mend="make runs")
    try:
        content = store.get(digest) or b""
        days = kind.validate_python(parse_json(content), strict=True)
    except DamagedObject as error:
        return _lose(error, lost)
    except (ValidationError, ValueError) as error:
        raise UsageError(f"{name} is not a list of days: {str(error).splitlines()[0]}", mend="make runs") from error
    if json_bytes(days) != content or not days:
        raise UsageError(f"{name} is not as samebook writes it", mend="make runs")
    return days


def _lose(error: UsageError | DamagedObject, lost: Callable[[str], object] | None) -> dict[str, str]:
    if lost is None:
        raise error
    lost(str(error))
    return {}
