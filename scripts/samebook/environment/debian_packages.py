"""Debian packages of the image: environments/apt.txt has the wish, and apt.lock each .deb for both processors.

The lock has those that the packages need beside the essential ones, which every base has. Apt resolves in a folder of
its own, from signed lists of the image's release: here where the machine has Debian's mirror, else in the base image.
"""

import contextlib
import difflib
import os
import re
import subprocess
import tempfile
import urllib.parse
from collections.abc import Collection, Iterator
from pathlib import Path

from samebook.core.errors import UsageError
from samebook.core.text import moved
from samebook.core.workspace import write_whole

FOLDER = Path("environments")
WISH, LOCK = FOLDER / "apt.txt", FOLDER / "apt.lock"
ARCHITECTURES = ("amd64", "arm64")
# https://www.debian.org/doc/debian-policy/ch-controlfields.html#source; a minus at the end asks apt for a removal.
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]")
# Apt counts itself, and a base may be without it, as that of `make base` is.
ESSENTIAL = "?and(?essential, ?not(?exact-name(apt)))"
URI = re.compile(r"^'(\S+)' (\S+?)_\S+ (\d+) SHA256:([0-9a-f]{64})$", re.MULTILINE)
VERSION = re.compile(r"^Inst (\S+) \((\S+)", re.MULTILINE)
WEIGHT = re.compile(r"^Package: (\S+)\n(?:.+\n)*?Installed-Size: (\d+)$", re.MULTILINE)
CONFIGURATION = """
APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false"; APT::Sandbox::User "root"; Acquire::ForceHash "sha256"; Acquire::Languages "none";
Dir::Etc::SourceList "{root}/sources.list"; Dir::Etc::SourceParts "/dev/null"; Dir::Etc::Parts "/dev/null";
Dir::Etc::Preferences "/dev/null"; Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{root}"; Dir::State::Status "{root}/status"; Dir::State::Lists "{root}/lists"; Dir::Cache "{root}/cache";
"""


def change(verb: str, base_image: str, names: Collection[str]) -> list[str]:
    """Add names to the wish, remove them, or only lock or check it; returns a line for each package that has moved.

    Raises UsageError where the packages can't be had; both files are as before then.
    """
    wish = wished()
    for name in names:
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of a Debian package; expected one such as graphviz", mend="make add APT=graphviz"
            )
    if verb == "check":
        check(wish)
        return []
    if verb == "remove" and (strangers := sorted(set(names) - wish)):
        raise UsageError(
            f"{strangers[0]} is not in {WISH.name}; it has: {', '.join(sorted(wish)) or 'nothing'}",
            mend="make remove APT=NAME",
        )
    wish = wish | set(names) if verb == "add" else wish - set(names)
    old = LOCK.read_text() if LOCK.exists() else ""
    new = resolved_anywhere(base_image, sorted(wish)) if wish else ""
    for path, text in ((WISH, "".join(f"{name}\n" for name in sorted(wish))), (LOCK, new)):
        if text:
            write_whole(path, text.encode())
        else:
            path.unlink(missing_ok=True)
    return moves(old, new) or ["Debian packages: nothing has moved"]


def wished() -> set[str]:
    """The names in the wish; a line may have a comment."""
    lines = WISH.read_text().splitlines() if WISH.exists() else []
    return {name for line in lines if (name := line.partition("#")[0].strip())}


def check(wish: set[str]) -> None:
    """Refuse a lock of another wish."""
    text = LOCK.read_text() if LOCK.exists() else ""
    made_for = asked(text)
    if set(made_for) != wish:
        raise UsageError(
            f"{LOCK.name} was made for {' '.join(sorted(made_for)) or 'nothing'}, and not for {WISH.name}",
            mend="make lock",
        )


def moves(old: str, new: str) -> list[str]:
    """A line for each package that came, went or has another version, and what those that came weigh installed."""
    before, after = versions(old), versions(new)
    lines = [f"  {line}" for line in moved(before, after)]
    weights = {name: int(size) for name, size in re.findall(r"^(\S+) \S+ amd64 \d+ (\d+) ", new, re.MULTILINE)}
    added = sum(weights[name] for name in after.keys() - before.keys())
    return [*lines, *([f"  they weigh {added / 1e6:.1f} MB"] if added else [])]


def asked(lock: str) -> list[str]:
    """The names of the wish that a lock was made for, from its first line."""
    return lock.partition("\n")[0].removeprefix("# ").split()


def versions(lock: str) -> dict[str, str]:
    """The version of each .deb in a lock, by its name."""
    return dict(re.findall(r"^([^#\s]\S*) (\S+) amd64 ", lock, re.MULTILINE))


def resolved_anywhere(base_image: str, names: list[str]) -> str:
    """The lock for these names, by this machine's apt or the base image's."""
    if sources():
        return resolved(names)
    mount = ("--volume", f"{Path.cwd()}:/workspace:ro", "--workdir", "/workspace")
    container = ("docker", "run", "--rm", *mount, "--env", "PYTHONPATH", base_image, "python3")
    try:
        done = subprocess.run(
            [*container, "-m", "samebook.cli.packages", "resolve", *names],
            stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise UsageError(
            "Debian's packages are resolved on Debian or in a container: there is no Docker", mend="make doctor"
        ) from error
    if done.returncode:
        raise UsageError("the base image could not resolve them", mend="make base")
    return done.stdout


def sources() -> str:
    """Debian's mirrors of this machine, as lines of apt's sources; "" elsewhere."""
    command = [FOLDER / "host", "sources"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def resolved(names: list[str]) -> str:
    """The lock for these names, by the apt of this system."""
    lines = [f"# {' '.join(names)}", "# name version processor bytes installed-bytes sha256 path"]
    for architecture in ARCHITECTURES:
        with tempfile.TemporaryDirectory() as root, apt_root(Path(root), architecture):
            lines += debs(names, architecture)
    return "".join(f"{line}\n" for line in lines)


@contextlib.contextmanager
def apt_root(root: Path, architecture: str) -> Iterator[None]:
    """Let apt work in an empty system in `root`, with the lists of packages as they are today."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (root / folder).mkdir(parents=True)
    (root / "status").touch()
    (root / "sources.list").write_text(sources())
    (root / "apt.conf").write_text(CONFIGURATION.format(root=root, architecture=architecture))
    os.environ["APT_CONFIG"] = str(root / "apt.conf")
    apt("apt-get", "update", "-qq", "--error-on=any")
    yield


def apt(*command: str) -> str:
    """The output of a command of apt. Raises UsageError with its errors."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        # Apt's own words: which packages disagree, and what can't be had.
        _, _, unmet = done.stdout.partition("unmet dependencies:\n")
        words = re.sub(r"^(E: |[WN]: .*\n)", "", done.stderr, flags=re.MULTILINE)
        raise UsageError("\n".join([words.strip(), unmet.rstrip(), *nearest(words)]).strip())
    return done.stdout


def nearest(text: str) -> list[str]:
    """The nearest names for a package that is nowhere."""
    missing = re.findall(r"Unable to locate package (\S+)", text)
    every = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, check=False).stdout.split()
    close = {name: difflib.get_close_matches(name, [o for o in every if o[0] == name[0]], 3) for name in missing}
    return [f"{name}: did you mean {' or '.join(names)}?" for name, names in close.items() if names]


def debs(names: list[str], architecture: str) -> Iterator[str]:
    """A line for each .deb that a base lacks, in the order in which apt installs them."""
    install = ("apt-get", "install", "-q", "-y", "--no-remove", ESSENTIAL)
    essential = {match[1] for match in URI.finditer(apt(*install, "--print-uris"))}
    files = {match[2]: match for match in URI.finditer(apt(*install, "--print-uris", *names))}
    weights = dict(
        WEIGHT.findall(apt("apt-cache", "show", "--no-all-versions", *(match[2] for match in files.values())))
    )
    for name, version in VERSION.findall(apt(*install, "--simulate", *names)):
        uri, _, size, digest = files[name].groups()
        if uri not in essential:
            # Every archive of Debian's has its files there, whatever the address before it.
            path = urllib.parse.unquote(uri.partition("/pool/")[2])
            yield f"{name} {version} {architecture} {size} {int(weights[name]) * 1024} {digest} pool/{path}"
