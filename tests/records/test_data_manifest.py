"""The days of a dataset as one dependency of a receipt: the sha256 in the receipt decides what a list is worth."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.records import data_manifest, receipt
from samebook.records.data_manifest import Manifest
from samebook.store.objects import Store

BEFORE = Path(__file__).with_name("receipt_before_manifests.json")
FIRST, SECOND, THIRD = "2013-01-30", "2013-01-31", "2013-02-01"
DAYS = {FIRST: "1" * 64, SECOND: "2" * 64, THIRD: "3" * 64}
RUN = "20130301T000000Z-make-abcdef"
NAME = f"rows/day={FIRST}..{THIRD}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def before() -> receipt.Json:
    """A receipt that a samebook wrote before there were manifests, with a dependency for each day."""
    return receipt.read(BEFORE)


def inputs_of(statement: receipt.Json) -> list[receipt.Json]:
    return [item for item in receipt.dependencies(statement) if item.get("annotations", {}).get("input")]


def events_of(statement: receipt.Json) -> list[receipt.Json]:
    """The events that would give a receipt these inputs."""
    makers = receipt.makers(statement)
    return [
        {"name": name, "sha256": digest, "bytes": 10, "run": makers.get(name, "")}
        for name, digest in receipt.inputs(statement).items()
    ]


def written(store: Store, *manifests: Manifest) -> receipt.Json:
    """The receipt as it is written now: with these manifests in place of its days."""
    statement = before()
    definition, details = (statement["predicate"][name] for name in ("buildDefinition", "runDetails"))
    others = [item for item in receipt.dependencies(statement) if item not in inputs_of(statement)]
    definition["resolvedDependencies"] = [*others, *(manifest.dependency() for manifest in manifests)]
    byproducts = [item for item in details["byproducts"] if item["name"] != receipt.MADE_BY]
    makers = {manifest.name: sha256(manifest.lists[1]) for manifest in manifests}
    details["byproducts"] = [*byproducts, {"name": receipt.MAKERS, "annotations": makers}]
    for manifest in manifests:
        manifest.keep(store)
    receipt.check(statement, "a receipt")
    return statement


def three_days(**changes: Any) -> Manifest:
    return Manifest(**{"dataset": "rows", "days": DAYS, "makers": dict.fromkeys(DAYS, RUN), "size": 30, **changes})


def test_receipt_of_before_is_read(store: Store) -> None:
    """A stored receipt with a dependency for each day is read as it is, and needs no list."""
    assert data_manifest.expanded(store, before()) == before()
    assert data_manifest.lists(before()) == {}
    assert len(receipt.inputs(before())) == 5
    assert set(receipt.makers(before()).values()) == {"20261129T121316Z-make-2e6f47", "20261129T121322Z-make-f4d403"}


def test_both_forms_say_the_same(store: Store) -> None:
    """A receipt with a manifest has the inputs and makers of one with a dependency for each day."""
    (manifest,) = data_manifest.of_events(events_of(before()))
    statement = written(store, manifest)
    assert manifest.name == "rows/day=2013-01-30..2013-02-03"
    assert receipt.inputs(statement) == {manifest.name: sha256(json_bytes(manifest.days))}
    whole = data_manifest.expanded(store, statement)
    assert inputs_of(whole) == inputs_of(before())
    assert receipt.makers(whole) == receipt.makers(before())
    assert data_manifest.compacted(receipt.inputs(statement)) == data_manifest.compacted(receipt.inputs(before()))


def test_single_day_stands_for_itself() -> None:
    """One day of a dataset, and any other input, is named with its own sha256."""
    names = ("rows/day=2013-01-30", "delay@prod/model.ubj", "input customers.csv", "more/day=2013-01-30")
    events = [{"name": name, "sha256": "1" * 64, "bytes": 1} for name in names]
    assert data_manifest.of_events(events) == []
    assert data_manifest.without([], events) == events


def test_days_make_the_list() -> None:
    """The list is a function of the days alone: neither who made them nor the order of reading changes its sha256."""
    backwards = three_days(days=dict(reversed(DAYS.items())), makers=dict.fromkeys(DAYS, data_manifest.UNKNOWN))
    assert backwards.dependency() == three_days().dependency()
    assert three_days().dependency()["annotations"] == {"input": True, "files": 3, "bytes": 30}


def test_receipt_does_not_grow(store: Store) -> None:
    """Three years of days take the bytes of three days in a receipt."""
    many = {
        f"20{year}-{month:02}-{day:02}": "1" * 64
        for year in (11, 12, 13)
        for month in range(1, 13)
        for day in range(1, 29)
    }
    large = three_days(days=many, makers=dict.fromkeys(many, RUN), size=10**9)
    sizes = [len(json_bytes(written(store, manifest))) for manifest in (three_days(), large)]
    assert sizes[1] - sizes[0] < 20
    assert len(receipt.inputs(data_manifest.expanded(store, written(store, large)))) == len(many)


def list_file(store: Store, statement: receipt.Json) -> Path:
    path = store.path(inputs_of(statement)[0]["digest"]["sha256"])
    path.chmod(0o644)
    return path


LOST: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (
        Path.unlink,
        r"the list of rows/day=2013-01-30\.\.2013-02-01 \(sha256 [0-9a-f]{12}…\) is not in the store",
    ),
    "damaged": (lambda path: path.write_bytes(b"[" + path.read_bytes()[1:]), "is damaged: its bytes have the sha256"),
    "swapped": (lambda path: path.write_bytes(json_bytes(dict.fromkeys(DAYS, "9" * 64))), "is damaged"),
}


@pytest.mark.parametrize("case", LOST)
def test_lost_list_is_named(case: str, store: Store) -> None:
    """A list that is gone, damaged or replaced by another, as nobody signs it, is an error with its mend; whoever can
    go on without it hears of it, and keeps the days together.
    """
    statement = written(store, three_days())
    change, words = LOST[case]
    change(list_file(store, statement))
    with pytest.raises(SamebookError, match=words) as error:
        data_manifest.expanded(store, statement)
    assert error.value.mend
    lines: list[str] = []
    assert list(receipt.inputs(data_manifest.expanded(store, statement, lines.append))) == [NAME]
    assert len(lines) == 1
    assert data_manifest.states(store, statement)[NAME] == str(error.value)


def test_huge_list_is_not_read(store: Store) -> None:
    """A file that is larger than a list of so many days can be is refused before it is read."""
    statement = written(store, three_days())
    with list_file(store, statement).open("r+b") as stream:
        stream.truncate(2**40)
    with pytest.raises(UsageError, match="has 1099511627776 bytes, more than 3 days need"):
        data_manifest.expanded(store, statement)


HOSTILE: dict[str, bytes] = {
    "not JSON": b"\x00\xff",
    "another kind": b"[]\n",
    "empty": b"{}\n",
    "nested": b"[" * 1400,
    "a day twice": b'{"2013-01-30": "%s", "2013-01-30": "%s", "2013-02-01": "%s"}' % ((b"1" * 64,) * 3),
    "another order": json.dumps(dict(reversed(DAYS.items()))).encode(),
    "other blanks": json.dumps(DAYS).encode(),
    "a way out": json_bytes(DAYS | {"../../etc/passwd": "1" * 64}),
    "a path for a day": json_bytes({FIRST: "1" * 64, "2013-01-31/../../x": "2" * 64, THIRD: "3" * 64}),
    "no such day": json_bytes({FIRST: "1" * 64, "2013-01-32": "2" * 64, THIRD: "3" * 64}),
    "a path for a hash": json_bytes({**DAYS, SECOND: "../" * 20 + "etc"}),
    "a number for a hash": json_bytes({**DAYS, SECOND: 2}),
    "fewer days": json_bytes({FIRST: "1" * 64, THIRD: "3" * 64}),
    "more days": json_bytes({**DAYS, "2013-01-29": "4" * 64}),
    "days of another span": json_bytes({**{day: DAYS[day] for day in (FIRST, SECOND)}, "2013-02-02": "3" * 64}),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_list_is_refused(case: str, store: Store) -> None:
    """A list that a receipt names by the right sha256 is still refused where it is not exactly the list of its days."""
    statement = written(store, three_days())
    inputs_of(statement)[0]["digest"]["sha256"] = store.put(HOSTILE[case])
    for lost in (None, lambda _: None):
        with pytest.raises(UsageError, match=r"the list of rows/day=2013-01-30\.\.2013-02-01 is not") as error:
            data_manifest.expanded(store, statement, lost)
        assert error.value.mend == "make runs"
    assert data_manifest.states(store, statement)[NAME]


@pytest.mark.parametrize(
    "makers",
    [
        {FIRST: RUN, SECOND: RUN},
        {**dict.fromkeys(DAYS, RUN), "2013-03-01": RUN},
        {**dict.fromkeys(DAYS, RUN), SECOND: "../../../etc"},
        {**dict.fromkeys(DAYS, RUN), SECOND: ""},
    ],
    ids=["fewer days", "more days", "a way out", "no run"],
)
def test_hostile_makers_are_refused(makers: dict[str, str], store: Store) -> None:
    """The makers of days are runs by their ids, of exactly these days."""
    statement = written(store, three_days(makers=makers))
    with pytest.raises(UsageError, match=r"the makers of rows/day=\S+ (are|is) not"):
        data_manifest.expanded(store, statement)


def test_day_has_one_maker(store: Store) -> None:
    """A receipt that names two runs that made a day contradicts itself."""
    two_makers = written(store, three_days())
    made_by = {"name": receipt.MADE_BY, "annotations": {RUN.replace("make", "show"): [f"rows/day={SECOND}"]}}
    two_makers["predicate"]["runDetails"]["byproducts"].append(made_by)
    with pytest.raises(UsageError, match=f"contradicts itself: it names rows/day={SECOND} twice"):
        data_manifest.expanded(store, two_makers)


@pytest.mark.parametrize(
    "annotations",
    [{"files": 1}, {"files": 0}, {"files": -3}, {"files": "3"}, {"files": 10**9}, {"bytes": -1}, {"bytes": "1"}],
    ids=str,
)
def test_hostile_numbers_are_refused(annotations: dict[str, Any], store: Store) -> None:
    """The numbers of files and bytes are numbers, and no list is of one day or of a thousand years."""
    statement = written(store, three_days())
    inputs_of(statement)[0]["annotations"] |= annotations
    with pytest.raises(UsageError, match="is not a whole receipt"):
        receipt.check(statement, "a receipt")


def test_days_are_named_once(store: Store) -> None:
    """Days that stand together beside single ones, beside others, or without their numbers, are no receipt: with their
    list lost, the two forms could not be told apart.
    """
    single = {"name": f"rows/day={SECOND}", "digest": {"sha256": "2" * 64}, "annotations": {"input": True}}
    whole = written(store, three_days())
    another = {**inputs_of(whole)[0], "name": "rows/day=2014-01-01..2014-01-02"}
    for extra in (single, another, {**inputs_of(whole)[0]}):
        statement = written(store, three_days())
        statement["predicate"]["buildDefinition"]["resolvedDependencies"].append(extra)
        with pytest.raises(UsageError, match="is not the only input of its dataset"):
            receipt.check(statement, "a receipt")
    del inputs_of(whole)[0]["annotations"]["files"]
    with pytest.raises(UsageError, match="has no number of files and bytes"):
        receipt.check(whole, "a receipt")


def test_wrong_size_is_found(store: Store) -> None:
    """Where all days are in the store, the number of bytes in the receipt is that of their files."""
    days = {day: store.put(day.encode()) for day in DAYS}
    assert data_manifest.states(store, written(store, three_days(days=days))) == {NAME: ""}
    statement = written(store, three_days(days=days, size=31))
    assert data_manifest.states(store, statement) == {NAME: "its files have 30 bytes, expected 31"}
