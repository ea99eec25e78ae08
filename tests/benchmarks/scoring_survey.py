"""The survey of scoring variants, which scoring.py beside this file measures."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.places import Place, Survey
from benchmarks.trials import FailedTrial, MissingTool, last_words

SCORING = Path(__file__).with_name("scoring.py")


def variants(place: Place) -> list[dict[str, object]]:
    """A row for each variant. Raises MissingTool, FailedTrial."""
    if not SCORING.is_file():
        raise MissingTool(f"no {SCORING.name}")
    target = place.root / "scoring.json"
    command = [sys.executable, SCORING, "--rows", str(place.plan.rows), "--json", target]
    done = subprocess.run(command, cwd=place.root, env=place.environ(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedTrial(f"exit code {done.returncode}: {last_words(done.stdout + done.stderr)}")
    return rows(json.loads(target.read_text()))


def rows(content: Any) -> list[dict[str, object]]:
    """The rows of a report: a list of objects, or objects by name, alone or as one value among others."""
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        return content
    if isinstance(content, dict):
        if content and all(isinstance(row, dict) for row in content.values()):
            return [{"variant": name, **row} for name, row in content.items()]
        for value in content.values():
            if isinstance(value, list | dict) and (inner := rows(value)):
                return inner
    return []


SCORING_CASE = Survey("scoring", "scoring variants, with their memory", variants)
