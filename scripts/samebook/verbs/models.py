"""Put the files of promoted models under models/.files/<name>/, to be read or mounted as a folder.

This folder is a link to another one, which is named by the bundle's digest and never changes, so readers see either
the old model or the new one.
"""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from samebook.core import git
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.file_lock import hold
from samebook.core.workspace import Workspace, make_folder, write_whole
from samebook.environment import settings
from samebook.models import admission, lookup, model_signature, supply
from samebook.models.bundle import Bundle
from samebook.reproduction.rerun import Site
from samebook.store import objects

VERSIONS = ".versions"


@dataclass(frozen=True)
class ModelFolder:
    """The folder with a promoted model's files, and the model's bundle."""

    name: str
    folder: Path
    bundle: Bundle


def models(site: Site, references: Sequence[str] = (), env: str = "dev") -> list[ModelFolder]:
    """Materialise some models (`churn`, `churn@prod`), or all that are promoted on this branch, and no others then.

    Files that the store lacks are fetched from the remote store, or else made again by running the model's source.
    Raises NotReproduced where the source gives other bytes, and PolicyRefused for a model that the policy of `env` does
    not admit; the folders are then as before.
    """
    workspace, env_settings = site.workspace, settings.load(site.workspace, env)
    names = references or sorted(path.stem for path in workspace.models.glob("*.json"))
    if not names:
        site.say("no model is promoted on this branch; make promote RUN=train MODEL=churn promotes one")
    folders = [_update_folder(site, env_settings, name, env) for name in names]
    if not references:
        _drop_others(workspace.models / ".files", {folder.name for folder in folders})
    return folders


def folder_env(workspace: Workspace, name: str) -> str:
    """The environment whose policy has admitted the model to its folder; "" where there is no folder."""
    link = workspace.models / ".files" / _link_name(name)
    note = _env_note(link)
    if not link.is_symlink():
        return ""
    return note.read_text() if note.is_file() else "dev"  # a folder of before


def _update_folder(site: Site, env_settings: settings.Settings, name: str, env: str) -> ModelFolder:
    bundle, conditions = lookup.read(site.workspace, name), settings.committed_promotion(site.workspace, env)
    files = _files(site.workspace)
    ref = lookup.ref(name)
    if ref:
        site = replace(site, requested_commit=git.commit(site.workspace.root, ref))
    with hold(files / ".lock"):
        version = files / VERSIONS / bundle.digest
        if conditions.needs_receipt:
            supply.fetch_missing(site.workspace, env_settings, bundle, site.say)
        admission.check(site.workspace, conditions, bundle, env, ref)
        if not _is_whole(version, bundle):
            _fill(site, env_settings, bundle, version)
            admission.check(site.workspace, conditions, bundle, env, ref)  # a receipt may have come with the files
        for file, content in model_signature.files(objects.local_store(site.workspace), bundle).items():
            if content:
                write_whole(version / file, content)
            else:
                (version / file).unlink(missing_ok=True)  # somebody else's
        link = files / _link_name(name)
        write_whole(_env_note(link), env.encode())
        _link(link, version)
        _drop_versions(files)
    return ModelFolder(name, link, bundle)


def _files(workspace: Workspace) -> Path:
    """The folder of models' folders. Raises UsageError where a link stands there, which a branch may have brought."""
    files = workspace.models / ".files"
    if files.is_symlink():
        raise UsageError(
            f"models/.files is a link to {files.readlink()}; expected a folder, as models are written there",
            mend="rm models/.files",
        )
    return make_folder(files)


def _link_name(reference: str) -> str:
    """One folder for `churn@feature/x`, and another than for any other reference."""
    return reference.replace("%", "%25").replace("/", "%2F")


def _env_note(link: Path) -> Path:
    """The file with the environment that a folder was made for."""
    return link.with_name(f".{link.name}.env")


def _is_whole(folder: Path, bundle: Bundle) -> bool:
    """Whether a folder holds exactly the bundle's files, by hash, but for its signature and its claims."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    beside = {model_signature.SIGNATURE, model_signature.CLAIMS} - bundle.outputs.keys()
    paths = {name: path for name, path in paths.items() if name not in beside}
    if paths.keys() != bundle.outputs.keys():
        return False
    with ThreadPoolExecutor() as pool:
        digests = dict(zip(paths, pool.map(sha256, paths.values()), strict=True))
    return digests == {name: output.sha256 for name, output in bundle.outputs.items()}


def _fill(site: Site, env_settings: settings.Settings, bundle: Bundle, version: Path) -> None:
    """Write the folder, once the files that the store lacks, or has damaged, are supplied."""
    store = objects.local_store(site.workspace)
    try:
        if all(store.has(output.sha256) for output in bundle.outputs.values()):
            _write(store, bundle, version)
            return
    except objects.DamagedObject as error:
        site.say(str(error))
    _supply(site, env_settings, bundle)
    _write(store, bundle, version)


def _supply(site: Site, env_settings: settings.Settings, bundle: Bundle) -> None:
    if names := supply.fetch_missing(site.workspace, env_settings, bundle, site.say):
        supply.rebuild(site, bundle, names)


def _write(store: objects.Store, bundle: Bundle, version: Path) -> None:
    """The bundle's outputs as read-only files, in a folder that appears whole."""
    with tempfile.TemporaryDirectory(dir=make_folder(version.parent)) as folder:
        new = Path(folder) / "new"
        for name in bundle.outputs:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor() as pool:
            jobs = [pool.submit(store.export, output.sha256, new / name) for name, output in bundle.outputs.items()]
            for job in jobs:
                job.result()
        shutil.rmtree(version, ignore_errors=True)
        new.rename(version)


def _link(link: Path, version: Path) -> None:
    """Point `link` at this version, by one rename; a second link keeps the version before."""
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
    """The link to the version before, which a container that was started on it still has mounted."""
    return link.with_name(f".{link.name}.before")


def _drop_others(files: Path, names: Iterable[str]) -> None:
    """Remove the folders of models that are no longer promoted here; those of other branches (churn@prod) stay."""
    if not files.is_dir():
        return
    with hold(files / ".lock"):
        for link in files.glob("[a-z]*"):
            if link.is_symlink() and link.name not in names and "@" not in link.name:
                link.replace(_previous(link))
        _drop_versions(files)


def _drop_versions(files: Path) -> None:
    """Remove the versions that no link points at, of a model or of its version before."""
    used = {link.readlink().name for link in files.iterdir() if link.is_symlink()}
    for version in (files / VERSIONS).glob("[0-9a-f]*"):
        if version.name not in used:
            shutil.rmtree(version, ignore_errors=True)
