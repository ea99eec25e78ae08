"""The import statements of old code, as the rules would have them; what follows keeps the names that it uses."""

import ast
from collections.abc import Collection, Iterator

from samebook.adoption.code import cells, rules
from samebook.adoption.code.cells import Edit
from samebook.adoption.code.rules import Rule


def places(text: str, used: Collection[str]) -> Iterator[tuple[Rule, int, tuple[Edit, ...]]]:
    """The rules that apply to the import statements of a cell, where those begin, and their edits.

    `used` are the names that any code cell uses: what is gone, and used nowhere, is imported no more.
    """
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.Import):
            yield from _of_import(text, node)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from _of_from(text, node, used)


def _of_import(text: str, node: ast.Import) -> Iterator[tuple[Rule, int, tuple[Edit, ...]]]:
    for alias in node.names:
        for rule in rules.rules():
            if rule.kind == "module" and alias.name == rule.old:
                bound = alias.asname or ("" if "." in rule.old else alias.name)
                edit = Edit(*cells.span(text, alias), f"{rule.new}{f' as {bound}' if bound else ''}")
                yield rule, edit.start, (edit,)


def _of_from(text: str, node: ast.ImportFrom, used: Collection[str]) -> Iterator[tuple[Rule, int, tuple[Edit, ...]]]:
    start, end = cells.span(text, node)
    indent = " " * (start - text.rfind("\n", 0, start) - 1)
    for rule in rules.rules():
        if rule.kind == "module" and rule.new and node.module == rule.old:
            at = start + text[start:end].index(rule.old)
            yield rule, start, (Edit(at, at + len(rule.old), rule.new),)
        for alias in node.names:
            if f"{node.module}.{alias.name}" == rule.old.replace(" ", ".") and rule.kind in ("name", "module", "from"):
                bound = alias.asname or alias.name
                if rule.new is None and bound in used:
                    yield rule, start, ()
                    continue
                rest = [other for other in node.names if other is not alias]
                kept = [f"from {node.module} import {', '.join(map(ast.unparse, rest))}"] if rest else []
                lines = [*kept, *(_statements(rule, bound) if rule.new is not None else ())] or ["pass"]
                yield rule, start, (Edit(start, end, f"\n{indent}".join(lines)),)


def _statements(rule: Rule, bound: str) -> list[str]:
    """The statements that bind a name of old code to what it is today; none for a name that Python itself has."""
    new = rule.new or ""
    if rule.imports:
        return [rule.imports, *([f"{bound} = {new}"] if bound != new else [])]
    if new.lstrip("-")[:1].isdigit():
        return [f"{bound} = {new}"]
    module, _, name = new.replace(" ", ".").rpartition(".")
    if not module:
        return [f"import {new} as {bound}"] if rule.kind != "name" else ([f"{bound} = {new}"] if bound != new else [])
    if new.startswith("-"):
        return [f"from {module[1:]} import {name}", f"{bound} = -{name}"]
    return [f"from {module} import {name}" + (f" as {bound}" if bound != name else "")]
