"""The addresses in a notebook's code that it downloads at run time, and how it reads a file instead."""

import ast
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from samebook.adoption.code import cells, literals
from samebook.environment.fields import url_parts

URL = re.compile(r"\w+://\S+")
# Readers that take no address, by their last name.
OF_FILES = ("open", "Path", "glob", "listdir", "loads", "load")
OF_ADDRESSES = ("urlopen", "urlretrieve")
# What is read of the answer of `requests.get`, and the same of a file.
ANSWERS = {"text": "{}.read_text()", "content": "{}.read_bytes()", "json": "json.loads({}.read_bytes())"}
SEABORN = "https://raw.githubusercontent.com/mwaskom/seaborn-data/master/{}.csv"
FETCHED = re.compile(r"^(\s*)!\s*(wget|curl)\s(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Use:
    """A place where code downloads: its cell and address, and the text that replaces a part of the cell.

    `{}` in the text stands for the path of the input; without a text the code has to be changed by a person.
    `is_own`: a function of the notebook downloads it, which mostly does so only where the file is not there.
    """

    cell: int
    url: str
    start: int
    end: int
    text: str = ""
    imports: tuple[str, ...] = ("import samebook",)
    is_own: bool = False


def uses(texts: Sequence[str]) -> list[Use]:
    """The places in code cells where an address is downloaded, by the literals in their code."""
    names = cells.imported_names(texts)
    assigned = dict(_assigned(texts))
    own = {name for text in texts for name in _downloaders(text)}
    found = [use for number, text in enumerate(texts, start=1) for use in _in_cell(number, text, names, own)]
    found += [use for name, (number, node) in assigned.items() if (use := _of_name(name, number, node, texts, names))]
    return sorted(found, key=lambda use: (use.cell, use.start))


def _downloaders(text: str) -> Iterator[str]:
    """The functions that a cell defines to download the address that is their first argument."""
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.FunctionDef) and node.args.args:
            calls = [call for call in ast.walk(node) if isinstance(call, ast.Call) and call.args]
            subjects = [getattr(call.args[0], "id", "") for call in calls if cells.last_name(call) in OF_ADDRESSES]
            if node.args.args[0].arg in subjects:
                yield node.name


def _in_cell(number: int, text: str, names: Mapping[str, str], own: set[str]) -> Iterator[Use]:
    answers = dict(_answers(text, names))
    for call in cells.calls(text):
        name = cells.last_name(call)
        node = _subject(call)
        if name == "load_dataset" and cells.dotted(call.func, names) == "seaborn.load_dataset":
            yield from _of_seaborn(number, text, call)
        elif node and isinstance(node.value, str) and URL.fullmatch(node.value):
            if answer := answers.get(cells.span(text, call)):
                imports = ("import samebook", *["import json"] * answer[1].startswith("json"))
                yield Use(number, node.value, *cells.span(text, answer[0]), answer[1], imports)
            elif name in own:
                yield Use(number, node.value, *cells.span(text, node), "{}.as_uri()", is_own=True)
            elif form := _form(call, names):
                yield Use(number, node.value, *cells.span(text, node), form.strip())
    yield from _of_shell(number, text)


def _form(call: ast.Call, names: Mapping[str, str]) -> str:
    """The form of a file's path that a call takes in place of an address; " " where it takes none, "" for others."""
    name = cells.last_name(call)
    if name in OF_ADDRESSES:
        return "{}.as_uri()"
    if literals.READERS.fullmatch(name) and name not in OF_FILES:
        return "{}"
    return " " if cells.dotted(call.func, names) == "requests.get" else ""


def _subject(call: ast.Call) -> ast.Constant | None:
    """The constant that a call reads: its first argument, or the one named so."""
    named = [keyword.value for keyword in call.keywords if keyword.arg in (*literals.NAMES, "url")]
    return next((node for node in (*call.args[:1], *named) if isinstance(node, ast.Constant)), None)


def _answers(text: str, names: Mapping[str, str]) -> Iterator[tuple[tuple[int, int], tuple[ast.expr, str]]]:
    """The calls `requests.get(…)` of which one thing is read at once, with that expression and what replaces it."""
    tree = cells.read_tree(text)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) and node.attr in ANSWERS:
            whole = called.get(id(node)) if node.attr == "json" else node
            is_plain = len(node.value.args) == 1 and not node.value.keywords
            if whole and is_plain and cells.dotted(node.value.func, names) == "requests.get":
                yield cells.span(text, node.value), (whole, ANSWERS[node.attr])


def _of_seaborn(number: int, text: str, call: ast.Call) -> Iterator[Use]:
    """The use of a data set of seaborn's, which it downloads where its folder does not have the file."""
    if len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and not call.keywords:
        end = cells.span(text, call.args[0])[1]
        yield Use(number, SEABORN.format(call.args[0].value), end, end, ", data_home={}.parent")


def _of_shell(number: int, text: str) -> Iterator[Use]:
    """The lines `!wget` and `!curl` that bring one file into the notebook's folder."""
    for line in FETCHED.finditer(text):
        try:
            words = shlex.split(line[3])
        except ValueError:
            continue
        urls = [word for word in words if URL.fullmatch(word) and not re.search(r"[{}$]", word)]
        option = "-O" if line[2] == "wget" else "-o"
        into = words[words.index(option) + 1 :][:1] if option in words else []
        if len(urls) != 1 or into == ["-"] or (line[2] == "curl" and not into and "-O" not in words):
            continue
        target = (into or [unquote(url_parts(urls[0]).path).rpartition("/")[2]])[0]
        copied = f"{line[1]}shutil.copy({{}}, {target!r})"
        yield Use(number, urls[0], line.start(), line.end(), copied, ("import samebook", "import shutil"))


def _assigned(texts: Sequence[str]) -> Iterator[tuple[str, tuple[int, ast.Constant]]]:
    """The names that are bound once, to an address, with its cell and its place."""
    stores = Counter(name for text in texts for name in cells.stored(text))
    for number, text in enumerate(texts, start=1):
        for node in ast.walk(cells.read_tree(text)):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Constant):
                target, value = node.targets[0], node.value.value
                is_url = isinstance(value, str) and URL.fullmatch(value)
                if isinstance(target, ast.Name) and is_url and stores[target.id] == 1:
                    yield target.id, (number, node.value)


def _of_name(name: str, number: int, node: ast.Constant, texts: Sequence[str], names: Mapping[str, str]) -> Use | None:
    """The use of an address by its name, where all that happens to the name is that it is downloaded; else None."""
    loads, forms = 0, list[str]()
    for text in texts:
        for part in ast.walk(cells.read_tree(text)):
            loads += isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load)
            if isinstance(part, ast.Call) and part.args and getattr(part.args[0], "id", "") == name:
                forms += [form] if (form := _form(part, names)) else []
    if not forms:
        return None
    form = forms[0].strip() if len(set(forms)) == 1 and len(forms) == loads else ""
    return Use(number, str(node.value), *cells.span(texts[number - 1], node), form)
