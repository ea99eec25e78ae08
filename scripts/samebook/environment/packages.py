"""The packages of modules: by which name an index has what a notebook imports."""

import difflib
import re
from collections.abc import Collection, Iterable

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
    *("altair", "astropy", "bokeh", "category_encoders", "catboost", "cvxpy", "dash", "dask", "datasets"),
    *("duckdb", "ete3", "fastai", "feedparser", "flask", "folium", "gensim", "geopandas", "geopy"),
    *("graphviz", "gym", "gymnasium", "h5py", "holoviews", "hvplot", "hyperopt", "ipywidgets", "jax"),
    *("joblib", "keras", "lightgbm", "lime", "lxml", "librosa", "lifelines", "matplotlib", "missingno"),
    *("mlxtend", "mplfinance", "networkx", "nibabel", "nltk", "numba", "numexpr", "numpy", "obspy"),
    *("openpyxl", "optuna", "pandas", "patsy", "pingouin", "plotly", "plotnine", "polars", "pyarrow"),
    *("pycaret", "pydot", "pydotplus", "pymc", "pymongo", "pyproj", "pyspark", "rasterio", "requests"),
    *("scipy", "scrapy", "seaborn", "sentence_transformers", "shap", "shapely", "simpy", "spacy"),
    *("sqlalchemy", "squarify", "statsmodels", "streamlit", "sympy", "tabulate", "tensorflow", "textblob"),
    *("torch", "torchvision", "tqdm", "transformers", "uncertainties", "unidecode", "vaderSentiment"),
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


def doubt(name: str, locked: Collection[str]) -> str:
    """Why a package should not be installed as it is spelt; "" where nothing speaks against it."""
    name = normal(name)
    if name in known(locked):
        return ""
    module = next((module for module in PACKAGES if normal(module) == name), None)
    if module:
        return f"{module} is a module; its package is {PACKAGES[module]}"
    close = difflib.get_close_matches(name, sorted(known(locked)), 1, ALIKE)
    return f"nobody here knows {name}, but {close[0]}: a package of a name so near to it may be a trap" if close else ""


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
