"""The clone that a season is replayed in: a commit of this checkout, lighter training, and a warehouse beside it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml
from season_plan import Plan
from tiny import CHECKOUT, SAMPLE, Tiny, git

from samebook.data import sample


def clone_checkout(root: Path, plan: Plan) -> Tiny:
    """A clone of this checkout's commit, without makers of missing days, and with a pipeline of lighter training."""
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(root)], check=True)
    clone = Tiny(root)
    git(clone, "switch", "--quiet", "--force-create", "season")
    for name, value in {"user.name": "season", "user.email": "season@example.com"}.items():
        git(clone, "config", name, value)
    settings = root / "environments" / "dev.yml"
    content = yaml.safe_load(settings.read_text())
    content["warehouse"] |= {"sample": ""}
    content["datasets"] = {name: {} for name in content["datasets"]}
    settings.write_text(yaml.safe_dump(content))
    pipelines = root / "environments" / "pipelines"
    (pipelines / "weekly.yml").write_text(yaml.safe_dump(_weekly(pipelines / "retrain.yml", plan)))
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "-m", "A season: its only data come through the inbox")
    return clone


def _weekly(shipped: Path, plan: Plan) -> dict[str, Any]:
    """The pipeline `retrain` with parameters of training, and without its reproduction, which builds an environment."""
    pipeline = yaml.safe_load(shipped.read_text())
    defaults = {"max_depth": 6, "n_estimators": 200, "train_days": 120, "holdout_days": 14, **plan.training}
    pipeline["parameters"] |= defaults
    del pipeline["steps"]["reproduce"]
    pipeline["steps"]["train"]["parameters"] |= {name: f"${name}" for name in defaults}
    pipeline["steps"]["promote"]["needs"].remove("reproduce")
    return pipeline


def copy_warehouse(folder: Path) -> Path:
    """A copy of the warehouse with the sample, out of the clone's reach."""
    path = folder / "warehouse.duckdb"
    existing = CHECKOUT / "data" / "warehouse.duckdb"
    shutil.copyfile(existing, path) if existing.is_file() else sample.load_duckdb(path, SAMPLE)
    return path
