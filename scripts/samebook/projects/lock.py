"""The lock of a project: a new one's from the locks that the wheel carries, a merged one's from the project's own.

So a new one needs no package index, and a merged one moves no further than needed.
"""

import filecmp
import re
import shutil
from pathlib import Path

from samebook.core import errors, subcommand
from samebook.core.digest import sha256
from samebook.core.text import Say, moved
from samebook.core.workspace import make_folder
from samebook.environment import packages
from samebook.projects import merge, template
from samebook.projects.merge import Merge
from samebook.projects.objects import Objects

# What the lock follows from: a conflict there leaves it to the person who resolves that.
WISH = {"environments/pyproject.toml", ".python-version"}
# What `make lock` reads.
READ = re.compile(
    r"Makefile|Dockerfile|\.python-version|environments/(?!.*\.yml$).*|scripts/[^/]*|(scripts|tests)/.*\.mk"
)
# How uv begins its words about what went wrong.
UV_ERROR = re.compile(r"^(?:error: | +\N{MULTIPLICATION SIGN} )", re.MULTILINE)
UV = Path(".samebook") / "uv" / "bin" / "uv"
# A project's locks; all but the last have samebook itself.
LOCKS = ("runtime", "lab", "command", "build")
# By `make lock`: the sha256 of its locks and the projects' wish, and each package of only the examples named beside it.
LEFT_OUT = "left_out"
OF_WISH = "template/project/environments/pyproject.toml.jinja"


def new(wheel: Path, example: str, folder: Path, say: Say) -> None:
    """Lock the environment of a new project there, to what `make lock` would make of its wish.

    The wheel's own locks have the same packages in the same versions, and some more. The package index is asked only
    where these locks are not those that `make lock` has left: somebody's own. Raises make's error then.
    """
    carried = template.contents(wheel)
    locks = [carried[f"files/environments/{name}.txt"] for name in LOCKS]
    digest, *lines = carried[LEFT_OUT].decode().splitlines() if LEFT_OUT in carried else [""]
    if digest != sha256(b"".join((*locks, carried[OF_WISH]))):
        say("environment: asking the package index")
        make(folder)
        return
    left_out = {package for package, *examples in map(str.split, lines) if example not in examples}
    own = f"samebook=={template.version(wheel)} \\\n    --hash=sha256:{sha256(wheel)}\n"
    for name, lock in zip(LOCKS, locks, strict=True):
        entries = {entry[0]: entry[1] for entry in packages.ENTRY.finditer(lock.decode()) if entry[1] not in left_out}
        entries |= {own: "samebook"} if name in LOCKS[:-1] else {}
        (folder / "environments" / f"{name}.txt").write_text("".join(sorted(entries, key=entries.__getitem__)))


def lock(objects: Objects, merged: Merge, samebooks: Path) -> list[str] | None:
    """Lock the merged tree's environment; returns a line for each package that has moved.

    None where the wish is in conflict; of a make file in conflict it takes samebook's version. `samebooks` is the
    folder of the project as samebook gives it today. Raises UsageError where no versions fit together.
    """
    if WISH & merged.conflicts.keys():
        return None
    folder = make_folder(objects.folder / "locked")
    new = {path: conflict.versions[2] or merged.tree[path] for path, conflict in merged.conflicts.items()}
    tree = {path: entry for path, entry in {**merged.tree, **new}.items() if READ.fullmatch(path)}
    objects.check_out(tree, folder)
    locks = [path for path in tree if merge.is_lock(path)]
    before = {path: (folder / path).read_text() for path in locks}
    for path in locks:
        _add_missing(folder / path, samebooks / path)
    _hand_over_uv(objects.root, folder)
    make(folder)
    after = {path: (folder / path).read_text() for path in locks}
    merged.tree.update({path: objects.entry(tree[path].split()[0], after[path].encode()) for path in locks})
    return moved(_versions(*before.values()), _versions(*after.values()))


def make(folder: Path) -> None:
    """Make the lock there; whatever make has started ends with this command. Raises make's error, after uv's."""
    code, printed = subcommand.in_group(("make", "--silent", "lock", "ENGINE=local"), folder)
    if code:
        said = UV_ERROR.split(subcommand.MAKE.sub("", printed).strip(), maxsplit=1)[-1]
        raise errors.from_exit_code(code, said[-subcommand.SHOWN :])


def _add_missing(path: Path, samebooks: Path) -> None:
    """Add the packages that only samebook's lock has: one that is needed now gets the version that samebook is tried
    with, and the others go again.
    """
    if samebooks.is_file():
        text = path.read_text()
        own = {entry[1] for entry in packages.ENTRY.finditer(text)}
        path.write_text(text + "".join(e[0] for e in packages.ENTRY.finditer(samebooks.read_text()) if e[1] not in own))


def _hand_over_uv(root: Path, folder: Path) -> None:
    """Take the project's uv where its lock stays the same: no second download."""
    locks = [place / "environments" / "build.txt" for place in (root, folder)]
    if all(path.is_file() for path in (root / UV, *locks)) and filecmp.cmp(*locks, shallow=False):
        make_folder((folder / UV).parent)
        shutil.copy(root / UV, folder / UV)


def _versions(*locks: str) -> dict[str, str]:
    """The version of each package in some locks, by its name and, where there is one, its marker."""
    pins = (entry.groups() for text in locks for entry in packages.ENTRY.finditer(text))
    return {f"{name} ({marker})" if marker else str(name): str(version) for name, version, marker in pins}
