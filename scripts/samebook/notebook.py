"""What notebooks import: log what a run found, read and write datasets by day, query the warehouse.

The same calls work with no runner around them, as in Lab: they then write to a scratch run in runs/.scratch/.
"""

import datetime
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samebook import dataset, receipt, runfolder, settings, store, warehouse, watching, workspace
from samebook.digest import sha256
from samebook.errors import DataRejected, NotReproduced, UsageError

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema


@cache
def _workspace() -> workspace.Workspace:
    return workspace.find()


@cache
def _settings() -> settings.Settings:
    return settings.load(_workspace(), os.environ.get("SAMEBOOK_ENV", "dev"))


@cache
def _run() -> Path:
    """The folder of the run around this kernel, or a scratch run's."""
    if folder := os.environ.get("SAMEBOOK_RUN"):
        return Path(folder)
    runfolder.drop_scratch(_workspace())
    started = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    return workspace.make_folder(_workspace().runs / ".scratch" / f"{started}-{os.getpid()}")


def log_metric(name: str, value: float) -> None:
    """Record a number that tells how good the result is; it ends up in metrics.json.

    Raises UsageError for what is not a finite number.
    """
    number = float(value)
    if not math.isfinite(number):
        raise UsageError(f"metric {name}: found {number}; expected a finite number")
    runfolder.append_event(_run(), {"kind": "metric", "name": name, "value": number})


def log_metrics(metrics: Mapping[str, float]) -> None:
    """Record several metrics."""
    for name, value in metrics.items():
        log_metric(name, value)


def log_param(name: str, value: Any) -> None:
    """Record a fact about how the result was made that is not one of the notebook's parameters."""
    plain = value if isinstance(value, str | int | float | bool | None) else str(value)
    runfolder.append_event(_run(), {"kind": "param", "name": name, "value": plain})


def log_artifact(path: str | Path, name: str | None = None) -> Path:
    """Copy a file into the run's outputs, as `name` or under its own name; returns the copy."""
    source = Path(path)
    if not source.is_file():
        raise UsageError(f"artifact {source}: no such file")
    return Path(shutil.copyfile(source, output_path(name or source.name)))


def output_path(name: str) -> Path:
    """Where to write the output `name` ("model.ubj", "plots/roc.png"); its folder is there."""
    outputs = _run() / "outputs"
    path = (outputs / name).resolve()
    if not path.is_relative_to(outputs.resolve()) or path == outputs.resolve():
        raise UsageError(f"output {name!r}: expected a name inside the run's outputs")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def query(name: str, **bound: Any) -> "pd.DataFrame":
    """The rows of notebooks/queries/<name> on the warehouse, with `$name` in it bound to values."""
    return warehouse.query(_workspace(), _settings().warehouse, name, bound)


def validate(frame: "pd.DataFrame", schema: "DataFrameSchema") -> "pd.DataFrame":
    """`frame` as the schema returns it. Raises DataRejected with each broken check and its first rows."""
    from pandera.errors import SchemaErrors

    try:
        return schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        raise DataRejected(dataset.rejection(error, schema.name or "the data")) from None


def write_partition(name: str, day: datetime.date, frame: "pd.DataFrame") -> Path:
    """Write one day of a dataset into the run's outputs; published to data/ when the run is complete.

    Equal frames give equal bytes: rows and columns stay in the order in which they come.
    """
    path = output_path(str(dataset.partition(name, day)))
    dataset.write(frame, path)
    return path


def read_dataset(name: str, start: datetime.date, end: datetime.date) -> "pd.DataFrame":
    """The partitions of a dataset from `start` to `end`, both included, by day; each is recorded as an input.

    Days that are not there are made first, by a run of the notebook that makes the dataset.
    Raises UsageError where a day can't be made, DataRejected where what makes it says so.
    """
    if end < start:
        raise UsageError(f"dataset {name}: found start {start} after end {end}")
    days = [start + datetime.timedelta(days=n) for n in range((end - start).days + 1)]
    here = [day for day in days if _pinned_partition(name, day) is None]
    _make(name, dataset.missing(_workspace(), name, here))
    if still := dataset.missing(_workspace(), name, here):
        raise UsageError(f"dataset {name}: no partition for {still[0]}, and {len(still)} of {len(days)} days missing")
    return dataset.frame([(f"{name} {day}", _partition(name, day)) for day in days])


def _partition(name: str, day: datetime.date) -> bytes:
    """A day's bytes, recorded as an input and kept in the store, so that anyone can read the same again."""
    label = str(dataset.partition(name, day).parent)
    with watching.declared():
        content = _pinned_partition(name, day)
        if content is None:
            content = (_workspace().data / dataset.partition(name, day)).read_bytes()
        return _recorded(label, content, dataset.origin(_workspace(), name, day, sha256(content)))


def _pinned_partition(name: str, day: datetime.date) -> bytes | None:
    digest = _pinned().get(str(dataset.partition(name, day).parent))
    return store.of(_workspace()).get(digest) if digest else None


@cache
def _pinned() -> dict[str, str]:
    """The inputs that a reproduction must read, by name and sha256: those of the receipt it reproduces."""
    path = os.environ.get("SAMEBOOK_PINNED")
    return receipt.inputs(receipt.read(Path(path))) if path else {}


def _recorded(label: str, content: bytes, run: str, built: receipt.Json | None = None) -> bytes:
    digest = store.of(_workspace()).put(content)
    if (pinned := _pinned().get(label)) and pinned != digest:
        raise NotReproduced(f"input {label} was made again and differs: found {digest[:12]}…, expected {pinned[:12]}…")
    runfolder.append_event(_run(), {"kind": "input", "name": label, "sha256": digest, "run": run, "built": built})
    return content


def _make(name: str, missing: list[datetime.date]) -> None:
    for start, end in dataset.ranges(missing):
        maker = _settings().datasets.get(name)
        if maker is None:
            raise UsageError(
                f"dataset {name}: no partition for {start}, and no notebook is said to make it",
                mend=f"run the notebook that writes {name}, or name it in the settings: datasets.{name}.made_by",
            )
        note = f"making {name} {start} to {end}: make run NOTEBOOK={maker.made_by}"
        runfolder.append_event(_run(), {"kind": "note", "text": note})
        _run_notebook(maker.made_by, {"start": start, "end": end})


def _run_notebook(notebook: str, values: Mapping[str, Any]) -> None:
    """Run another notebook as a run of its own; its errors are this one's."""
    given = (part for name, value in values.items() for part in ("-p", f"{name}={value}"))
    env = {name: value for name, value in os.environ.items() if name != "SAMEBOOK_RUN"}
    command = (sys.executable, "-m", "samebook", "run", notebook, *given, "--env", env.get("SAMEBOOK_ENV", "dev"))
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=_workspace().root, check=False)
    if done.returncode:
        kinds = {kind.exit_code: kind for kind in (DataRejected, NotReproduced)}
        told = done.stderr[-2000:].strip()
        raise kinds.get(done.returncode, UsageError)(f"{notebook} failed with exit code {done.returncode}:\n{told}")


def find_artifact(source: str, name: str) -> Path:
    """The file that `source` means, recorded as an input: a path, a run's id, or a notebook's name.

    A notebook's name means the output `name` of its newest finished run.
    """
    label = name if (_workspace().root / source).is_file() else f"{source}/{name}"
    pinned = _pinned().get(label)
    if pinned and (content := store.of(_workspace()).get(pinned)) is not None:
        path = _run() / runfolder.INPUTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_recorded(label, content, ""))
        return path
    path = _artifact(source, name)
    run = path.relative_to(_workspace().runs).parts[0] if path.is_relative_to(_workspace().runs) else ""
    with watching.declared():
        content = path.read_bytes()
        built = _origin(run, path.relative_to(_workspace().runs / run).as_posix(), content) if run else None
        _recorded(label, content, run, built)
    watching.declare(path)
    return path


def _origin(run: str, name: str, content: bytes) -> receipt.Json:
    """How a run's output was built. Raises UsageError where it is no longer what the run's receipt says."""
    made = receipt.read(_workspace().runs / run / runfolder.RECEIPT)
    if receipt.subject_digests(made).get(name) != sha256(content):
        raise UsageError(
            f"{name} of {run} is not what its receipt says: it was changed since",
            mend=f"make reproduce RUN={run}, or run its notebook again",
        )
    return receipt.built_from(made)


def _artifact(source: str, name: str) -> Path:
    given = _workspace().root / source
    if given.is_file():
        return given
    exact = _workspace().runs / source
    runs = [exact] if (exact / runfolder.RECEIPT).is_file() else runfolder.finished(_workspace(), source)
    if found := next((run / "outputs" / name for run in runs if (run / "outputs" / name).is_file()), None):
        return found
    raise UsageError(
        f"no {name} from {source!r}: expected a file, the id of a run, or a notebook with a finished run",
        mend=f"make run NOTEBOOK={source}" if source.isidentifier() else "samebook runs",
    )
