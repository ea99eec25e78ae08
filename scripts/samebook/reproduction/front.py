"""The calls of make in a rerun's checkout: the commit's own make on the local engine, the caller's with Docker.

With Docker nothing of the commit runs on this machine: an image is built from its tree, and a container works on it.
"""

import codecs
import filecmp
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from samebook.core import git, processes, signals, text
from samebook.core.errors import EnvironmentMismatch, UsageError
from samebook.core.text import visible
from samebook.environment import bytecode, identity, machine
from samebook.reproduction import dockerfile, shared_files
from samebook.wheelhouse import shared, wheel_index
from samebook.wheelhouse.seal import Comparison

# By it make finds the wheels that the caller's store has kept.
KEPT = "SAMEBOOK_KEPT"
PINNED = Path(".samebook") / "receipt.json"
VARIABLES = "environments/variables.env"
# A line of it that compose takes as it stands. Another one may take a variable of this machine: `A=${B}`, `B` alone, or
# `A='x' B`, as compose reads on behind a quote.
LITERAL = re.compile(r"[ \t]*(#[^\x00-\x08\x0a-\x1f]*)?|[A-Za-z_][A-Za-z0-9_]*=[^$'\"`\\#\x00-\x1f]*")
# The files and folders of a checkout that are read or written on this machine while a container may work on it.
SHARED = (
    *(".samebook", ".samebook/patches", "runs", "Dockerfile", ".dockerignore", VARIABLES),
    *("environments/lab.txt", *wheel_index.LOCKS),
)
# One patch for environment and runs: after a container, nothing in the checkout is asked for its changes again.
# A notebook sees its name, and could tell by one that is not as any run's.
PATCH = f"SAMEBOOK_PATCH=.samebook/patches/{int(time.time())}-{os.getpid()}.patch"


@dataclass(frozen=True)
class Front:
    """The make of a rerun in `checkout`; `caller` is the checkout that the user is in, `engine` is docker or local.

    `others` are further commits whose files may be in the checkout. `readings` give the damaged files of a shared
    environment, once all of it was read.
    """

    caller: Path
    checkout: Path
    engine: str
    others: tuple[str, ...] = ()
    readings: list[Future[list[str]]] = field(default_factory=list)

    def environment(self, env: Mapping[str, str]) -> None:
        """Make the commit's environment. Raises EnvironmentMismatch where that fails, or a wheel is not as it was."""
        self.check()
        self._hand_over_uv()
        arguments = self._image(env) if self.engine == "docker" else ["TARGETS=runtime"]
        own = {**env, shared.UNCOMPILED: "1", KEPT: str(self.caller / "store")}
        self._make_environment(own if self._may_share() else {**own, shared.UNSHARED: "1"}, arguments)
        if self.engine == "local" and (comparison := self._compare()):
            if not comparison.strays:
                self.readings[:] = [ThreadPoolExecutor(1).submit(comparison.damages)]  # beside the run
                return
            text.warn(f"{comparison.environment} is damaged, so this run gets an environment of its own")
            self.readings.clear()
            shutil.rmtree(self.checkout / ".venv")
            self._make_environment({**own, shared.UNSHARED: "1"}, arguments)
        if self.engine == "local":
            for site in self.checkout.glob(".venv/lib/python*/site-packages"):
                identity.check_wheels(site)
        self._compile()

    def _make_environment(self, env: Mapping[str, str], arguments: Sequence[str]) -> None:
        with self._guarded(self.caller):
            code = self._make(env, "environment", *arguments)
            # A commit whose make knows of no store still knows its index by these.
            if code and self.engine == "local" and (kept := wheel_index.of(self.caller, self.checkout)):
                text.warn("no index has the packages of that commit: taking those that the store keeps")
                code = self._make({**env, **kept}, "environment", *arguments)
        if code:
            raise EnvironmentMismatch(
                "the environment of that commit can't be made here; make's own words are above", mend=self._way_out()
            )

    def _compare(self) -> Comparison | None:
        """The environment that the checkout shares with others, compared with its seal; None where it has its own."""
        environment = shared.of_view(self.checkout / ".venv") if self._may_share() else None
        return Comparison.of(environment) if environment else None

    def _may_share(self) -> bool:
        """Whether the commit may run in an environment that checkouts share: all would have what a stranger's does."""
        with suppress(UsageError):  # no repository: nobody's commit
            return self.engine == "local" and self._is_own()
        return False

    def _image(self, env: Mapping[str, str]) -> list[str]:
        """The arguments of make for the image of a commit.

        A build writes into the caches of the daemon, which later builds install from. So a commit that nobody here has
        taken in has caches of its own, and takes no image that is this machine's.
        """
        commit, is_own = git.head(self.checkout), self._is_own()
        if not is_own:
            dockerfile.check(self.checkout, commit, env.get("BASE_IMAGE", ""))
        return [PATCH, "TARGETS=runtime", *([] if is_own else [f"CACHE_NAMESPACE={commit}"])]

    def _way_out(self) -> str:
        """The other engine; but what nobody here has taken in is not to run on this machine, though its image fails."""
        if self.engine == "local":
            return "again, with ENGINE=docker"
        commit = git.head(self.checkout)
        return "again, with ENGINE=local" if self._is_own() else f"git show {commit[:12]}:Dockerfile"

    def _is_own(self) -> bool:
        """Whether somebody here has taken in each commit whose files may be in the checkout."""
        return all(git.is_ancestor(self.caller, name) for name in (git.head(self.checkout), *self.others))

    def run(self, env: Mapping[str, str]) -> int:
        """The exit code of a run of the plan in PINNED."""
        target = ["rerun", PATCH] if self.engine == "docker" else ["run"]
        with self._guarded(self.caller, self.checkout):
            code = self._make(env, *target, f"RECEIPT={PINNED}")
        if damages := [name for reading in self.readings for name in reading.result()]:
            raise EnvironmentMismatch(
                f"{len(damages)} files of the shared environment are not as they were installed, {damages[0]!a} first",
                mend=identity.anew("local"),
            )
        return code

    def _guarded(self, *checkouts: Path) -> AbstractContextManager[None]:
        """What a stranger's commit changes in the packages of these checkouts, and others would run, raises
        EnvironmentMismatch.
        """
        if self.engine == "docker" or not (self.caller / ".venv").is_dir() or self._is_own():
            return nullcontext()
        return shared_files.guarded(*checkouts)

    def remove_image(self, env: Mapping[str, str]) -> None:
        """Remove the image that `environment` has made with these variables; layers of a next one stay in the cache."""
        if self.engine == "docker":
            self._make(env, "removed-image")

    def check(self) -> None:
        """Raise UsageError where a file that this machine shares with the container leads out of the checkout, or would
        take a variable from here.
        """
        check_inside(self.checkout, (self.checkout / name for name in SHARED))
        if self.engine == "docker":
            check_literal(self.checkout / VARIABLES)

    def _hand_over_uv(self) -> None:
        """Copy the caller's uv on the local engine where the commit locks the same one: no second download."""
        lock, program = Path("environments") / "build.txt", Path(".samebook") / "uv" / "bin" / "uv"
        locks = [folder / lock for folder in (self.caller, self.checkout)]
        if (
            self.engine == "local"
            and all(path.is_file() for path in (*locks, self.caller / program))
            and filecmp.cmp(*locks, shallow=False)
        ):
            (self.checkout / program).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.caller / program, self.checkout / program)

    def _compile(self) -> None:
        """Give the packages of this Python their bytecode: the caller's code does it, and not the commit's."""
        packages = Path("lib") / f"python{'.'.join(platform.python_version_tuple()[:2])}" / "site-packages"
        environments = [folder / ".venv" for folder in (self.checkout, self.caller)]
        shown = [path if (path := folder / machine.SHOWN).exists() else folder for folder in environments]
        site, callers = (folder / packages for folder in shown)
        if self.engine == "local" and site.is_dir() and site.resolve().is_relative_to(self.checkout.resolve()):
            command = (sys.executable, "-P", "-m", "samebook.environment.bytecode", str(site), str(callers))
            signals.call(command, self.caller, os.environ)

    def _make(self, env: Mapping[str, str], *arguments: str) -> int:
        """The exit code of make in the checkout; its output goes to standard error, inert."""
        callers = [f"--file={self.caller / 'Makefile'}"] if self.engine == "docker" else []
        command = ("make", "--silent", *callers, *arguments, f"ENGINE={self.engine}")
        with processes.forwarded(_shown()) as output, bytecode.guarded():
            return signals.call(command, self.checkout, env, output)


def _shown() -> Callable[[bytes], None]:
    """A function that shows what a program prints, as it comes: text, line breaks and returns, nothing that acts.

    A commit's own make and samebook print what they like. A closed pipe, as after `| head`, or a full disk ends no
    reproduction: somebody has to go on reading.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def show(content: bytes) -> None:
        with suppress(OSError):
            sys.stderr.write(visible(decoder.decode(content), kept="\n\t\r"))
            sys.stderr.flush()

    return show


def check_inside(checkout: Path, paths: Iterable[Path]) -> None:
    """Raise UsageError for a path whose links lead out of the checkout."""
    for path in paths:
        if not path.resolve().is_relative_to(checkout.resolve()):
            raise UsageError(
                f"{path.relative_to(checkout)} leads out of the checkout of the reproduced commit; "
                f"found a link to {path.resolve()}, where this machine would read or write",
                mend="git rm the link, commit, and make run",
            )


def check_literal(path: Path) -> None:
    """Raise UsageError for a line by which compose would put a variable of this machine into the container."""
    lines = path.read_bytes().decode(errors="replace").replace("\r\n", "\n").split("\n") if path.is_file() else []
    if number := next((number for number, line in enumerate(lines, 1) if not LITERAL.fullmatch(line)), 0):
        raise UsageError(
            f"{VARIABLES}, line {number}: found {lines[number - 1]!r}, which Docker would take from this machine; "
            "expected NAME=value, without $, quotes, # and \\",
            mend=f"edit {VARIABLES}, commit, and make run",
        )
