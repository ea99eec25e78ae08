"""The walk of docs/how-to/promote.md from newer data to production: its commands in a fresh clone."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from containers import CHECKOUT, base

PROMPT = "$ "


def walk() -> list[str]:
    """The commands under "A retraining with newer data"."""
    text = (CHECKOUT / "docs" / "how-to" / "promote.md").read_text().partition("A retraining with newer data")[2]
    block = re.search(r"```console\n(.*?)```", text, re.DOTALL)
    assert block
    return [line.removeprefix(PROMPT) for line in block[1].splitlines() if line.startswith(PROMPT)]


@pytest.mark.long
@pytest.mark.parametrize("chosen", ["docker", "local"])
def test_promotion_walk(chosen: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Six commands bring a model of newer data to main, and main predicts with it; so does a branch not checked out."""
    variables = {"ENGINE": chosen, "BASE_IMAGE": base(), "SAMEBOOK_TAG": "-walk"}
    if chosen == "docker":
        request.getfixturevalue("engine")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "-B", "main"], cwd=clone, check=True)
    for name, value in {"user.name": "a", "user.email": "a@b.c"}.items():
        subprocess.run(["git", "config", name, value], cwd=clone, check=True)
    commands = walk()
    assert len(commands) == 6
    elsewhere = 'make run NOTEBOOK=predict PARAMS="day=2013-08-02 model=delay@retrain"'
    for command in (*commands, elsewhere):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=clone,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **variables},
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    promoted = json.loads((clone / "models" / "delay.json").read_text())
    assert promoted["source"]["parameters"] == {"as_of": "2013-07-31"}
    predicted = list(clone.glob("runs/*-predict-*/receipt.json"))
    assert len(predicted) == 2
    assert all(promoted["artifacts"]["outputs/model.ubj"]["sha256"] in path.read_text() for path in predicted)
