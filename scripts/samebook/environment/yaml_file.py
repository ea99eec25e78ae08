"""YAML files of settings. Errors name the line and never quote it, as it may hold a secret by mistake."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, override

import yaml
import yaml.constructor
import yaml.parser
import yaml.reader
import yaml.scanner

from samebook.core.errors import UsageError

# YAML 1.1 reads the key of `on: [failure]` as true.
TRUTH, TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"
NULL, MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"
# The bits of a whole number: Python refuses to print one of some 14,000.
LONGEST = 8192
# What PyYAML's own constructors raise where a value is not of the type that its tag names: `!!bool maybe`, `!!int ''`.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


class _Loader(yaml.SafeLoader):
    """A loader that refuses equal keys, of which YAML would take the last, reads every key as a name, and says where a
    value is not of its type.
    """

    @override
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=True)  # in parts, a set's error would come without its place
        except UNREADABLE as error:
            raise yaml.constructor.ConstructorError(None, None, _wrong(node), node.start_mark) from error
        if isinstance(value, int) and value.bit_length() > LONGEST:
            raise yaml.constructor.ConstructorError(None, None, _wrong(node), node.start_mark)
        return value

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: dict[str, yaml.ScalarNode] = {}
        for key, _ in node.value:
            is_own = node.start_mark.index <= key.start_mark.index < node.end_mark.index  # not merged in by <<
            if isinstance(key, yaml.ScalarNode) and is_own and keys.setdefault(key.value, key) is not key:
                lines = [node.start_mark.line + 1 for node in (key, keys[key.value])]
                raise UsageError(f"line {lines[0]}: {key.value!r} is there already, in line {lines[1]}")
        self.flatten_mapping(node)
        for key, _ in node.value:
            if key.tag == TRUTH:
                key.tag = TEXT
        return super().construct_mapping(node, deep)


def _wrong(node: yaml.Node) -> str:
    """The problem of a value, by its type and without its text."""
    return f"the value is no {node.tag.rpartition(':')[2]}"


class _TextLoader(_Loader):
    """A loader that keeps each value as the text that is written: NO, 1.10, 12:30 and 0123 are text; null is None."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag in (NULL, MERGE)]
        for first, resolvers in _Loader.yaml_implicit_resolvers.items()
    }


def read(path: Path, *, is_text: bool = False) -> dict[str, Any]:
    """The content of a YAML file, with `is_text` each value as the text that is written.

    Raises UsageError with the file and the line.
    """
    return parse(path.read_bytes(), path.name, _TextLoader if is_text else _Loader)


def parse(text: bytes, file: str, loader: type[_Loader] = _Loader) -> dict[str, Any]:
    """The content of the YAML text of a file. Raises UsageError with the file and the line."""
    try:
        content = loader(text.decode()).get_single_data() or {}
    except UsageError as error:
        raise UsageError(f"{file}: {error}; expected each setting once", mend=f"edit {file}") from None
    except RecursionError:
        raise UsageError(f"{file} is not YAML that can be read: it is nested too deep", mend=f"edit {file}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{file} is not YAML: {_message(error)}", mend=f"edit {file}") from None
    if not isinstance(content, dict):
        raise UsageError(
            f"{file}: found a {type(content).__name__}; expected settings, `name: value`", mend=f"edit {file}"
        )
    return {str(name): value for name, value in content.items()}


class _Dumper(yaml.SafeDumper):
    """YAML without anchors, which not every CI reads, and with scripts as blocks of lines."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True

    def script(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar(TEXT, text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.script)


def dump(content: dict[str, Any]) -> str:
    """The content as YAML for a CI: in the order that it has, without anchors."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=1000)


def _message(error: Exception) -> str:
    """The problem and its line, without the quotations from the file that some errors have."""
    if not isinstance(error, yaml.MarkedYAMLError):
        is_of_bytes = isinstance(error, (yaml.reader.ReaderError, UnicodeDecodeError))
        return " ".join(str(error).split()) if is_of_bytes else "it holds a character or a value that can't be read"
    problem = error.problem or "it can't be read"
    is_syntax = isinstance(error, (yaml.scanner.ScannerError, yaml.parser.ParserError))
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    return line + (problem if is_syntax else problem.split(" '")[0])
