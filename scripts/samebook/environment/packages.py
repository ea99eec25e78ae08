"""The packages of modules: by which name an index has what a notebook imports."""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from samebook.core.text import visible

# Modules whose package has another name, by the projects' own instructions for installing them.
PACKAGES = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "IPython": "ipython",
    "MySQLdb": "mysqlclient",
    "OpenGL": "pyopengl",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "community": "python-louvain",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "imblearn": "imbalanced-learn",
    "jwt": "pyjwt",
    "mpl_toolkits": "matplotlib",
    "osgeo": "gdal",
    "pkg_resources": "setuptools",
    "psycopg2": "psycopg2-binary",
    "pylab": "matplotlib",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "surprise": "scikit-surprise",
    "tables": "tables",
    "umap": "umap-learn",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
# Well-known packages whose module has their own name.
SAME_NAMES = (
    *("altair", "arviz", "astropy", "bokeh", "category_encoders", "catboost", "cvxpy", "dash", "dask", "datasets"),
    *("dateparser", "duckdb", "ete3", "fastai", "feedparser", "flask", "folium", "gensim", "geopandas", "geopy"),
    *("graphviz", "gym", "gymnasium", "h5py", "holoviews", "html5lib", "hvplot", "hyperopt", "ipywidgets", "jax"),
    *("joblib", "keras", "lightgbm", "lime", "lxml", "librosa", "lifelines", "matplotlib", "missingno"),
    *("mlxtend", "mplfinance", "networkx", "nibabel", "nltk", "numba", "numexpr", "numpy", "obspy"),
    *(
        "openpyxl",
        "optuna",
        "pandas",
        "pandas_datareader",
        "patsy",
        "pingouin",
        "plotly",
        "plotnine",
        "polars",
        "pyarrow",
    ),
    *(
        "pycaret",
        "pydot",
        "pydotplus",
        "pymc",
        "prettytable",
        "prophet",
        "psutil",
        "pymongo",
        "pyproj",
        "pyspark",
        "pytz",
        "rasterio",
        "requests",
    ),
    *("scipy", "scrapy", "seaborn", "sentence_transformers", "shap", "shapely", "simpy", "six", "spacy"),
    *("sqlalchemy", "squarify", "statsmodels", "streamlit", "sympy", "tabulate", "tensorflow", "textblob"),
    *(
        "torch",
        "torchvision",
        "tqdm",
        "transformers",
        "ucimlrepo",
        "uncertainties",
        "unidecode",
        "vaderSentiment",
        "watermark",
    ),
    *("wordcloud", "xarray", "xlrd", "xlsxwriter", "yellowbrick", "yfinance"),
)

# A package of a lock, with its version and marker.
PINNED = re.compile(r"^(\S+)==(\S+)(?: ; (.*?))?(?: \\)?$", re.MULTILINE)

# A package of a lock: its name, its version, for which platforms, and its hashes.
ENTRY = re.compile(r"^([^\s#\[=]+)(?:\[\S+\])?==(\S+)(?: ; (.*?))?(?: \\)?\n(?: +--hash=.*\n)*", re.MULTILINE)


def versions(locks: Iterable[str]) -> dict[str, str]:
    """The version of each package in the texts of locks, by its name and, where there is one, its marker."""
    pins = (pin for lock in locks for pin in PINNED.findall(lock))
    return {f"{name} ({marker})" if marker else name: version for name, version, marker in pins}


def package(module: str) -> str:
    """The package of a module by its first name: the mapped name, or else its own, as an index writes it."""
    return PACKAGES.get(module, normal(module))


def is_known(module: str) -> bool:
    """Whether the package of a module is known here: any other name would be a guess, which may be a trap."""
    return module in PACKAGES or module in SAME_NAMES


# How alike a name must be to one that is known for a slip of the keys, or a trap that is made for one.
ALIKE = 0.85


def normal(name: str) -> str:
    """The name of a package as an index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def known(locked: Collection[str]) -> set[str]:
    """The packages that are known here: of the lock, and of the modules that notebooks import."""
    return {normal(name) for name in (*locked, *PACKAGES.values(), *SAME_NAMES)}


def doubt(name: str, locked: Collection[str]) -> tuple[str, str] | None:
    """Why a package should not be installed as it is spelt, and the one that may be meant; None for any other."""
    name = normal(name)
    if name in known(locked):
        return None
    module = next((module for module in PACKAGES if normal(module) == name), None)
    if module:
        return f"{module} is a module; its package is {PACKAGES[module]}", PACKAGES[module]
    close = difflib.get_close_matches(name, sorted(known(locked)), 1, ALIKE)
    if not close:
        return None
    return f"nobody here knows {name}, but {close[0]}: a package of a name so near to it may be a trap", close[0]


def mend(text: str) -> str | None:
    """The command that brings the package of a missing module, by Python's own words; None for any other error.

    A name that nobody knows may be a trap: whoever gives the command decides whether it is the one.
    """
    missing = re.match(r"No module named '(\w+)'", text)
    if not missing:
        return None
    name = missing[1]
    known = "" if is_known(name) else f", where {name} is the package's name and no module of yours"
    return f"make add PACKAGE={package(name) if is_known(name) else name}{known}"


# What uv says of a wish that can't be met: https://docs.astral.sh/uv/reference/internals/resolver/
NOWHERE = re.compile(r"Because ([\w.-]+) was not found in the package registry")
NO_VERSION = re.compile(r"there is no version of ([\w.-]+)\S+|only ([\w.-]+)[<>=]\S* is available")
UNBUILT = re.compile(r"Failed to (?:download and )?build `([\w.-]+)==([^`]+)`")
NO_WHEEL = re.compile(r"Because ([\w.-]+)==(\S+) has no wheels with a matching")
DEPENDS = re.compile(
    r"([\w.-]+)(?:[<>=!~\[:]\S*)? depends? on (?:one of: )?([\w.-]+)((?:[<>=!~]\S*(?: \2(?=[<>=!~]))?)*)"
)
# What is told where uv's words are all that there is.
UNTOLD = "the words above say why"
BOUND = re.compile(r"[<>=!~@;\[ ].*")


def refusal(words: str, wanted: Sequence[str], project: str) -> tuple[str, str]:
    """Why uv has refused to add the packages in `wanted`, by its own words, and the command that mends it.

    `project` is the name by which uv calls the wish in environments/pyproject.toml. Both are "" where nobody can say.
    """
    words = " ".join(words.split())
    plain = [BOUND.sub("", name) for name in wanted]
    newest = _add(plain) if plain != [*wanted] else ""
    if found := NOWHERE.search(words):
        close = difflib.get_close_matches(normal(found[1]), sorted(known(())), 1)
        return f"no index has {found[1]}", _add(close or ["<the name that its own page says>"])
    if found := UNBUILT.search(words) or NO_WHEEL.search(words):
        return f"{found[1]} {found[2]} has no wheel for this Python, and no source that can be built for it", newest
    asked = [(who, what, bounds.split(f" {what}")[-1].rstrip(",.")) for who, what, bounds in DEPENDS.findall(words)]
    ours = {what: bound for who, what, bound in asked if who == project}
    others = [entry for entry in asked if entry[0] != project]
    for who, what, bound in reversed(others):
        if ours.get(what):
            fitting = plain if what in plain else [*wanted, what + bound]
            return f"{who} asks for {what}{bound}, and this project for {what}{ours[what]}", _add(fitting)
    for who, what, bound in others:
        if rival := next(((name, limit) for name, same, limit in others if same == what and name != who), None):
            return f"{who} asks for {what}{bound}, and {rival[0]} for {what}{rival[1]}", newest
    if found := NO_VERSION.search(words):
        name = found[1] or found[2]
        return f"{name} has no version that fits {name}{ours.get(name, '')}", newest
    return "", ""


def _add(names: Iterable[str]) -> str:
    return f'make add PACKAGE="{" ".join(names)}"'


def hole(audited: dict[str, Any]) -> list[str]:
    """The known holes of a package in a report of pip-audit, a line each, and the change of the lock that mends it."""
    name, version = audited["name"], audited["version"]
    lines, fixes = list[str](), list[str]()
    for known in audited["vulns"]:
        ids = ", ".join(dict.fromkeys((known["id"], *known.get("aliases", ()))))
        lines.append(visible(f"{name} {version}: {ids}"))
        # The oldest version that mends it comes first.
        fixes += known["fix_versions"][:1] or [""]
    if all(fixes):
        newest = max(fixes, key=lambda text: [int(part) for part in re.findall(r"\d+", text)])
        return [*lines, f'  -> make add PACKAGE="{name}>={newest}"']
    return [*lines, f"  no version of {name} mends all of that yet: make remove PACKAGE={name}, where it can go"]
