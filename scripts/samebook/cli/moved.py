"""The packages that a new lock has moved, and what to do next: `python -m samebook.cli.moved OLD NEW`, two folders with
locks.

With any Python and no package installed. `OLD NEW UV` installs what was added into a folder of its own, and prints
what it weighs, and which of Debian's libraries it loads that the image lacks.
"""

import csv
import re
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

from samebook.core.text import moved
from samebook.environment import debian_packages, machine
from samebook.environment.packages import ENTRY, versions


def pinned(folder: Path) -> dict[str, str]:
    """The version of each package in the locks of a folder."""
    return versions(path.read_text() for path in folder.glob("*.txt"))


def entries(folder: Path) -> dict[str, str]:
    """Each package with its version and hashes, by its name, of the locks of what notebooks run in."""
    texts = [(folder / f"{name}.txt").read_text() for name in ("lab", "runtime")]
    return {entry[1]: entry[0] for text in texts for entry in ENTRY.finditer(text)}


def costs(old: Path, new: Path, uv: str) -> list[str]:
    """A line with the installed bytes of each package that has been added, and lines with the libraries they lack.

    All that has moved is installed into a folder that goes away: what can't be installed ends the program.
    """
    before, after = entries(old), entries(new)
    changed = [entry for name, entry in after.items() if before.get(name) != entry]
    with tempfile.TemporaryDirectory() as folder:
        lock, target = Path(folder) / "moved.txt", Path(folder) / "packages"
        lock.write_text("".join(changed))
        options = ("--no-deps", "--require-hashes", "--build-constraints", str(new / "build.txt"))
        install([uv, "pip", "install", *options, "--python", sys.executable, "--target", str(target), "-r", str(lock)])
        records = {path.parent.name.split("-")[0]: path.read_text() for path in target.glob("*.dist-info/RECORD")}
        lacking = lacks(new, target)
    rows = {name.replace("_", "-").lower(): csv.reader(text.splitlines()) for name, text in records.items()}
    sizes = {name: sum(int(row[2] or 0) for row in rows[name]) for name in sorted(rows.keys() - before.keys())}
    weights = f"  they weigh {', '.join(f'{name} {size / 1e6:.1f} MB' for name, size in sizes.items())}"
    return [*([weights] if sizes else []), *lacking]


def install(command: list[str]) -> None:
    """Let uv install, and say at once what it builds from source, which takes long without a word of uv's.

    Ends the program, with uv's own words, where it can't.
    """
    words = list[str]()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            words.append(line)
            if building := re.match(r" *Building (\S+?)==(\S+)", line):
                name, version = building.groups()
                line = f"  {name} {version} has no wheel here: built from its source, which may take minutes\n"
                sys.stdout.write(line)
                sys.stdout.flush()
    if process.returncode:
        sys.stderr.writelines(words)
        raise SystemExit(2)


def lacks(environments: Path, packages: Path) -> list[str]:
    """A line for each package in a folder that loads libraries of Debian's which nobody has asked for yet.

    The image's own check looks: it finds the same when the image is built.
    """
    shown = Path(".venv", machine.SHOWN)
    beside = environments.absolute().parent.glob(f"{shown}/lib/python*/site-packages")
    program = resources.files("samebook").joinpath("image", "check").read_text()
    check = [sys.executable, "-c", program, "--libraries", packages, *beside]
    found = subprocess.run(check, stdout=subprocess.PIPE, text=True, check=True).stdout
    lock = environments / "apt.lock"
    # A package that was built anew for times of 64 bits has another name, and still answers to the old one.
    locked = {name.removesuffix("t64") for name in debian_packages.versions(lock.read_text() if lock.exists() else "")}
    lines = list[str]()
    for line in found.splitlines():
        name, *pairs = line.split()
        needed = dict(pair.split("=") for pair in pairs)
        if missing := {library: deb for library, deb in needed.items() if deb.removesuffix("t64") not in locked}:
            lines += [
                f"  {name} loads {', '.join(missing)}, which the image lacks",
                f'  -> make add APT="{" ".join(sorted(set(missing.values())))}"',
            ]
    return lines


if __name__ == "__main__":
    old, new, *uv = sys.argv[1:]
    moves = moved(pinned(Path(old)), pinned(Path(new)))
    # At once: to weigh them takes as long as to fetch them, and to build what has no wheel.
    sys.stdout.writelines(f"  {line}\n" for line in moves)
    sys.stdout.flush()
    lines = costs(Path(old), Path(new), *uv) if uv else []
    count = "1 package has" if len(moves) == 1 else f"{len(moves)} packages have"
    lines.append(
        f"lock: {count} moved; next: make test, then git commit environments/" if moves else "lock: nothing has moved"
    )
    sys.stdout.writelines(f"{line}\n" for line in lines)
