"""Scoring variants with their memory: what scoring.py beside this file measures."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.places import Place, Survey
from benchmarks.trials import NotThere, Wrong, last_words

SCORING = Path(__file__).with_name("scoring.py")


def scores(place: Place) -> list[dict[str, object]]:
    """A row for each variant. Raises NotThere, Wrong."""
    if not SCORING.is_file():
        raise NotThere(f"no {SCORING.name}")
    target = place.root / "scoring.json"
    command = [sys.executable, SCORING, "--rows", str(place.plan.rows), "--json", target]
    done = subprocess.run(command, cwd=place.root, env=place.environ(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"exit code {done.returncode}: {last_words(done.stdout + done.stderr)}")
    return rows(json.loads(target.read_text()))


def rows(found: Any) -> list[dict[str, object]]:
    """The rows in what was written: a list of objects, or objects by their name, alone or as one value among others."""
    if isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        return found
    if isinstance(found, dict):
        if found and all(isinstance(row, dict) for row in found.values()):
            return [{"variant": name, **row} for name, row in found.items()]
        for value in found.values():
            if isinstance(value, list | dict) and (inner := rows(value)):
                return inner
    return []


SCORING_CASE = Survey("scoring", "scoring variants, with their memory", scores)
