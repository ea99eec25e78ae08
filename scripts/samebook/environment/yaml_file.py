"""Reads a YAML file of settings. Its errors name the line and never quote it: a secret may stand there by mistake."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, override

import yaml
import yaml.parser
import yaml.scanner

from samebook.core.errors import UsageError

# YAML 1.1 takes the key of `on: [failure]` for true.
TRUTH, TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


class _OnceEach(yaml.SafeLoader):
    """YAML itself takes the last of two equal keys; two blocks of one name are a mistake. A key is a name, not true."""

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, yaml.ScalarNode] = {}
        for key, _ in node.value:
            is_own = node.start_mark.index <= key.start_mark.index < node.end_mark.index  # not merged in by <<
            if isinstance(key, yaml.ScalarNode) and is_own and seen.setdefault(key.value, key) is not key:
                lines = [each.start_mark.line + 1 for each in (key, seen[key.value])]
                raise UsageError(f"line {lines[0]}: {key.value!r} is there already, in line {lines[1]}")
        self.flatten_mapping(node)
        for key, _ in node.value:
            if key.tag == TRUTH:
                key.tag = TEXT
        return super().construct_mapping(node, deep)


def read(path: Path) -> dict[str, Any]:
    """What a settings file says, as it stands there. Raises UsageError naming the file and the line."""
    try:
        found = _OnceEach(path.read_text()).get_single_data() or {}
    except UsageError as error:
        raise UsageError(f"{path.name}: {error}; expected each setting once") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not YAML: {_told(error)}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path.name}: found a {type(found).__name__}; expected settings, `name: value`")
    return {str(name): value for name, value in found.items()}


def _told(error: Exception) -> str:
    """What is wrong and in which line; without the words of the file, which only some errors have in quotes."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error)
    problem = error.problem or "it can't be read"
    is_syntax = isinstance(error, (yaml.scanner.ScannerError, yaml.parser.ParserError))
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    return line + (problem if is_syntax else problem.split(" '")[0])
