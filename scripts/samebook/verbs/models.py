"""Put the files of promoted models under models/.files/<name>/, to be read or mounted as a folder.

The folder is a link to one that is named by the bundle's digest and never changes: readers see one model or the other.
"""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.file_lock import hold
from samebook.core.workspace import Workspace, make_folder
from samebook.environment import settings
from samebook.models import lookup, supply
from samebook.models.bundle import Bundle
from samebook.records.rerun import Elsewhere
from samebook.store import objects

VERSIONS = ".versions"


@dataclass(frozen=True)
class Materialised:
    """A model's folder, and what its bundle says."""

    name: str
    folder: Path
    bundle: Bundle


def models(place: Elsewhere, references: Sequence[str] = (), env: str = "dev") -> list[Materialised]:
    """Materialise some models (`churn`, `churn@prod`), or all that are promoted on this branch, and no others then.

    What the store lacks is fetched from the remote store, else made again by running its source. Raises
    NotReproduced where that gives other bytes; the folders are then as before.
    """
    here, in_force = place.here, settings.load(place.here, env)
    wanted = references or sorted(path.stem for path in here.models.glob("*.json"))
    if not wanted:
        place.say("no model is promoted on this branch; make promote RUN=train MODEL=churn promotes one")
    made = [_materialised(place, in_force, name, lookup.read(here, name)) for name in wanted]
    if not references:
        _drop_others(here.models / ".files", {each.name for each in made})
    return made


def is_folder(here: Workspace, name: str) -> bool:
    """Whether somebody has had a model's files put into a folder."""
    return (here.models / ".files" / _link_name(name)).is_symlink()


def _materialised(place: Elsewhere, in_force: settings.Settings, name: str, found: Bundle) -> Materialised:
    files = make_folder(place.here.models / ".files")
    with hold(files / ".lock"):
        version = files / VERSIONS / found.digest
        if not _is_whole(version, found):
            _fill(place, in_force, found, version)
        link = files / _link_name(name)
        _link(link, version)
        _drop_versions(files)
    return Materialised(name, link, found)


def _link_name(reference: str) -> str:
    """One folder for `churn@feature/x`, and another than for any other reference."""
    return reference.replace("%", "%25").replace("/", "%2F")


def _is_whole(folder: Path, found: Bundle) -> bool:
    """Whether a folder holds the bundle's files and nothing else."""
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if there.keys() != found.outputs.keys():
        return False
    with ThreadPoolExecutor() as pool:
        digests = dict(zip(there, pool.map(sha256, there.values()), strict=True))
    return digests == {name: each.sha256 for name, each in found.outputs.items()}


def _fill(place: Elsewhere, in_force: settings.Settings, found: Bundle, version: Path) -> None:
    """Write the folder; what the store lacks, or has damaged, as the copies show, is supplied first."""
    kept = objects.local_store(place.here)
    try:
        if all(kept.has(each.sha256) for each in found.outputs.values()):
            _write(kept, found, version)
            return
    except objects.DamagedObject as error:
        place.say(str(error))
    _supplied(place, in_force, found)
    _write(kept, found, version)


def _supplied(place: Elsewhere, in_force: settings.Settings, found: Bundle) -> None:
    if names := supply.fetched(place.here, in_force, found, place.say):
        supply.rebuild(place, found, names)


def _write(kept: objects.Store, found: Bundle, version: Path) -> None:
    """The bundle's outputs as read-only files, in a folder that appears whole."""
    with tempfile.TemporaryDirectory(dir=make_folder(version.parent)) as folder:
        new = Path(folder) / "new"
        for name in found.outputs:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor() as pool:
            jobs = [pool.submit(kept.export, each.sha256, new / name) for name, each in found.outputs.items()]
            for job in jobs:
                job.result()
        shutil.rmtree(version, ignore_errors=True)
        new.rename(version)


def _link(link: Path, version: Path) -> None:
    """Let `link` mean this version, by one rename."""
    target = Path(VERSIONS) / version.name
    if link.is_symlink() and link.readlink() != target:
        _point(_previous(link), link.readlink())
    _point(link, target)


def _point(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def _previous(link: Path) -> Path:
    """What keeps the version before: a container that was started on it has it mounted still."""
    return link.with_name(f".{link.name}.before")


def _drop_others(files: Path, names: Iterable[str]) -> None:
    """Remove what is no longer promoted on this branch; what was asked for of another (churn@prod) stays."""
    if not files.is_dir():
        return
    with hold(files / ".lock"):
        for link in files.glob("[a-z]*"):
            if link.is_symlink() and link.name not in names and "@" not in link.name:
                link.replace(_previous(link))
        _drop_versions(files)


def _drop_versions(files: Path) -> None:
    """Remove the versions that no model's link means, nor meant before."""
    used = {link.readlink().name for link in files.iterdir() if link.is_symlink()}
    for version in (files / VERSIONS).glob("[0-9a-f]*"):
        if version.name not in used:
            shutil.rmtree(version, ignore_errors=True)
