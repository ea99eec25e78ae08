"""The packages that a new lock has moved, and what to do next: `python -m samebook.cli.moved OLD NEW`, two folders with
locks.

With any Python and no package installed. `OLD NEW UV` installs what was added into a folder of its own, and prints
what it weighs.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from samebook.core.text import moved
from samebook.environment.packages import ENTRY, versions


def pinned(folder: Path) -> dict[str, str]:
    """The version of each package in the locks of a folder."""
    return versions(path.read_text() for path in folder.glob("*.txt"))


def entries(folder: Path) -> dict[str, str]:
    """Each package with its version and hashes, by its name, of the locks of what notebooks run in."""
    texts = [(folder / f"{name}.txt").read_text() for name in ("lab", "runtime")]
    return {entry[1]: entry[0] for text in texts for entry in ENTRY.finditer(text)}


def weights(old: Path, new: Path, uv: str) -> dict[str, int]:
    """The installed bytes of each package that has been added, by its name.

    All that has moved is installed into a folder that goes away: what can't be installed ends the program.
    """
    before, after = entries(old), entries(new)
    changed = [entry for name, entry in after.items() if before.get(name) != entry]
    with tempfile.TemporaryDirectory() as folder:
        lock, target = Path(folder) / "moved.txt", Path(folder) / "packages"
        lock.write_text("".join(changed))
        options = ("--quiet", "--no-deps", "--require-hashes", "--build-constraints", new / "build.txt")
        install = [uv, "pip", "install", *options, "--python", sys.executable, "--target", target, "-r", lock]
        if subprocess.run(install, check=False).returncode:
            raise SystemExit(2)
        records = {path.parent.name.split("-")[0]: path.read_text() for path in target.glob("*.dist-info/RECORD")}
    rows = {name.replace("_", "-").lower(): csv.reader(text.splitlines()) for name, text in records.items()}
    return {name: sum(int(row[2] or 0) for row in rows[name]) for name in sorted(rows.keys() - before.keys())}


if __name__ == "__main__":
    old, new, *uv = sys.argv[1:]
    moves = moved(pinned(Path(old)), pinned(Path(new)))
    lines = [f"  {line}" for line in moves]
    if uv and (added := weights(Path(old), Path(new), *uv)):
        lines.append(f"  they weigh {', '.join(f'{name} {size / 1e6:.1f} MB' for name, size in added.items())}")
    count = "1 package has" if len(moves) == 1 else f"{len(moves)} packages have"
    lines.append(
        f"lock: {count} moved; next: make test, then git commit environments/" if moves else "lock: nothing has moved"
    )
    sys.stdout.writelines(f"{line}\n" for line in lines)
