"""The packages of modules: by which name an index has what a notebook imports."""

import re

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


def package(module: str) -> str:
    """The package of a module by its first name: the mapped name, or else its own, as an index writes it."""
    return PACKAGES.get(module, re.sub(r"[-_.]+", "-", module).lower())


def is_known(module: str) -> bool:
    """Whether the package of a module is known here: any other name would be a guess, which may be a trap."""
    return module in PACKAGES or module in SAME_NAMES


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
