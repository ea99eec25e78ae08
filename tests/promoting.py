"""A tiny repository with runs to promote: `train` makes a model of one number, `gate` compares two."""

import json
import shutil
from pathlib import Path
from typing import Any

import shared_imports
from tiny import Result, Tiny, git, shorten_lock

MAKEFILE = """.PHONY: environment run models
environment:
\t@true
run:
\t@SAMEBOOK_WORKSPACE=$(CURDIR) {samebook} run --receipt $(RECEIPT)
models:
\t@SAMEBOOK_WORKSPACE=$(CURDIR) {samebook} models
"""
LEVEL = "level: int = 3"
TRAIN = """
import samebook
from samebook.core.digest import json_bytes
samebook.output_path("model.txt").write_text(str(level))
samebook.output_path("reference.json").write_bytes(json_bytes({"rows": 3}))
samebook.log_metric("auc", level / 10)
"""
RIVALS = 'from samebook import Model\ncandidate: Model = "train"\nchampion: str | None = None'
GATE = """
import samebook
value = int(samebook.find_artifact(candidate, "model.txt").read_text())
samebook.log_metrics({"candidate_auc": value / 10, "baseline_auc": 0.15})
if champion:
    samebook.load_bundle(champion)
    samebook.log_metric("champion_auc", int(samebook.find_artifact(champion, "model.txt").read_text()) / 10)
"""
MODEL = 'from samebook import Model\nmodel: Model = "delay"'
SCORE = """
import samebook
print(samebook.find_artifact(model, "model.txt").read_text())
samebook.output_path("score.txt").write_text(samebook.find_artifact(model, "model.txt").read_text())
"""
DEV = "promotion: {gate: {notebook: gate, metric: auc, margin: 0.05}}\n"
PREPROD = "promotion: {reproduced: true, gate: null}\n"


def create(root: Path, *levels: int) -> Tiny:
    """Make the repository, all committed, with a run of `train` for each level, and none of `gate`."""
    tiny = Tiny.create(root, DEV)
    shorten_lock(tiny)
    (tiny.root / "environments" / "preprod.yml").write_text(PREPROD)
    tiny.notebook("train", parameters=LEVEL, work=TRAIN)
    tiny.notebook("gate", parameters=RIVALS, work=GATE)
    tiny.notebook("score", parameters=MODEL, work=SCORE)
    (tiny.root / "Makefile").write_text(MAKEFILE.format(samebook=shared_imports.program()))
    (tiny.root / ".gitignore").write_text("/runs/\n/store/\n/data/\n/.samebook/\n/models/.files/\n")
    (tiny.root / ".gitattributes").write_text("models/*.json -merge\n")
    (tiny.root / "models").mkdir()
    (tiny.root / "models" / ".gitkeep").touch()
    git(tiny, "init", "--quiet", "--initial-branch", "main")
    git(tiny, "config", "user.name", "a")
    git(tiny, "config", "user.email", "a@b.c")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "work")
    for level in levels:
        result = tiny.samebook("run", "train", "-p", f"level={level}")
        assert result.code == 0, result.stderr
    return tiny


def copy(tiny: Tiny, root: Path) -> Tiny:
    """Copy the repository with its runs and its store."""
    return Tiny(Path(shutil.copytree(tiny.root, root, symlinks=True)))


def clone(tiny: Tiny, root: Path, *options: str) -> Tiny:
    """Clone the repository, as on another machine: without runs and store."""
    git(tiny, "clone", "--quiet", *options, str(tiny.root), str(root))
    cloned = Tiny(root)
    for name, value in {"user.name": "b", "user.email": "b@b.c"}.items():
        git(cloned, "config", name, value)
    return cloned


def run_of(tiny: Tiny, level: int) -> str:
    """The id of the run that made the model of this level."""
    models = tiny.root.glob("runs/*-train-*/outputs/model.txt")
    return next(path.parents[1].name for path in sorted(models) if path.read_text() == str(level))


def promote(tiny: Tiny, level: int, *options: str) -> str:
    """Promote the model of a level as `delay`; returns the commit."""
    result = tiny.samebook("promote", run_of(tiny, level), "delay", *options)
    assert result.code == 0, result.stderr
    return git(tiny, "rev-parse", "HEAD")


def attest(tiny: Tiny, level: int, builder: str = "urn:other", verdict: str = "IDENTICAL", run: str = "") -> Path:
    """Write the attestation of a reproduction on another machine, of a level's model or of a run; returns its path."""
    from samebook.core.digest import json_bytes, sha256
    from samebook.records import attestations

    folder = tiny.root / "runs" / (run or run_of(tiny, level))
    who = {"builder": builder, "engine": "local", "platform": "linux/x86_64"}
    subject = json.loads((folder / "receipt.json").read_text())["subject"]
    predicate = {
        "verdict": verdict,
        "verdicts": {item["name"]: {"verdict": verdict, "detail": ""} for item in subject},
        "receipt": {"sha256": sha256(folder / "receipt.json")},
        "reproducer": who,
        "finishedOn": "2013-01-01T00:00:00+00:00",
    }
    kind = {"_type": "https://in-toto.io/Statement/v1", "predicateType": attestations.TYPE}
    return attestations.write(folder, json_bytes({**kind, "subject": subject, "predicate": predicate}))


def promoted_bundle(tiny: Tiny, ref: str = "") -> dict[str, Any]:
    """The content of models/delay.json, in the work tree or on a branch."""
    path = tiny.root / "models" / "delay.json"
    return json.loads(git(tiny, "show", f"{ref}:models/delay.json") if ref else path.read_text())


def promoted_level(tiny: Tiny, ref: str = "") -> int:
    """The level of the promoted model."""
    return round(promoted_bundle(tiny, ref)["metrics"]["auc"] * 10)


def stderr_of(result: Result, code: int) -> str:
    """The stderr of a command that ended with this exit code, and without a traceback."""
    assert result.code == code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr
