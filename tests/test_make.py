"""What make is given reaches the command as one value, whatever stands in it; none of it is done by make or a shell."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from conftest import check_marks
from tiny import CHECKOUT

from samebook.cli import make_call
from samebook.cli.main import cli
from samebook.core.make import COMMAND_LINE, OWN, clean_environment
from samebook.execution.warm import kernels

pytestmark = pytest.mark.host

# In the order of their age: an environment that make takes for installed.
INSTALLED = ("environments/lab.txt", "environments/build.txt", "scripts/pyproject.toml", ".python-version")
AUTHOR = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c")
COMMAND = f"""#!{sys.executable}
import os, sys
from samebook.cli import main, make_call
{{option}}
try:
    print(*make_call.arguments(main.cli, sys.argv[1:], os.environ), sep="\\n")
except main.errors.UsageError as error:
    sys.exit(f"error: {{{{error}}}}")
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose samebook prints its arguments, a line each. The make that runs the tests hands nothing on."""
    for name in ("ENGINE", *OWN):
        monkeypatch.delenv(name, raising=False)
    for name in (*INSTALLED, ".samebook/uv/bin/uv", ".venv/bin/samebook", ".venv/.installed"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(COMMAND.format(option=""))
    (tmp_path / ".venv" / "bin" / "samebook").chmod(0o755)
    return tmp_path


def started(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`make ARGUMENTS` to its end."""
    command = ["make", "--silent", "--file", str(CHECKOUT / "Makefile"), "ENGINE=local", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def make(root: Path, *arguments: str) -> list[str]:
    """The arguments that samebook gets from `make ARGUMENTS`."""
    done = started(root, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def refused(root: Path, *arguments: str) -> str:
    """What `make ARGUMENTS` says, which ends with 2 and calls nothing."""
    done = started(root, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize(
    "value",
    [
        "x$$(touch f)",
        "HEAD;touch f",
        "x`touch f`",
        'x" ; touch f; "',
        "x' ; touch f; '",
        "$(shell touch f)",
        "a | touch f",
    ],
)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("RUN", "promote MODEL=m"),
        ("MODEL", "promote RUN=r"),
        ("ENV", "promote RUN=r MODEL=m"),
        ("TO", "rollback MODEL=m"),
        ("REOPEN", "rollback MODEL=m"),
        ("RUN", "reproduce"),
        ("A", "diff"),
        ("B", "diff A=a"),
        ("NOTEBOOK", "run"),
        ("ENV", "settings"),
        ("WHY", "promote RUN=r MODEL=m"),
        ("DAY", "log"),
        ("AS", "schedule"),
        ("ENV", "gc"),
    ],
)
def test_value_is_no_command(root: Path, name: str, call: str, value: str) -> None:
    """A value with $(…), quotes or ; in it is one argument, and nothing of it is done."""
    assert value in make(root, *call.split(), f"{name}={value}")
    assert not (root / "f").exists()


@pytest.mark.parametrize(
    "path", ["kept/old.patch", "", "x;touch f", "$(shell touch f)", ".samebook/patches/';touch f;'.patch"]
)
def test_patch_has_its_own_folder(root: Path, path: str) -> None:
    """A path for the patch of uncommitted changes is no command, and no file outside .samebook/patches is removed."""
    kept = root / "kept" / "old.patch"
    kept.parent.mkdir()
    kept.write_text("p")
    os.utime(kept, (0, 0))
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    subprocess.run([*AUTHOR, "commit", "--quiet", "--allow-empty", "-m", "a"], cwd=root, check=True)
    assert make(root, "uncommitted", f"SAMEBOOK_PATCH={path}") == []
    assert kept.is_file()
    assert not (root / "f").exists()
    assert len([*(root / ".samebook" / "patches").glob("*.patch")]) == 1


def test_several_models(root: Path) -> None:
    """MODEL may name several models for `make models`, and no file by a pattern."""
    found = make(root, "models", "MODEL=delay delay@prod * $(shell touch f) ;touch f")
    assert found[found.index("--") + 1 :] == ["delay", "delay@prod", "*", "$(shell", "touch", "f)", ";touch", "f"]
    assert not (root / "f").exists()


@pytest.mark.parametrize("call", ["run", "pipeline NAME=daily", "backfill NAME=daily FROM=2013-07-01 TO=2013-07-02"])
def test_parameters(root: Path, call: str) -> None:
    """PARAMS is one argument as it stands: quotes, spaces and dollars belong to the values."""
    given = "a=it's b=';touch f;' c=two words d=$5 $$ $(shell touch f)"
    found = make(root, *call.split(), f"PARAMS={given}")
    assert found[found.index("--params") + 1] == given
    assert not (root / "f").exists()


def test_what_nobody_gave_is_not_there(root: Path) -> None:
    """Where nothing is given, nothing is passed on: not even what make has by itself under such a name, like AS."""
    assert make(root, "schedule") == ["schedule"]
    assert make(root, "gc", "ENV=") == ["gc"]


def test_kernels_are_the_same_by_make(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is meant for make makes no other kernel: only its PATH does, and what modules may look at."""
    (root / ".venv" / "bin" / "samebook").write_text("#!/bin/sh\nenv -0\n")
    for given, others in (("TIMEOUT=5s ENV=prod", set[str]()), ("ENV=prod OMP_NUM_THREADS=1", {"OMP_NUM_THREADS"})):
        told = "\n".join(make(root, "run", "PARAMS=n=1", *given.split()))
        found = dict(variable.partition("=")[::2] for variable in told.split("\0") if variable)
        assert found["PARAMS"] == "n=1"
        assert {"PARAMS", "ENV", "NOTEBOOK", "BASE_IMAGE"} <= set(found[COMMAND_LINE].split())
        monkeypatch.setenv(COMMAND_LINE, found[COMMAND_LINE])
        ours, theirs = kernels.import_variables(os.environ), kernels.import_variables(found)
        differ = {name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)}
        assert differ - {"PYTHONDONTWRITEBYTECODE"} == {"PATH", *others}


def test_own_variables_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the caller's own environment is for the notebook too, whatever make calls by that name."""
    monkeypatch.setenv("SEED", "7")
    (root / ".venv" / "bin" / "samebook").write_text(f"#!/bin/sh\necho ${COMMAND_LINE}\n")
    assert "SEED" not in make(root, "run")[0].split()
    assert "SEED" in make(root, "run", "SEED=7")[0].split()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("run PARAM=max_depth=9", "make run takes no PARAM; did you mean PARAMS or PARAMETER?"),
        ("gc DRYRUN=1", "make gc takes no DRYRUN; did you mean DRY_RUN or DRY?"),
        ("push JOB=2", "make push takes no JOB; did you mean JOBS?"),
        ("pipeline NAME=daily FORCE=maybe", "FORCE=maybe; expected 1 or 0"),
        ("promote MODEL=m", "make promote needs RUN"),
        ("lab PROT=9", "make lab takes no PROT; did you mean PORT?"),
        ("lock test UPGRAD=1", "make lock takes no UPGRAD; did you mean UPGRADE?"),
        ("bench SLOW=quite", "SLOW=quite; expected 1 or 0"),
        ("run churn", "make run takes no churn; expected a variable, as NOTEBOOK=churn"),
        ("XX=1", "make help takes no XX; expected one of: ENGINE"),
    ],
)
def test_stray_variable_is_refused(root: Path, call: str, told: str) -> None:
    """A variable that nothing takes ends it with 2 and the nearest name, and so does one that is needed and missing."""
    assert told in refused(root, *call.split())


@pytest.mark.parametrize(
    ("value", "options"),
    [("1", ["--force"]), ("true", ["--force"]), ("yes", ["--force"]), ("0", []), ("no", []), ("false", []), ("", [])],
)
def test_flag_is_on_or_off(root: Path, value: str, options: list[str]) -> None:
    """FORCE=1 forces, FORCE=0 doesn't."""
    assert make(root, "pipeline", "NAME=daily", f"FORCE={value}") == [
        "pipeline",
        "--engine",
        "local",
        *options,
        "--",
        "daily",
    ]


@pytest.mark.parametrize("verb", ["run", "sweep", "warm"])
def test_notebook_is_train(root: Path, verb: str) -> None:
    """Where nothing else is said, it is the notebook train; a receipt says by itself which."""
    assert make(root, verb) == [verb, "--", "train"]
    assert make(root, verb, "NOTEBOOK=predict") == [verb, "--", "predict"]
    assert make(root, "run", "RECEIPT=r.json") == ["run", "--receipt", "r.json"]


def test_new_option_needs_no_edit(root: Path) -> None:
    """An option that a command has from now on works from make, whatever its Makefile says."""
    option = 'main.cli.commands["gc"].params.append(main.click.Option(["--brand-new"]))'
    (root / ".venv" / "bin" / "samebook").write_text(COMMAND.format(option=option))
    assert make(root, "gc", "BRAND_NEW=$5") == ["gc", "--brand-new", "$5"]
    assert "make lab takes no BRAND_NEW" in refused(root, "lab", "BRAND_NEW=1")


def targets(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Each command, by its target of make."""
    renamed = {words: target for target, words in make_call.COMMANDS.items()}
    for name, command in group.commands.items():
        words = (*above, name)
        if isinstance(command, click.Group):
            yield from targets(command, words)
        else:
            yield renamed.get(" ".join(words), "-".join(words)), command


@pytest.mark.parametrize(("target", "command"), list(targets(cli)))
def test_every_option_is_reachable(root: Path, target: str, command: click.Command) -> None:
    """Each option and argument of each command is reached by each of its names in capitals."""
    flags = {name for each in command.params if getattr(each, "is_flag", False) for name in make_call.names(each)}
    names = {name for each in command.params for name in make_call.names(each)} - {"ENGINE"}
    given = {name: "1" if name in flags else f"my {name}" for name in names}
    typed = make(root, target, *(f"{name}={value}" for name, value in given.items()))
    for each in command.params:
        assert isinstance(each, click.Argument) or {*each.opts} & {*typed}
    assert {word for name, value in given.items() if name not in flags for word in value.split()} <= {
        *" ".join(typed).split()
    }


def test_beside_the_image(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ENGINE=docker, what works beside the image starts from the light environment, which Python compiles once."""
    light = root / ".samebook" / "command"
    (light / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "samebook").rename(light / "bin" / "samebook")
    (root / "environments" / "command.txt").touch()
    (light / ".installed").touch()
    assert make(root, "gc", "ENGINE=docker", "DRY=1") == ["gc", "--dry-run"]
    assert make(root, "models", "ENGINE=docker") == ["models", "--engine", "docker"]
    (light / "bin" / "samebook").write_text("#!/bin/sh\necho compiles${PYTHONDONTWRITEBYTECODE-}\n")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", " each time")
    assert make(root, "gc", "ENGINE=docker") == ["compiles"]


FACTS_LEFT = {"COMMIT": "f" * 40, "IMAGE": "sha256:left", "BASE_IMAGE": "left@sha256:0", "ENGINE": "left"}


@pytest.mark.parametrize("target", ["run", "lab"])
def test_facts_of_a_container_are_made(root: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a container is told of its commit and its image is what make finds out, not what a shell has left over."""
    docker = root / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\ncase $1 in image) echo sha256:found ;; compose) env && echo "$@" ;; esac\n')
    docker.chmod(0o755)
    (root / "Dockerfile").touch()
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    for name, value in FACTS_LEFT.items():
        monkeypatch.setenv(f"SAMEBOOK_{name}", value)
    printed = make(root, target, "ENGINE=docker", "BASE_IMAGE=base")
    facts = [line for line in printed if line.partition("=")[0] in {f"SAMEBOOK_{name}" for name in FACTS_LEFT}]
    assert sorted(facts) == (["SAMEBOOK_COMMIT=", "SAMEBOOK_IMAGE=sha256:found"] if target == "run" else [])
    assert not [line for line in printed if line.startswith("compose") and "SAMEBOOK_BASE_IMAGE" in line]


# Docker as the recipes of a published image call it: what it is asked for goes into a file, and its image is of arm64
# where the variable OTHER says so.
PUBLISHED_DOCKER = """#!/bin/sh
echo "$1 $2" >>called
case "$1 $2 $3" in
  "image inspect --format") echo "${OTHER:-amd64}" ;;
  "image inspect "*) [ -e pulled ] ;;
  "pull --quiet "*) touch pulled ;;
  "version --format "*) echo amd64 ;;
  compose*) env ;;
esac
"""


def test_published_image_is_pulled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with a published image pulls it once and builds nothing; another one builds, as before."""
    image = f"registry.example.com/team/churn@sha256:{'a' * 64}"
    (root / "bin").mkdir()
    (root / "bin" / "docker").write_text(PUBLISHED_DOCKER)
    (root / "bin" / "docker").chmod(0o755)
    (root / "Dockerfile").touch()
    (root / "environments" / "prod.yml").write_text(f'published:\n  runtime: "{image}"\n')
    monkeypatch.setenv("PATH", f"{root / 'bin'}:{os.environ['PATH']}")
    for _ in range(2):
        assert f"SAMEBOOK_IMAGE={image}" in make(root, "run", "ENV=prod", "ENGINE=docker")
    called = (root / "called").read_text().splitlines()
    assert called.count("pull --quiet") == 1
    assert "buildx build" not in called
    monkeypatch.setenv("OTHER", "arm64")
    assert "is for arm64, and Docker runs programs of amd64 here" in refused(root, "run", "ENV=prod", "ENGINE=docker")
    assert f"SAMEBOOK_IMAGE={image}" not in make(root, "run", "ENV=dev", "ENGINE=docker", "BASE_IMAGE=base")
    assert "buildx build" in (root / "called").read_text().splitlines()
    (root / "environments" / "prod.yml").write_text("published: {runtime: churn:latest}\n")
    assert "found churn:latest; expected NAME@sha256" in refused(root, "run", "ENV=prod", "ENGINE=docker")
    # To make a carriage return is a blank: what the settings say must not be a call of its functions.
    (root / "environments" / "prod.yml").write_bytes(b"published:\n  runtime: $(shell\rtouch$$IFS$(CURDIR)/mark)\n")
    assert "expected NAME@sha256" in refused(root, "run", "ENV=prod", "ENGINE=docker")
    assert not (root / "mark").exists()


# Docker's build whose image's layer the removal of another has taken away, for as many times as a file has letters.
LOSING_DOCKER = """#!/bin/sh
cat >>dockerfiles
echo step >&2
left=$(cat lost)
[ -n "$left" ] || { echo sha256:built && exit 0; }
echo "${left#?}" >lost
echo "ERROR: failed to prepare a snapshot: ${WORDS:-parent snapshot sha256:b does not exist}: not found" >&2
exit 3
"""


def test_build_that_loses_a_layer_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer lost to the removal of another image, an error of the daemon's own, costs another try."""
    (tmp_path / "docker").write_text(LOSING_DOCKER)
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def built(lost: str) -> tuple[int, str, int, int]:
        """The exit code, stdout, and how often the Dockerfile was built and the user told."""
        (tmp_path / "lost").write_text(lost)
        (tmp_path / "dockerfiles").unlink(missing_ok=True)
        call = [CHECKOUT / "environments" / "host", "docker_build", "--file", "-", "."]
        done = subprocess.run(call, cwd=tmp_path, input="FROM a\n", capture_output=True, text=True, check=False)
        tries = (tmp_path / "dockerfiles").read_text().count("FROM a\n")
        assert done.stderr.count("step\n") == tries
        return done.returncode, done.stdout, tries, done.stderr.count("built once more")

    assert built("") == (0, "sha256:built\n", 1, 0)
    assert built("x") == (0, "sha256:built\n", 2, 1)
    assert built("xxx") == (3, "", 3, 2)
    monkeypatch.setenv("WORDS", "no space left on device")
    assert built("x") == (3, "", 1, 0)


def test_wheels_are_those_of_the_revision(root: Path) -> None:
    """A release image takes the kept wheels of its commit's locks, and not of the checkout's."""
    printed = started(root, "--dry-run", "archives", "ENGINE=docker", "BASE_IMAGE=base", "TARGETS=runtime").stdout
    (words,) = {line.split("host kept")[1].split("||")[0] for line in printed.splitlines() if "host kept " in line}
    assert words.split()[2:4] == ['"$commit"/environments/build.txt', '"$commit"/environments/runtime.txt']


def test_services_run_by_the_image_that_is_named() -> None:
    """Each service on the runner's image runs the very image that a receipt names: its tag may be another's by then."""
    services = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
    images = {name: service["image"] for name, service in services.items() if ":runtime" in service["image"]}
    assert images.keys() == {"run", "watch", "scheduler", "worker"}
    assert {image.partition(":-")[0] for image in images.values()} == {"${SAMEBOOK_IMAGE"}


@pytest.mark.parametrize(
    ("docker", "engine"),
    [
        ("exit 0", "docker"),
        ("exit 1", "local (no Docker daemon answers)"),
        (
            '[ "$1" = version ]',
            "local (Docker's base image base:x is not here and can't be pulled; make base builds one)",
        ),
        ('[ "$1" != image ]', "docker"),
    ],
)
def test_engine_falls_back(root: Path, docker: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ENGINE it is docker where a daemon answers and has the base, or gets it; else local, and why."""
    (root / "bin").mkdir()
    (root / "bin" / "docker").write_text(f"#!/bin/sh\n{docker}\n")
    (root / "bin" / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{root / 'bin'}:{os.environ['PATH']}")
    command = ["make", "--silent", "--file", str(CHECKOUT / "Makefile"), "engine", "BASE_IMAGE=base:x"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr == f"engine: {engine}\n"


@pytest.mark.parametrize("given", [(), ("BASE_IMAGE=",), ("BASE_IMAGE= ",)])
@pytest.mark.parametrize("variable", [None, ""])
def test_no_base_image(
    root: Path, given: tuple[str, ...], variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty BASE_IMAGE, given or a shell's, is none: the base is the one that the Dockerfile pins."""
    (root / "Dockerfile").write_text("ARG BASE_IMAGE=python@sha256:ab\nFROM ${BASE_IMAGE}\n")
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    if variable is not None:
        monkeypatch.setenv("BASE_IMAGE", variable)
    recipe = started(root, "--dry-run", "build", "ENGINE=docker", *given).stdout
    assert "--build-arg BASE_IMAGE='python@sha256:ab'" in recipe
    assert "BASE_IMAGE=''" not in recipe


def test_other_engine_is_refused(root: Path) -> None:
    """An engine that there is not is refused, and nothing of its name is run."""
    assert "ENGINE=$(touch f); expected docker, podman or local" in refused(root, "runs", "ENGINE=$(touch f)")
    assert not (root / "f").exists()


@pytest.mark.parametrize(
    ("podman", "code", "said"),
    [
        (None, 2, "error: ENGINE=podman needs Podman"),
        ("exit 1", 2, "error: Podman says no address"),
        ('[ "$1" != info ] || echo unix:///nowhere/podman.sock', 0, "engine: docker (Podman)"),
    ],
)
def test_podman_in_place_of_the_daemon(
    root: Path, podman: str | None, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENGINE=podman is the Docker engine at the address of Podman; without one nothing is done."""
    (root / "bin").mkdir()
    (root / "bin" / "docker").write_text("#!/bin/sh\nexit 0\n")
    for name in ("sh", "cat", "sed", "id", "stat", "date", "grep", "make", "timeout", "dirname", "uname"):
        (root / "bin" / name).symlink_to(str(shutil.which(name)))
    if podman:
        (root / "bin" / "podman").write_text(f"#!/bin/sh\n{podman}\n")
    for path in root.glob("bin/*"):
        path.is_symlink() or path.chmod(0o755)
    monkeypatch.setenv("PATH", str(root / "bin"))
    command = ["make", "--silent", "--file", str(CHECKOUT / "Makefile"), "engine", "ENGINE=podman"]
    done = subprocess.run(command, cwd=root, env=clean_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_cluster_of_containers_is_none_of_the_local_engine(root: Path) -> None:
    """Where the cluster runs in containers, ON=dask on the local engine is refused before an environment is made."""
    folder = root / ".samebook" / "cluster"
    folder.mkdir()
    (folder / "scheduler").write_text("tls://scheduler:8786\n")
    (root / ".venv" / ".installed").unlink()
    message = refused(root, "sweep", "GRID=n=1", "ON=dask")
    assert "the cluster of this checkout runs in containers" in message
    assert "-> make sweep … ON=dask ENGINE=docker" in message
    assert not (root / ".venv" / ".installed").exists()
    (root / ".venv" / ".installed").touch()
    (folder / "scheduler").write_text("tls://10.0.0.1:8786\n")
    assert "--on" in make(root, "sweep", "GRID=n=1", "ON=dask")


def test_runs_need_runtime_alone(root: Path) -> None:
    """A run, and what looks at runs, needs production's packages alone; Lab's come when they are needed, and then runs
    go on with all.
    """
    assert "environments/runtime.txt into .venv" not in started(root, "--dry-run", "run").stdout
    (root / ".venv" / ".installed").unlink()
    (root / "environments" / "runtime.txt").touch()
    for target, lock in (
        ("run", "runtime"),
        ("sweep", "runtime"),
        ("shell", "runtime"),
        ("reproduce", "runtime"),
        ("lab", "lab"),
        ("test", "lab"),
        ("new", "lab"),
        ("update", "lab"),
    ):
        assert f"environment: environments/{lock}.txt into .venv" in started(root, "--dry-run", target).stdout, target
    (root / ".venv" / ".runtime").touch()
    assert "into .venv" not in started(root, "--dry-run", "run").stdout
    assert "into .venv" not in started(root, "--dry-run", "promote").stdout


def test_dry_make_does_nothing(root: Path) -> None:
    """`make -n` prints what it would do, and installs nothing: make runs each recipe that calls make even then."""
    (root / "environments" / "build.txt").write_text("newer")
    uv = root / ".samebook" / "uv" / "bin" / "uv"
    os.utime(uv, (0, 0))
    assert "rm -rf .samebook/uv" in started(root, "--dry-run", "run").stdout
    assert uv.is_file()
    recipes = [file.read_text().replace("\\\n", "") for file in CHECKOUT.glob("**/*.mk") if ".venv" not in file.parts]
    lines = "".join((*recipes, (CHECKOUT / "Makefile").read_text())).splitlines()
    assert not [line for line in lines if line.startswith("\t") and re.search(r"\$\(MAKE\).*&&|&&.*\$\(MAKE\)", line)]


def test_unknown_mark_is_refused() -> None:
    """MARK= with a mark that does not exist is refused with those that do."""
    lines = ["host: not for the image", "engine: may change", "timeout(seconds): a limit"]
    check_marks("not host and (engine or timeout)", lines)
    with pytest.raises(pytest.UsageError, match="no mark 'engin'; expected one of: host, engine\n"):
        check_marks("not host and engin", lines)


@pytest.mark.parametrize("name", ["my work", "a;b", "it's", 'a"b', "a(1", "a:b", "a\\b", "a`b"])
def test_blank_in_path(name: str, root: Path) -> None:
    """Where the checkout's path has a blank, or what sh or Docker would read as more, the first command says so."""
    there = root / name
    there.mkdir()
    assert "has a blank" in refused(there, "runs")


@pytest.mark.secrets
def test_lab_token_is_no_argument(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lab's token is in no program's arguments, which every user of the machine can list; Lab leaves no core dump."""
    programs = root / "programs"
    programs.mkdir()
    (programs / "env").write_text('#!/bin/sh\necho "$*" >>"$ARGUMENTS"\nexec /usr/bin/env "$@"\n')
    (root / ".venv" / "bin" / "jupyter").write_text(
        '#!/bin/sh\necho "$*" >>"$ARGUMENTS"; echo $JUPYTER_TOKEN $(ulimit -c)\n'
    )
    for path in (programs / "env", root / ".venv" / "bin" / "jupyter"):
        path.chmod(0o755)
    monkeypatch.setenv("ARGUMENTS", str(root / "arguments"))
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    (root / "environments" / "variables.env").touch()
    shown = make(root, "lab-local")
    token, limit = shown[-1].split()
    assert (f"token={token}" in shown[0], limit) == (True, "0")
    assert "lab --no-browser" in (root / "arguments").read_text()
    assert token not in (root / "arguments").read_text()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("variables: [MODE, API_URL]  # NOT_THIS\nnumerics: fast\n", {"MODE", "API_URL"}),
        ("variables:\n  - MODE # NOT_THIS\n- API_URL\nnumerics: fast\n", {"MODE", "API_URL"}),
        ("numerics: fast\n", set()),
    ],
)
def test_named_variables_reach_the_container(root: Path, text: str, names: set[str]) -> None:
    """Variables of the shell that the settings or VARIABLES name go into the container by name, and no others."""
    (root / "environments" / "preprod.yml").write_text(text)
    recipe = started(root, "--dry-run", "ENGINE=docker", "BASE_IMAGE=x", "run", "ENV=preprod", "VARIABLES=A B").stdout
    given = {"GIVEN_TO_MAKE", "ENGINE", "NOTEBOOK", "ENV", "VARIABLES", "A", "B"}
    assert {word for word in re.findall(r"-e '(\w+)'", recipe) if not word.startswith("SAMEBOOK_")} == given | names


def test_variables_that_stay_outside(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a commit that is run again name no variable of this machine, nor does an ENV of the shell choose
    them; what would change the container's own program is refused there.
    """
    (root / "environments" / "dev.yml").write_text("variables: [GITHUB_TOKEN]\n")
    monkeypatch.setenv("ENV", "/root/.shinit")
    for target, named in {"run": {"GITHUB_TOKEN"}, "rerun": set[str]()}.items():
        recipe = started(root, "--dry-run", "ENGINE=docker", "BASE_IMAGE=x", target, "VARIABLES=PATH PYTHONHOME").stdout
        assert set(re.findall(r"-e '(\w*(?:TOKEN|PATH|HOME))'", recipe)) == named, target


def test_variables_are_an_option(root: Path) -> None:
    """VARIABLES names several at once, and their values may stand on make's command line."""
    assert make(root, "run", "VARIABLES=API_URL MODE", "MODE=quick") == [
        "run",
        "--variables",
        "API_URL MODE",
        "--",
        "train",
    ]
    assert make(root, "run", "VARIABLES=ENV", "ENV=prod")[:5] == ["run", "--env", "prod", "--variables", "ENV"]


@pytest.mark.parametrize("name", ["IMAGE", "PLATFORM", "UV"])
def test_own_variables_of_make_are_refused(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the shell whose name make uses itself is refused: a kernel would get make's text for it."""
    monkeypatch.setenv(name, "mine")
    assert f"VARIABLES={name}: make has its own variable of that name" in refused(root, "run", f"VARIABLES=A {name}")


@pytest.mark.parametrize(
    ("image", "mend"),
    [(0, "on Debian: apt-get install qemu-user-static"), (1, "make base PLATFORM=linux/arm64, which builds one")],
)
def test_no_emulation(root: Path, image: int, mend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Docker can't run programs of another architecture, or has no base of it, the build says what mends it."""
    docker = root / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\n[ "$1" = version ] || {{ [ "$1" = image ] && exit {image}; exit 1; }}\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    assert f"  -> {mend}" in refused(root, "build", "ENGINE=docker", "PLATFORM=linux/arm64", "BASE_IMAGE=base")


@pytest.mark.parametrize(
    ("platform", "tag"),
    [("linux/arm64/v8", "-arm64"), ("linux/aarch64", "-arm64"), ("linux/x86_64", "-amd64"), ("linux/386", "")],
)
def test_docker_default_platform(root: Path, platform: str, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's variable may name an architecture in any of Docker's ways; another one is refused by its own name."""
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", platform)
    done = started(root, "--print-data-base", "help")
    assert (done.returncode == 0) == bool(tag)
    assert f"SAMEBOOK_TAG := {tag}\n" in done.stdout if tag else f"DOCKER_DEFAULT_PLATFORM={platform};" in done.stderr


def test_wheel_takes_a_folder(root: Path) -> None:
    """DIST is the folder of the wheel, as it is that of the images."""
    assert "--out-dir 'elsewhere'" in started(root, "--dry-run", "wheel", "ENGINE=local", "DIST=elsewhere").stdout


@pytest.mark.secrets
def test_signing_key_is_no_file_in_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ENGINE=docker the key goes in through stdin, and only for what signs: neither mounted nor for a shell."""
    monkeypatch.setenv("SIGNING_KEY", "/keys/ada's.pem")
    for target, is_handed in (("run", True), ("sweep", True), ("shell", False), ("test-docker", False)):
        recipe = started(CHECKOUT, "--dry-run", "ENGINE=docker", "BASE_IMAGE=x", target).stdout
        assert (r"-T -e SIGNING_KEY=- <'/keys/ada'\''s.pem'" in recipe) == is_handed
        assert ("ada" in recipe, "signing-key" in recipe) == (is_handed, False)
