"""Imports become packages: known ones are wanted, others are told, and helpers come along."""

from pathlib import Path

import pytest

from samebook.adoption import imports, requirements
from samebook.environment import packages

LOCK = {"numpy": "2.5.5", "scikit-learn": "1.9.1", "python-dateutil": "2.9"}


def test_wanted_and_unknown(tmp_path: Path) -> None:
    """What the lock lacks is wanted with the version that the project asks for; an unknown name is never a package."""
    texts = ["import numpy as np, os\nfrom sklearn import svm", "import seaborn.objects, cv2\nimport seabron"]
    found = imports.find(texts, (tmp_path, tmp_path), LOCK, {"seaborn": "==0.13.2", "numpy": "==1.19.2"}, {})
    assert found.wanted == ("opencv-python-headless", "seaborn==0.13.2")
    assert found.unknown == ("seabron",)
    assert "code cell 2 imports seabron" in found.notes[0]
    assert "did you mean seaborn" in found.notes[0]
    assert "may be a trap" in found.notes[0]
    assert found.notes[1] == "it was written for numpy 1.19.2; the environment has 2.5.5"


def test_own_project_vouches(tmp_path: Path) -> None:
    """A package that the notebook's own requirements name is wanted, though nobody here knows it."""
    assert imports.find(["import oddity"], (tmp_path, tmp_path), LOCK, {"oddity": ""}, {}).wanted == ("oddity",)


def test_helpers(tmp_path: Path) -> None:
    """A module beside the notebook comes along, with those that it imports, and is no package."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("import plots\nimport plotly")
    (tmp_path / "plots.py").write_text("import tools")
    found = imports.find(["from tools import x"], (tmp_path, tmp_path), LOCK, {}, {})
    assert [helper.path for helper in found.helpers] == [tmp_path / "tools", tmp_path / "plots.py"]
    assert found.wanted == ("plotly",)
    assert found.unknown == ()


def test_imports_of_what_is_run(tmp_path: Path) -> None:
    """What a file imports that a cell runs by `%run` comes too, but for a file that a link brings from elsewhere."""
    (tmp_path / "nb").mkdir()
    (tmp_path / "outside.py").write_text("import cvxpy")
    (tmp_path / "nb" / "link.py").symlink_to(tmp_path / "outside.py")
    (tmp_path / "nb" / "first.py").write_text("import generators, seaborn")
    (tmp_path / "nb" / "generators.py").write_text("import plotly")
    texts = ["%run -i first.py\n%run link.py\n%run gone.py\n%run other.ipynb"]
    found = imports.find(texts, (tmp_path / "nb", tmp_path / "nb"), LOCK, {}, {})
    assert [helper.path for helper in found.helpers] == [tmp_path / "nb" / "generators.py"]
    assert found.wanted == ("plotly", "seaborn")


def test_packages_come_before_folders(tmp_path: Path) -> None:
    """A folder of the repository that is named like a package does not hide it; one that nobody knows is a module."""
    for place in ("numpy", "oddity", "deep/seaborn"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "__init__.py").touch()
    (tmp_path / "deep" / "sklearn").mkdir()
    (tmp_path / "deep" / "sklearn" / "notes.py").touch()
    texts = ["import numpy, oddity, seaborn, sklearn, oddity.x"]
    found = imports.find(texts, (tmp_path / "deep", tmp_path), LOCK, {}, {})
    assert {helper.path for helper in found.helpers} == {tmp_path / "oddity", tmp_path / "deep" / "seaborn"}
    assert found.wanted == ()


def test_what_calls_need(tmp_path: Path) -> None:
    """A call of pandas that needs another package brings it, and one that the lock has brings none."""
    texts = ["import pandas as pd\npd.read_html(x)", "from tqdm import tqdm_notebook\ntqdm_notebook(x)"]
    found = imports.find(texts, (tmp_path, tmp_path), {**LOCK, "pandas": "3.1", "lxml": "6"}, {}, {})
    assert found.wanted == ("ipywidgets", "tqdm")


def test_package_without_its_module(tmp_path: Path) -> None:
    """A package that lacks the module that it imports is not the module: the file of that name elsewhere is."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("from .tools import *")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "tools.py").write_text("x = 1")
    found = imports.find(["import tools"], (tmp_path / "notes", tmp_path), LOCK, {}, {})
    assert [helper.path for helper in found.helpers] == [tmp_path / "code" / "tools.py"]


def test_links_stay(tmp_path: Path) -> None:
    """A link out of the repository is no module, and does not come along with one."""
    (tmp_path / "key.py").write_text("KEY = 1")
    repository = tmp_path / "foreign"
    (repository / "tools").mkdir(parents=True)
    (repository / "tools" / "__init__.py").touch()
    for link in ("helper.py", "tools/key.py", "tools/key.txt"):
        (repository / link).symlink_to(tmp_path / "key.py")
    found = imports.find(["import helper, tools"], (repository, repository), LOCK, {}, {})
    assert [helper.files for helper in found.helpers] == [(repository / "tools" / "__init__.py",)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "-r other.txt\npandas == 1.5.3 # old\nseaborn>=0.9,<1\nhttps://a.b/c.whl\nrich\n"),
        ("environment.yml", "name: x\ndependencies:\n  - pandas=1.5.3=py39_0\n  - seaborn>=0.9,<1\n  - rich\n"),
        ("pyproject.toml", '[project]\ndependencies = ["pandas==1.5.3", "seaborn>=0.9,<1", "rich"]\n'),
        ("Pipfile", '[packages]\npandas = "==1.5.3"\nseaborn = ">=0.9,<1"\nrich = "*"\n'),
    ],
)
def test_versions_beside(tmp_path: Path, name: str, text: str) -> None:
    """The versions that a project's own file asks for are read from each kind of it."""
    (tmp_path / name).write_text(text)
    found = requirements.of(tmp_path, ["!pip install -q cvxpy==1.4"])
    assert {key: found[key] for key in ("pandas", "seaborn", "rich", "cvxpy")} == {
        "pandas": "==1.5.3",
        "seaborn": ">=0.9,<1",
        "rich": "",
        "cvxpy": "==1.4",
    }


def test_package_names() -> None:
    """A module's package has its mapped name, or its own as an index writes it."""
    assert packages.package("sklearn") == "scikit-learn"
    assert packages.package("category_encoders") == "category-encoders"
    assert not packages.is_known("helpers")


def test_requirements_take_no_time() -> None:
    """A stranger's line of requirements is read or left, however it is written."""
    texts = [
        "!pip install numpy==1.26,<2 seaborn scipy!=1.2",
        "!pip install a" + "!" * 5000 + "@",
        "%pip install b>" + "=1," * 5000 + "@",
    ]
    assert requirements.of(Path("nowhere"), texts) == {"numpy": "==1.26,<2", "seaborn": "", "scipy": "!=1.2"}


def test_module_of_the_repository(tmp_path: Path) -> None:
    """A module that lies at one place of the repository comes from there; of two different ones, none does."""
    for name in ("a/tools.py", "a/other.py", "b/other.py", "n/x.ipynb", "a/pandas.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"NAME = '{name}'")
    found = imports.find(["import tools, other, pandas"], (tmp_path / "n", tmp_path), LOCK, {}, {})
    assert [helper.path for helper in found.helpers] == [tmp_path / "a" / "tools.py"]
    assert "other" in found.unknown
