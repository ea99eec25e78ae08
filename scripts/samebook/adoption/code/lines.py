"""IPython's lines that a clean run can't have: installations, windows, extensions that are not there."""

import re
from collections.abc import Collection, Sequence
from importlib.util import find_spec

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Note

INSTALL = re.compile(
    r"[%!]\s*(?:sudo\s+)?(?:\S*python[\d.]*\s+-m\s+)?(?:pip[\d.]*|conda|mamba|uv|apt|apt-get|brew)\s.*"
)
WINDOW = re.compile(r"%matplotlib(?!\s+inline\b).*")
EXTENSION = re.compile(r"%(?:load|reload)_ext\s+([\w.]+).*")
# IPython has these itself.
OWN_EXTENSIONS = ("autoreload", "storemagic")
# The line magics that IPython has itself; any other one is an extension's.
MAGICS = frozenset(
    [
        "alias",
        "alias_magic",
        "autoawait",
        "autocall",
        "automagic",
        "autosave",
        "bookmark",
        "cat",
        "cd",
        "code_wrap",
        "colors",
        "conda",
        "config",
        "cp",
        "debug",
        "dhist",
        "dirs",
        "doctest_mode",
        "ed",
        "edit",
        "env",
        "gui",
        "hist",
        "history",
        "killbgscripts",
        "ldir",
        "less",
        "lf",
        "lk",
        "ll",
        "load",
        "load_ext",
        "loadpy",
        "logoff",
        "logon",
        "logstart",
        "logstate",
        "logstop",
        "ls",
        "lsmagic",
        "lx",
        "macro",
        "magic",
        "mamba",
        "man",
        "matplotlib",
        "micromamba",
        "mkdir",
        "more",
        "mv",
        "notebook",
        "page",
        "pastebin",
        "pdb",
        "pdef",
        "pdoc",
        "pfile",
        "pinfo",
        "pinfo2",
        "pip",
        "popd",
        "pprint",
        "precision",
        "prun",
        "psearch",
        "psource",
        "pushd",
        "pwd",
        "pycat",
        "pylab",
        "quickref",
        "recall",
        "rehashx",
        "reload_ext",
        "rep",
        "rerun",
        "reset",
        "reset_selective",
        "rm",
        "rmdir",
        "run",
        "save",
        "sc",
        "set_env",
        "store",
        "subshell",
        "sx",
        "system",
        "tb",
        "time",
        "timeit",
        "unalias",
        "unload_ext",
        "uv",
        "who",
        "who_ls",
        "whos",
        "xdel",
        "xmode",
    ]
)
# What measures: the code is the same without it, and the time that it prints is another each run.
TIMED = re.compile(r"%time\s+(?!-)(.*)")
TIMES = re.compile(r"%%(?:time|timeit|prun|memit)\b.*")
MAGIC = re.compile(r"%([A-Za-z_]\w*)(?:\s.*)?")
ELSEWHERE = re.compile(r"%(?:tensorflow_version|cd|connect_info|qtconsole|autoreload|aimport|timeit|prun)\b.*")


def mended(texts: Sequence[str]) -> tuple[list[str], list[Note]]:
    """The code cells with such lines as comments or replaced, and a note for each of them."""
    notes: list[Note] = []
    return [_mended(number, text, notes) for number, text in enumerate(texts, start=1)], notes


def _mended(number: int, text: str, notes: list[Note]) -> str:
    if text.lstrip().startswith("%%"):
        return _of_cell(number, text, notes)
    lines = []
    for line in text.split("\n"):
        statement, fix = line.strip(), ""
        if INSTALL.fullmatch(statement):
            fix = "packages come by make add, for everybody; what the code imports is added"
        elif WINDOW.fullmatch(statement):
            notes.append(Note(number, f"`{statement}` opens windows: it is `%matplotlib inline`"))
            lines.append(line.replace(statement, "%matplotlib inline"))
            continue
        elif (timed := TIMED.fullmatch(statement)) and not cells.is_python(text):
            notes.append(Note(number, f"`{statement}` is timed no more: it would print other times each run"))
            lines.append(line.replace(statement, timed[1]))
            continue
        elif ELSEWHERE.fullmatch(statement) or _is_missing(statement) or _is_extension(statement, text):
            fix = "a headless run has no use for it, or does not have it, or prints other times each run"
        if fix:
            notes.append(Note(number, f"`{statement}` is a comment now: {fix}"))
            indented = "pass  " if line != line.lstrip() else ""
            line = line.replace(statement, f"{indented}# {statement}")
        lines.append(line)
    return "\n".join(lines)


def _of_cell(number: int, text: str, notes: list[Note]) -> str:
    """A cell with a magic of its own: without the one that measures it; a comment where its names would be lost."""
    magic = text.lstrip().split("\n")[0].strip()
    if not TIMES.fullmatch(magic):
        return text
    is_work = not magic.startswith("%%timeit")
    fix = "the cell is measured no more" if is_work else "the cell is a comment now"
    notes.append(Note(number, f"`{magic}`: {fix}: it would print other times each run"))
    if is_work:
        return text.replace(magic, f"# {magic}", 1)
    return "\n".join(f"# {line}".rstrip() for line in text.lstrip().split("\n"))


def _is_extension(statement: str, text: str) -> bool:
    """Whether a line is a magic of an extension, and no Python: there, a line may begin with % as well."""
    magic = MAGIC.fullmatch(statement)
    return bool(magic) and magic[1] not in MAGICS and not cells.is_python(text)


def _is_missing(statement: str, own: Collection[str] = OWN_EXTENSIONS) -> bool:
    """Whether a line loads an extension that is not installed, or that only watches files."""
    extension = EXTENSION.fullmatch(statement)
    return bool(extension) and (extension[1] in own or find_spec(extension[1].split(".")[0]) is None)
