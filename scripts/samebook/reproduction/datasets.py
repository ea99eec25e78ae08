"""The days of datasets in the receipts of a run and of its reproduction, in one form that can be compared."""

from samebook.records import data_manifest, receipt
from samebook.records.receipt import Json
from samebook.store.objects import Store


def alike(store: Store, statement: Json, other_store: Store, other: Json) -> tuple[Json, Json]:
    """Two receipts in one form, each with the store that has its lists: with an input for each day, or, where a list is
    lost, with several days as one: their sha256 tells that they are the same, and not which day differs.

    What both say of several days, the numbers of files and of bytes, stays beside them.
    """
    lost: list[str] = []
    whole = tuple(data_manifest.expanded(*pair, lost.append) for pair in ((store, statement), (other_store, other)))
    forms = tuple(map(data_manifest.compact, (statement, other))) if lost else whole
    return _with_sizes(forms[0], statement, other), _with_sizes(forms[1], other, statement)


def _with_sizes(form: Json, statement: Json, other: Json) -> Json:
    """A form of a receipt, with what it says of the days that the other one names together as well."""
    both = _sizes(statement).keys() & _sizes(other).keys()
    sizes = [{"name": f"size of {name}", "annotations": _sizes(statement)[name]} for name in sorted(both)]
    made_by = receipt.byproduct(form, receipt.MADE_BY)
    return data_manifest.with_inputs(form, [*receipt.dependencies(form), *sizes], made_by) if sizes else form


def _sizes(statement: Json) -> dict[str, Json]:
    """The numbers of files and bytes of each span of days, by its name; those of receipts of before may lack some."""
    items = (item for item in receipt.input_items(statement) if data_manifest.is_span(item))
    return {item["name"]: {key: item["annotations"].get(key) for key in ("files", "bytes")} for item in items}


def keep_common(store: Store, statement: Json, other_store: Store, other: Json) -> None:
    """Put the lists that two receipts have in common into the first one's store, which may lack them."""
    for digest in data_manifest.lists(statement).keys() & data_manifest.lists(other).keys():
        if content := other_store.get(digest):
            store.put(content)
