"""A value that was given as JSON, among values that were given as text."""

import json
from collections.abc import Mapping
from typing import Any, override


class JsonValue(str):
    """A parameter's value from a JSON object: `null` and "null" are two values there, and one text with -p.

    As a text it is what a person would type.
    """

    value: Any

    def __new__(cls, value: Any) -> "JsonValue":
        text = super().__new__(cls, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        text.value = value
        return text

    @override
    def __repr__(self) -> str:
        return super().__repr__() if isinstance(self.value, str) else f"JSON's {self}"


def json_object(texts: Mapping[str, str]) -> str:
    """The JSON object of these values, a text as a string, with its names in order."""
    values = {name: text.value if isinstance(text, JsonValue) else text for name, text in texts.items()}
    return json.dumps(values, sort_keys=True, ensure_ascii=False)
