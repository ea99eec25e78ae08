"""What `make add` asks of samebook, with any Python and no package installed: `python -m samebook.cli.packages VERB …`.

`doubt PACKAGE…` ends with an error for a name that looks like a slip or a trap, and `refused FILE PACKAGE…` says why
none was added, by uv's words in a file. `debian add|remove|lock|check BASE_IMAGE [NAME…]` changes the Debian packages,
and `resolve NAME…` only prints their lock. `holes FILE` says what a report of pip-audit has found.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

from samebook.core.errors import UsageError
from samebook.environment import debian_packages, packages


def doubt(*words: str) -> None:
    """Raise UsageError for a package that should not be installed as it is spelt."""
    for name in _names(words):
        if found := packages.doubt(name, _locked()):
            reason, other = found
            raise UsageError(f"{reason}; with SURE=1 it is taken as it is", mend=f"make add PACKAGE={other}")


def refused(path: str, *wanted: str) -> None:
    """Raise UsageError: the environment is as before; why, by the words in a file, and what mends it."""
    project = tomllib.loads(Path("environments/pyproject.toml").read_text())["project"]["name"]
    reason, mend = packages.refusal(Path(path).read_text(errors="replace"), wanted, project)
    raise UsageError(f"environments/ is as before: {reason or packages.UNTOLD}", mend=mend or None)


def debian(verb: str, base_image: str, *names: str) -> None:
    """Change the Debian packages, and print which have moved."""
    sys.stdout.writelines(f"{line}\n" for line in debian_packages.change(verb, base_image, names))


def resolve(*names: str) -> None:
    """Print the lock of these Debian packages."""
    sys.stdout.write(debian_packages.resolved(list(names)))


def holes(path: str) -> None:
    """Print each known hole in a report of pip-audit, and what mends it. Ends with 1 where there is one."""
    audited = [each for each in json.loads(Path(path).read_text())["dependencies"] if "vulns" in each]
    found = {each["name"]: each for each in audited if each["vulns"]}
    sys.stdout.writelines(f"{line}\n" for each in found.values() for line in packages.hole(each))
    count = f"{sum(len(each['vulns']) for each in found.values())} known holes in {len(found)}"
    sys.stdout.write(f"audit: {count if found else 'no known hole in any'} of {len(audited)} packages\n")
    sys.exit(bool(found))


def _names(words: tuple[str, ...]) -> list[str]:
    """The names of packages, without their versions and extras."""
    return [packages.normal(match[0]) for word in words if (match := re.match(r"[A-Za-z0-9][\w.-]*", word))]


def _locked() -> list[str]:
    lock = Path("environments/lab.txt").read_text()
    return re.findall(r"^([a-z0-9][a-z0-9.-]*)(?:\[\S+\])?==", lock, re.MULTILINE)


if __name__ == "__main__":
    try:
        {"doubt": doubt, "refused": refused, "debian": debian, "resolve": resolve, "holes": holes}[sys.argv[1]](
            *sys.argv[2:]
        )
    except UsageError as error:
        sys.exit(f"error: {error}" + (f"\n  -> {error.mend}" if error.mend else ""))
