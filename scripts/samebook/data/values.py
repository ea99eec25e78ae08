"""The values of columns on their way into a table: cast where none becomes another, and counted, to compare them."""

import re
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def cast(column: "pa.ChunkedArray", kind: "pa.DataType") -> "pa.ChunkedArray | None":
    """The column as this type, unchanged where Arrow does not have the type, as of PostgreSQL's NUMERIC, or no way to
    it, as to a span, which has whole microseconds; None where a value would become another.
    """
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType) or column.type == kind:
        return column
    if pa.types.is_dictionary(kind):  # names of a column that takes no others
        kind = kind.value_type
    try:
        if pa.types.is_interval(kind):
            return column.cast(pa.duration("us")) if pa.types.is_duration(column.type) else column
        result = column.cast(kind)
        return result if _is_same(result, column) else None
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return None


def _is_same(result: "pa.ChunkedArray", column: "pa.ChunkedArray") -> bool:
    """Whether a column can be made again from what a cast has made of it."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    if pa.types.is_null(column.type):
        return True
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type == pa.float16():  # which Arrow does not compare
        column = column.cast(pa.float32())
    try:
        before = result.cast(column.type)
    except pa.ArrowNotImplementedError:  # lists that are all empty have no type to go back to
        return result.to_pylist() == column.to_pylist()
    if pa.types.is_nested(column.type):  # as text, in which NaN is itself
        return repr(before.to_pylist()) == repr(column.to_pylist())
    differs = pc.and_kleene(pc.not_equal(before, column), pc.invert(pc.is_null(column, nan_is_null=True)))
    return not pc.any(differs).as_py()


def may_change(kind: "pa.DataType") -> bool:
    """Whether a table may keep other values of this type than it was sent, though its own type is the same."""
    import pyarrow as pa

    return not (
        any(is_plain(kind) for is_plain in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean))
        or pa.types.is_date(kind)
        or pa.types.is_null(kind)
        or any(is_plain(kind) for is_plain in (pa.types.is_string, pa.types.is_large_string))
        or any(is_plain(kind) for is_plain in (pa.types.is_binary, pa.types.is_large_binary))  # DuckDB's BIT, too
        or "extension<" in str(kind)
    )


def is_bits(kind: "pa.DataType") -> bool:
    """Whether a column of PostgreSQL has this type for bits, which it takes only as they are."""
    return getattr(kind, "type_name", "") in ("bit", "varbit")


def counts(column: "pa.ChunkedArray") -> dict[Any, int]:
    """How often each value is in a column, in one form for the types that mean the same."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    if isinstance(column.type, pa.UuidType):
        found = column.cast(column.type.storage_type).to_pylist()
    elif isinstance(column.type, pa.BaseExtensionType):  # PostgreSQL's own, as text
        texts = column.cast(pa.string()).to_pylist()
        is_number = getattr(column.type, "type_name", "") == "numeric"
        found = [Decimal(text) if is_number and text else text for text in texts]
    elif pa.types.is_nested(column.type) or pa.types.is_interval(column.type):
        found = column.to_pylist()
    else:
        pairs = pc.value_counts(column).to_pylist()
        total = Counter[Any]()
        for pair in pairs:
            total[_plain(pair["values"])] += pair["counts"]
        return total
    return Counter(map(_plain, found))


def _plain(value: Any) -> Any:
    """A value that is equal to others of its meaning, and can be counted."""
    match value:
        case str():
            return value.lower() if UUID.fullmatch(value) else value.rstrip(" ")  # a column of fixed width adds blanks
        case float():
            return repr(value)  # NaN is equal to itself
        case _ if hasattr(value, "months"):  # Arrow's span; PostgreSQL's has whole microseconds
            return value if value.months else timedelta(value.days, microseconds=value.nanoseconds // 1000)
        case list() | tuple():
            return tuple(map(_plain, value))
        case dict():
            return tuple((key, _plain(item)) for key, item in value.items())
        case _:
            return value
