"""The packages of modules: by which name an index has what a notebook imports."""

import re

# Modules whose package has another name, by the projects' own instructions for installing them.
PACKAGES = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "imblearn": "imbalanced-learn",
    "jwt": "pyjwt",
    "osgeo": "gdal",
    "psycopg2": "psycopg2-binary",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "yaml": "pyyaml",
}


def mend(text: str) -> str | None:
    """The command that brings the package of a missing module, by Python's own words; None for any other error.

    A name that nobody knows may be a trap: whoever gives the command decides whether it is the one.
    """
    missing = re.match(r"No module named '(\w+)'", text)
    if not missing:
        return None
    name = missing[1]
    known = "" if name in PACKAGES else f", where {name} is the package's name and no module of yours"
    return f"make add PACKAGE={PACKAGES.get(name, name)}{known}"
