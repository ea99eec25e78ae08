"""Model files by their kind, which the suffix names: how one is loaded, and read as JSON to be compared.

Another kind is an entry here: nothing else in the package knows a library that models are made with.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xgboost

# The stem of a model's file among a run's outputs.
STEM = "model"
# The kinds that can be loaded, and those of them that need a library to be read as JSON.
LOADABLE = (".ubj", ".json")
BINARY = (".ubj",)

# The packages of compiled code that load them, and the functions there that read and write files.
PACKAGES = ("xgboost", "xgboost_cpu")
READERS = {"xgboost": ("Booster.load_model", "DMatrix.__init__")}
WRITERS = {"xgboost": ("Booster.save_model",)}

type Model = "xgboost.Booster"


def load(path: Path) -> Model:
    """The model in a file of a kind that can be loaded."""
    import xgboost

    return xgboost.Booster(model_file=path)


def as_json(content: bytes) -> Any:
    """The content of a binary model file in its library's JSON form, which writes numbers as texts."""
    import xgboost

    return json.loads(xgboost.Booster(model_file=bytearray(content)).save_raw("json"))
