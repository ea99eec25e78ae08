"""Causes why two runs of a cell may differ, searched in its source, each with its fix.

A suspect is a guess for a person to judge; only differing runs are a proof. A pattern is matched from the start of
one call, as `ast.unparse` writes it in one line: `np.random.default_rng()`; `_.sample(n=3)` for a method of another
call's result; `set(...)` for a set in any spelling; `np.matmul(...)` and `np.power(...)` for `@` and `**`.
"""

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from samebook.records import canonical


@dataclass(frozen=True)
class Cause:
    """A cause for runs to differ: its name, the pattern of a call, and the fix.

    `order`: only the order differs, so that sorting mends it. `machine`: all runs on one machine are alike, those on
    another differ. `numeric`: the call is known to depend on it, unless numerics are portable. `unless`: a pattern that
    rules the cause out where the text of any cell matches it.
    """

    name: str
    pattern: str
    fix: str
    order: bool = False
    machine: bool = False
    numeric: bool = False
    unless: str = "$^"


@dataclass(frozen=True)
class Source:
    """The source of a code cell, with the cell's number and name."""

    number: int
    name: str
    text: str


@dataclass(frozen=True)
class Suspect:
    """A line of a cell where a cause may be at work."""

    cause: Cause
    cell: Source
    line: int

    @property
    def text(self) -> str:
        """The text of the line."""
        return self.cell.text.splitlines()[self.line - 1].strip()

    def place(self, number: int = 0) -> str:
        """The line and its text, with its cell where that is not the one of this number."""
        cell = "" if self.cell.number == number else f"cell {self.cell.number} `{self.cell.name}`, "
        return f"{cell}line {self.line}: {self.text}"


UNSEEDED = "a generator without a seed"
SHARED = "rand|randn|randint|random|random_sample|choices?|sample|shuffle|permutation|normal|uniform|gauss"
SEEDLESS = r"(?!.*\b(random_state|seed)=)"
CLOCK = r"time\.(time|ctime|localtime|gmtime|strftime)(_ns)?|(time\.)?(perf_counter|monotonic)(_ns)?"
THREADS = Cause(
    "thread count",
    r".*\b(n_jobs|nthread|n_threads|max_workers)=|(\w+\.)*(cpu_count|ThreadPool\w*|ProcessPool\w*|Parallel)\(",
    "numerics: portable, the default; one thread where numbers are added up (n_jobs=1); or round what depends on it",
)
# Calls whose last digits depend on the number of threads, or on the processor, as `make portability` measures.
OF_BLAS = r"(np|numpy)\.(matmul|vdot|inner|tensordot|cov|corrcoef|linalg\.\w+)|(\w+\.)*(dot|svd|TruncatedSVD|KMeans)"
OF_THREADS = Cause(THREADS.name, rf"({OF_BLAS})\(", THREADS.fix, numeric=True)
PROCESSOR = Cause(
    "processor",
    r"(np|numpy)\.(exp|exp2|expm1|log|log2|log10|log1p|power|cbrt|(arc)?(sin|cos|tan)h?)\("
    rf"|({OF_BLAS}|(\w+\.)*(minimize|curve_fit|least_squares|PCA|MiniBatchKMeans|GaussianMixture))\("
    r"|(\w+\.)*(Linear|Logistic|Ridge|Lasso|ElasticNet|MLP|SV[CR])\w*\(",
    "numerics: portable, the default, in environments/<env>.yml; or round what depends on it",
    numeric=True,
)
MAGIC = Cause("wall clock", r"%%?(time|timeit|prun)\b", "leave it out: how long cells take is in run.log")
ADDRESS = Cause("object address", r"id\(|object\.__repr__\(", "name it by what stays: a key, a position, its content")
HEXADECIMAL = re.compile(r"x[0-9a-f]{6,16}\b")
SET_ORDER = Cause("set order", r"(frozen)?set\(", "sort it before its order counts: sorted(names)", order=True)
CAUSES = (
    Cause(
        UNSEEDED,
        r"(\w+\.)*(default_rng|RandomState|Random)\((None)?\)",
        "give it a seed, as a parameter: np.random.default_rng(seed)",
    ),
    Cause(
        UNSEEDED,
        rf"((np|numpy)\.)?random\.({SHARED})\(",
        "draw from a generator with a seed, as a parameter: random.Random(seed), np.random.default_rng(seed)",
        unless=r"\brandom\.seed\(",
    ),
    Cause(
        UNSEEDED,
        rf"(?!random\.|rng\.)(\w+\.)+sample\({SEEDLESS}|(\w+\.)*(train_test_split|\w*ShuffleSplit)\({SEEDLESS}",
        "give it a seed, as a parameter: random_state=seed",
    ),
    SET_ORDER,
    Cause("set order", r"hash\(", "a hash that is the same in every process: hashlib.sha256(...)"),
    Cause(
        "wall clock",
        rf"(\w+\.)*(now|today|utcnow)\(|({CLOCK})\(",
        "take the date as a parameter: as_of: date = date(2013, 6, 30); how long cells take is in run.log",
    ),
    Cause(
        "wall clock",
        r"(\w+\.)*summary2?\(",
        "the first table has the date and the time of day: print(result.summary().tables[1])",
        unless=r"\A(?![\s\S]*\bstatsmodels\b)|iolib\.summary\.time =",
    ),
    Cause(
        "wall clock",
        r"_\.cv_results_",
        'it has the times of fits: pd.DataFrame(search.cv_results_).filter(regex="^(?!.*_time)")',
    ),
    MAGIC,
    THREADS,
    OF_THREADS,
    PROCESSOR,
    Cause(
        "file order",
        r"(os\.)?(listdir|scandir|walk)\(|(\w+\.)+(iterdir|i?glob|rglob)\(|glob\(",
        "sort what the folder holds: sorted(folder.glob(...))",
        order=True,
        machine=True,
    ),
    ADDRESS,
    Cause(
        "random name",
        r"(\w+\.)*(uuid[14]|mkdtemp|mkstemp|NamedTemporaryFile|TemporaryDirectory|urandom|getpid)\(|secrets\.",
        'name things after what they hold: samebook.output_path("table.csv")',
    ),
    Cause(
        "network",
        r"(requests|httpx|urllib\.request)\.|(\w+\.)*urlopen\(|[\w.]+\(['\"]https?://",
        "fetch it once, into a dataset, and read that: samebook.read_dataset(...)",
        machine=True,
    ),
)
# Exponents for which a power is a product.
WHOLE = ("0", "1", "2")
# Functions whose result does not depend on the order of their argument.
ORDERLESS = ("sorted", "len", "min", "max", "any", "all", "set", "frozenset")


def suspects(cells: Iterable[Source]) -> list[Suspect]:
    """The suspects in these cells, in the order of the cells."""
    sources = list(cells)
    text = "\n".join(cell.text for cell in sources)
    candidates = (suspect for cell in sources for suspect in _of_cell(cell))
    return [suspect for suspect in candidates if not re.search(suspect.cause.unless, text)]


def of_lines(before: str, after: str) -> Cause | None:
    """The cause that two lines of results show themselves: they differ in an address, as of an object that is shown."""
    return ADDRESS if HEXADECIMAL.sub("", before) == HEXADECIMAL.sub("", after) else None


def in_notebook(content: bytes, number: int = sys.maxsize) -> list[Suspect]:
    """The suspects in the code cell of this number of a canonical notebook, then those in the cells before it."""
    code = enumerate((cell for cell in json.loads(content) if cell["type"] == "code"), start=1)
    sources = [Source(position, canonical.name(cell["tags"], position), cell["source"]) for position, cell in code]
    before = (suspect for suspect in suspects(sources) if suspect.cell.number <= number)
    return sorted(before, key=lambda suspect: -suspect.cell.number)


def _of_cell(cell: Source) -> Iterator[Suspect]:
    for number, line in enumerate(cell.text.splitlines(), start=1):
        if re.match(MAGIC.pattern, line.strip()):
            yield Suspect(MAGIC, cell, number)
    with suppress(RecursionError):  # a sum of a thousand terms: no verdict may end with that
        for call, line, ordered in _calls(_parsed(cell.text), ordered=True):
            for cause in CAUSES:
                if (ordered or not cause.order) and re.match(cause.pattern, call):
                    yield Suspect(cause, cell, line)


def _parsed(text: str) -> ast.AST:
    """The syntax tree of a cell without IPython's own lines; an empty one where the rest is not Python."""
    plain = re.sub(r"^(\s*)[%!].*", r"\1pass", text, flags=re.MULTILINE)
    try:
        return ast.parse(plain)
    except SyntaxError:
        return ast.Module([], [])


def _calls(node: ast.AST, *, ordered: bool) -> Iterator[tuple[str, int, bool]]:
    """The calls and sets below a node: their text, their line, and whether their order can reach a result."""
    if isinstance(node, ast.Set | ast.SetComp):
        yield "set(...)", node.lineno, ordered
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield "np.matmul(...)", node.lineno, ordered
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and ast.unparse(node.right) not in WHOLE:
        yield "np.power(...)", node.lineno, ordered
    if isinstance(node, ast.Attribute) and node.attr == "cv_results_":
        yield "_.cv_results_", node.end_lineno or node.lineno, ordered
    if isinstance(node, ast.Call):
        arguments = ", ".join(ast.unparse(argument) for argument in (*node.args, *node.keywords))
        yield f"{_dotted(node.func)}({arguments})", node.func.end_lineno or node.lineno, ordered
    orderless = isinstance(node, ast.Compare) or (isinstance(node, ast.Call) and _dotted(node.func) in ORDERLESS)
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, ordered=ordered and not orderless)


def _dotted(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return f"{_dotted(function.value)}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else "_"
