"""Compare this environment with the pinned one: engine, commands, base, OS, Python, packages, user, disk, port."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git, head
from samebook.core.errors import UsageError
from samebook.core.text import align
from samebook.core.workspace import Workspace
from samebook.environment import debian_packages, identity, machine, settings
from samebook.records import receipt
from samebook.wheelhouse import shared
from samebook.wheelhouse.seal import Comparison

LEAST_FREE_GIB = 3
LAB_PORT = 8888


@dataclass(frozen=True)
class Finding:
    """A line of the report; `mend` is the command that puts a difference right, where `ok` is False.

    `changes_results` says that results could differ with this difference, which is exit code 5.
    """

    what: str
    pinned: str
    found: str
    ok: bool
    mend: str = ""
    changes_results: bool = False


def doctor(workspace: Workspace, port: int = LAB_PORT) -> list[Finding]:
    """All findings, in a fixed order; `port` is the one that Lab shall have."""
    findings = [check(workspace) for check in CHECKS]
    return [
        *findings,
        _port(port),
        *_policies(workspace),
        *_published(workspace),
        *_debian_packages(workspace),
        *_packages(workspace),
        *_shared(),
    ]


def _engine(_: Workspace) -> Finding:
    host = os.environ.get("SAMEBOOK_DOCKER", "not asked")
    return Finding("engine", "docker or local", f"{machine.engine()} (Docker daemon: {host})", ok=True)


def _commands(_: Workspace) -> Finding:
    names = os.environ.get("SAMEBOOK_BESIDE", "")
    place = f"beside it: {names}" if names and machine.engine() == "docker" else "all in this environment"
    return Finding("commands", "in the image, or beside it", place, ok=True)


def _base(workspace: Workspace) -> Finding:
    dockerfile = workspace.root / "Dockerfile"
    text = dockerfile.read_text() if dockerfile.is_file() else ""
    pinned = re.search(r"^ARG BASE_IMAGE=(\S+)", text, re.MULTILINE)
    expected = pinned[1] if pinned else "none: no Dockerfile here"
    image = os.environ.get("SAMEBOOK_BASE_IMAGE")
    ok = image is None or expected in (image, "none: no Dockerfile here")
    is_built = (workspace.root / ".samebook" / "base-image").is_file()
    mend = "rm -f .samebook/base-image" if is_built else "unset BASE_IMAGE"
    return Finding("base image", _short(expected), image or "none: the local engine has no image", ok, mend)


def _short(image: str) -> str:
    """An image's name, with the first digits of its digest."""
    name, _, digest = image.partition("@sha256:")
    return f"{name}@{digest[:8]}…" if digest else name


def _system(_: Workspace) -> Finding:
    return Finding("operating system", "any, Debian 13 in the image", machine.operating_system(), ok=True)


def _python(workspace: Workspace) -> Finding:
    pinned, version = identity.pinned_python(workspace), identity.python_version()
    ok = version.startswith(f"{pinned}.")
    mend = f"pyenv install {pinned}"
    return Finding("Python", f"{pinned}.*", version, ok, mend, changes_results=True)


def _isolated(_: Workspace) -> Finding:
    prefix = sys.prefix
    ok = sys.prefix != sys.base_prefix
    return Finding("environment", "of its own", prefix, ok, "make doctor", changes_results=True)


def _user(workspace: Workspace) -> Finding:
    owner, uid = workspace.root.stat().st_uid, os.getuid()
    ok = os.access(workspace.root, os.W_OK) or machine.engine() == "docker"
    return Finding("user", f"uid {owner}, who owns the checkout", f"uid {uid}", ok, f"sudo chown -R {uid} .")


def _disk(workspace: Workspace) -> Finding:
    free = shutil.disk_usage(workspace.root).free / 2**30
    return Finding("disk", f"{LEAST_FREE_GIB} GiB free", f"{free:.1f} GiB free", free >= LEAST_FREE_GIB, "make gc")


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    state = f"port {port} " + ("is taken" if taken else "is free")
    return Finding("port for Lab", "free, or Lab's own", state, ok=not taken, mend="make lab PORT=8889")


CHECKS: tuple[Callable[[Workspace], Finding], ...] = (
    _engine,
    _commands,
    _base,
    _system,
    _python,
    _isolated,
    _user,
    _disk,
)


def _debian_packages(workspace: Workspace) -> list[Finding]:
    """Which Debian packages of the image's lock are here; none where there is no lock. The image has its versions."""
    path = workspace.environments / debian_packages.LOCK.name
    lock = path.read_text() if path.is_file() else ""
    pinned, asked = debian_packages.versions(lock), debian_packages.asked(lock)
    if asked and not shutil.which("dpkg-query"):
        return [Finding("Debian packages", " ".join(asked), "no Debian here: install what they are here", ok=True)]
    return [
        Finding(
            *(f"Debian package {name}", pinned.get(name, "any"), version or "missing", bool(version)),
            *(f"sudo apt-get install {name}", True),
        )
        for name in asked
        for version in [_debian_version(name)]
    ]


def _debian_version(name: str) -> str:
    """The installed version of a Debian package; "" where it is not installed."""
    command = ("dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${Version}", name)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    status, _, version = done.stdout.partition(" ")
    return version.strip() if status.startswith("ii") else ""


def _policies(workspace: Workspace) -> Iterator[Finding]:
    """Which policies count reproductions that nobody has signed: a project begins so, as it has no keys yet."""
    for env in settings.names(workspace):
        with suppress(UsageError):  # that policy can't be read, and lets nothing be promoted
            policy = settings.committed_promotion(workspace, env)
            if policy.reproduced and not policy.signed:
                word = "unsigned: a builder's name is anybody's word, a key's is not"
                yield Finding(f"reproductions for {env}", "signed: true, once there are keys", word, ok=True)


def _published(workspace: Workspace) -> Iterator[Finding]:
    """Whether each published image has the packages and the base of HEAD, which runs of its environment need."""
    for env in settings.names(workspace):
        with suppress(UsageError):  # those settings can't be read, and no run takes an image from them
            if images := settings.load(workspace, env).published:
                differs, mend = _since(workspace, images.commit, env)
                running = os.environ.get("SAMEBOOK_IMAGE", "").rpartition("@")[2]
                place = "this container's" if images.runtime.endswith(f"@{running}") else "pulled by its runs"
                found = f"{place}, of {images.commit[:12]}{differs}"
                yield Finding(f"image for {env}", _short(images.runtime), found, not differs, mend)


def _since(workspace: Workspace, commit: str, env: str) -> tuple[str, str]:
    """What an image of a commit has other than HEAD, as the end of a line, and what mends that."""
    root, names = workspace.root, ("environments/runtime.txt", "Dockerfile")
    try:
        changed = [name for name in names if git.show(root, commit, name) != head.content(root, name)]
    except UsageError:
        return ", which is not here", "git fetch --all"
    return f", with another {' and '.join(changed)} than HEAD" * bool(changed), f"make publish ENV={env} REGISTRY=…"


def _packages(workspace: Workspace) -> list[Finding]:
    locked, wrong = identity.locked_versions(workspace), identity.mismatches(workspace)
    lines = [
        Finding(f"package {name}", locked, version or "missing", ok=False, mend=identity.mend(), changes_results=True)
        for name, (locked, version) in wrong.items()
    ]
    # make installs only what has another version.
    lines += [
        Finding(
            *(f"package {name}", "as in its wheel", f"edited: {', '.join(files[: identity.SHOWN_FILES])}"),
            *(False, identity.anew(machine.engine(), name), True),
        )
        for name, files in identity.edited_packages(workspace).items()
    ]
    if files := sorted(identity.strays(workspace)):
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        facts = (f"file {files[0]}{more}", "that of a package", "no package of the lock has it")
        lines.append(Finding(*facts, False, identity.anew(machine.engine()), True))
    summary = f"{len(locked) - len(wrong)} of {len(locked)} as locked"
    return [Finding("packages", f"{len(locked)} in runtime.txt", summary, not lines, changes_results=True), *lines]


def _shared() -> Iterator[Finding]:
    """Whether the environment that this checkout shares with others is as it was made, in each of its files."""
    if environment := shared.of_view(Path(sys.prefix)):
        damages = Comparison.of(environment).damages()
        more = f" and {len(damages) - 1} more" if len(damages) > 1 else ""
        found = f"not as it was made: {damages[0]}{more}" if damages else "whole"
        facts = (f"environment {environment.name[:12]}", "whole; shared by checkouts", found)
        yield Finding(*facts, not damages, identity.anew("local"), changes_results=True)


def against(workspace: Workspace, statement: receipt.Json) -> list[str]:
    """The differences between this environment and a receipt's, a line each; none where results can't differ."""
    original = receipt.dependency(statement, receipt.ENVIRONMENT)
    if original is None:
        raise UsageError("the receipt names no environment", mend="make reproduce RUN=…")
    current = identity.of(workspace)
    if current["digest"] == original["digest"]["sha256"]:
        return []
    annotations = original.get("annotations", {})
    lines = identity.differences({"python": annotations.get("python", "")}, {"python": current["python"]})
    lines += identity.differences(annotations.get("packages", {}), current["packages"])
    return lines or ["the machine's kind or the fixed variables differ: see environment.json beside the receipt"]


def table(findings: list[Finding]) -> str:
    """The findings as text, with the mend of each difference below its line."""
    rows = [(f"{'ok' if finding.ok else '!!'} {finding.what}", finding.pinned, finding.found) for finding in findings]
    title, *lines = align([("   what", "pinned", "found"), *rows])
    mends = (f"\n      -> {finding.mend}" if not finding.ok and finding.mend else "" for finding in findings)
    return "\n".join((title, *map(str.__add__, lines, mends)))
