"""The isolation of a rerun: the variables that it gets, and what it can't write to or remember.

The caller's home, temporary files and caches may hold an earlier result, and the caller's warehouse is production's.
"""

import json
import os
import secrets as randomness
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from samebook.core import make, secret
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment import callers, settings, yaml_file
from samebook.environment.numerics import BLAS, LOWERED, OPENMP
from samebook.environment.variables import CALLERS
from samebook.records import receipt, run_folder
from samebook.records.receipt import Json
from samebook.reproduction.front import check_inside

WAREHOUSE_URL = settings.variable(("warehouse", "url"))
WAREHOUSE_PASSWORD = settings.variable(("warehouse", "password"))
NUMERICS = settings.variable(("numerics",))
SECRETS = "SECRETS"
DIGEST = "@sha256:"
# The beginnings of the variables of make's programs: Docker, uv, git, and how they find their own files.
TOOLS = (
    *("DOCKER_", "COMPOSE_", "BUILDX_", "BUILDKIT_", "SSH_AUTH_SOCK", "XDG_"),
    *("UV_", "PIP_", "PYENV_", "LD_LIBRARY_PATH", "GIT_CONFIG_"),
)
# The beginnings and the ends of variables that name a cache, or a folder that keeps something for the next run.
CACHES = ("XDG_", "HF_", "TORCH_HOME", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_")
CACHE = ("_CACHE", "_CACHE_DIR", "_CACHEDIR")


def variables(statement: Json, checkout: Path, commit: str, engine: str, say: Say) -> dict[str, str]:
    """The variables of the rerun of a receipt, in a checkout of its commit; `say` hears of those that it lacks."""
    for line in lacking(statement):
        say(f"without a variable of the run's shell: {line}")
    env = inherited(commit) | base_image(statement, checkout) | warehouse(statement, checkout) | numerics(statement)
    given = callers.values(handed(statement))
    client = callers.values(callers.beginning(callers.of_client(env.get(WAREHOUSE_URL, ""))))
    return {**client, **secrets(statement, checkout, engine), **env, **given, SECRETS: " ".join((env[SECRETS], *given))}


def inherited(commit: str) -> dict[str, str]:
    """The caller's variables of the short list that kernels get, and those of the programs that make calls, without
    what was meant for the calling make.

    BASE_IMAGE stays: a checkout does not know a base image that was built on this machine. Variables that locate the
    warehouse stay: its address differs from machine to machine, its rows are the same. So does the one that simulates
    another processor.
    """
    names, beginnings = (*CALLERS, "BASE_IMAGE"), (settings.variable(("warehouse", "")), LOWERED, *TOOLS)
    from_make = {*make.variables()} - {"BASE_IMAGE"}
    env = {
        name: value
        for name, value in os.environ.items()
        if (name in names or name.startswith(beginnings)) and name not in from_make
    }
    env["SAMEBOOK_BUILDER"] = receipt.builder()
    # A tag of this rerun alone: neither the caller's checkout nor another rerun of the commit, which may have a patch
    # on it, takes the image's place or gets it. Equal images share their layers, and what was built before is quick.
    env["SAMEBOOK_TAG"] = f"-{commit[:12]}-{randomness.token_hex(6)}"
    return env


def handed(statement: Json) -> list[str]:
    """The names of the caller's variables that the rerun's kernel gets by name: those of the receipt that have the same
    value here, and those that the option -e gives. A secret goes along by -e alone: the receipt may be a stranger's.
    """
    extra = callers.extra_names()
    callers.check(extra)
    digests = receipt.caller_variables(statement)
    same = [name for name, difference in callers.differences(digests).items() if digests[name] and not difference]
    return [*dict.fromkeys((*same, *extra))]


def lacking(statement: Json) -> list[str]:
    """The variables of the receipt that the rerun's kernel does not get, or gets with another value, a line each."""
    digests, extra = receipt.caller_variables(statement), callers.extra_names()
    reasons = callers.differences(digests)
    for name, digest in digests.items():
        if digest is None and not reasons[name] and name not in extra:
            reasons[name] = f"a secret, which goes along by your word alone: VARIABLES={name}"
    return [f"{name}: {reason}" for name, reason in reasons.items() if reason]


def secrets(statement: Json, checkout: Path, engine: str) -> dict[str, str]:
    """The variables with the secrets that SECRETS and the caller's settings of the warehouse name, and on the local
    engine those that the commit's settings and notebooks name: what a container may not have, make doesn't get either.
    """
    named = " ".join(os.environ.get(name, "") for name in (SECRETS, WAREHOUSE_PASSWORD)).split()
    return callers.values({*named, *(_named(statement, checkout) if engine != "docker" else ())})


def _named(statement: Json, checkout: Path) -> set[str]:
    """The names of the secrets that the commit's settings and notebooks name."""
    path = settings.settings_path(Workspace(checkout), receipt.external_parameters(statement)["env"])
    sections = [section for section in yaml_file.read(path).values() if isinstance(section, dict)]
    of_settings = (
        section.get(key) for section in sections for key in ("password", "access_key", "secret_key", "webhook")
    )
    root = checkout.resolve()
    notebooks = (path for path in checkout.glob("notebooks/**/*.ipynb") if path.resolve().is_relative_to(root))
    of_notebooks = (name for notebook in notebooks for name in secret.names(notebook))
    return {*map(str, of_settings), *of_notebooks}


def numerics(statement: Json) -> dict[str, str]:
    """The variables by which the rerun has the numerics and the numbers of threads of the receipt, whatever the machine
    has; SECRETS has make hand them into a container, and those of a trial. A receipt of before has one number of
    threads, or "all".
    """
    internal = statement["predicate"]["buildDefinition"].get("internalParameters", {})
    threads = internal.get("threads")
    names = {SECRETS: " ".join((os.environ.get(SECRETS, ""), OPENMP, BLAS[0], NUMERICS)).strip()}
    if isinstance(threads, dict):
        return {**names, OPENMP: str(threads["openmp"]), BLAS[0]: str(threads["blas"]), NUMERICS: internal["numerics"]}
    return {**names, OPENMP: threads} if str(threads).isdecimal() else names


def base_image(statement: Json, checkout: Path) -> dict[str, str]:
    """The variable with the receipt's base image, where it is one by digest that the commit's Dockerfile names.

    Any other image could be a stranger's.
    """
    uri = (receipt.dependency(statement, "base image") or {}).get("uri", "")
    dockerfile = checkout / "Dockerfile"
    lines = dockerfile.read_text(errors="replace").splitlines() if dockerfile.is_file() else []
    return {"BASE_IMAGE": uri} if DIGEST in uri and f"ARG BASE_IMAGE={uri}" in lines else {}


@contextmanager
def fresh(engine: str, env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The variables of a run without a memory: with a home, a temporary folder and caches that are new and empty.

    In a container they are new anyway, and make, outside, needs its home to find Docker. Git keeps its configuration,
    with the filters that the checkout was written by. The folders are short, as sockets are made in them. No variable
    is set that the caller doesn't have, but TMPDIR, which each kernel gets: a notebook could tell by it.
    """
    if engine == "docker":
        yield dict(env)
        return
    named = env.get(SECRETS, "").split()  # by the receipt, or by the caller
    variables = {
        name: value
        for name, value in env.items()
        if name in named or not (name.startswith(CACHES) or name.endswith(CACHE))
    }
    with tempfile.TemporaryDirectory(prefix=run_folder.TEMPORARY) as folder:
        home, temporary = Path(folder) / "home", Path(folder) / "tmp"
        home.mkdir()
        temporary.mkdir()
        if (configuration := Path(env.get("HOME", "/"), ".gitconfig")).is_file():
            (home / ".gitconfig").write_text(
                f"[include]\n\tpath = {json.dumps(str(configuration), ensure_ascii=False)}\n"
            )
        names = ("TMPDIR", *({"TMP", "TEMP"} & variables.keys()))
        yield {**variables, "HOME": str(home), **dict.fromkeys(names, str(temporary))}


def warehouse(statement: Json, checkout: Path) -> dict[str, str]:
    """The variable with the URL of a warehouse that is a server: the caller's, else that of the commit's settings.

    The server is told to refuse writes, because the samebook of an older commit would publish.
    """
    path = settings.settings_path(Workspace(checkout), receipt.external_parameters(statement)["env"])
    check_inside(checkout, [path])
    section = yaml_file.read(path).get("warehouse")
    written = section.get("url") if isinstance(section, dict) else None
    url = os.environ.get(WAREHOUSE_URL) or str(written)
    return {WAREHOUSE_URL: read_only(url)} if url.startswith("postgres") else {}


def read_only(url: str) -> str:
    """The URL of a PostgreSQL server by which each session refuses to write."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query["options"] = f"{query.get('options', '')} -c default_transaction_read_only=on".strip()
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))
