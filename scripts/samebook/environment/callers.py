"""The variables of the caller's shell that a kernel gets beside the short list, by their names.

The settings name them (`variables:`), an option (`-e NAME`), or the receipt of the run that is repeated. A receipt has
the sha256 of each value, so that a changed one is noticed, but not of a secret: a short one could be guessed from its
hash, and a key by which it could not would be another one for each run, or one more secret.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from samebook.core import secret
from samebook.core.digest import sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.environment import input_entries, variables
from samebook.environment.settings import Settings

# The beginnings of variables by which a client logs in to a shared store, to a PostgreSQL server, and to the clouds.
AWS = ("AWS_",)
POSTGRESQL = ("PGPASS", "PGSERVICE", "PGSSL", "PGUSER")
CLOUDS = {"gs": "GOOGLE_", "az": "AZURE_"}
CLIENTS = (*AWS, *POSTGRESQL, *CLOUDS.values())

# By name, the sha256 of a variable's value; None for that of a secret.
type Digests = Mapping[str, str | None]


@dataclass(frozen=True)
class Callers:
    """The caller's variables of a kernel: `handed` by name, and the `secrets` that settings and notebooks name."""

    handed: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """All of them, with the names of those that are handed, for the runs that the kernel starts."""
        names = {variables.EXTRA: " ".join(self.handed)} if self.handed else {}
        return {**self.secrets, **self.handed, **names}

    @property
    def named(self) -> list[str]:
        """The names of the secrets that settings and notebooks name: a region of AWS is none."""
        return [name for name in self.secrets if not name.startswith(CLIENTS)]

    @property
    def digests(self) -> Digests:
        """The digests of those that are handed, for the receipt."""
        return {name: None if name in self.named else digest(name, self.handed[name]) for name in sorted(self.handed)}

    @property
    def handed_secrets(self) -> list[str]:
        """The names of those that are handed and hold a secret."""
        return [name for name, hexdigest in self.digests.items() if hexdigest is None]

    @property
    def likely_secrets(self) -> list[str]:
        """The names of the variables that the kernel gets unasked, and that hold a secret: the password of a proxy, the
        keys of a store, the secrets of the notebooks that make its datasets.
        """
        given = {**values(variables.CALLERS), **self.secrets}
        return [name for name, text in given.items() if name in self.named or secret.is_likely(name, text)]


def digest(name: str, value: str) -> str | None:
    """The sha256 of a variable's value; None for that of a secret."""
    return None if secret.is_likely(name, value) else sha256(os.fsencode(value))


def extra_names() -> list[str]:
    """The names that the option -e gives."""
    return os.environ.get(variables.EXTRA, "").split()


def check(names: Iterable[str]) -> None:
    """Raise UsageError for a name that -e can't take, and for one that is not set."""
    for name in names:
        if obstacle := variables.obstacle(name):
            raise UsageError(f"{name} can't be handed to a kernel: {obstacle[0]}", mend=obstacle[1])
        if name not in os.environ:
            raise UsageError(f"{name} can't be handed to a kernel: it is not set", mend=f"export {name}=…")


def named(workspace: Workspace, settings: Settings, secrets: Iterable[str]) -> Callers:
    """The caller's variables of a run's kernel, as far as they are set. Raises UsageError for a wrong name."""
    names = (*settings.variables, *_extra(workspace))
    _check_free(workspace, names)
    return Callers(values(names), of_secrets(workspace, settings, secrets))


def _extra(workspace: Workspace) -> list[str]:
    names = extra_names()
    check(names)
    _check_free(workspace, names)
    return names


def _check_free(workspace: Workspace, names: Iterable[str]) -> None:
    """Raise UsageError for a variable that is fixed for every kernel."""
    for name in variables.fixed(workspace).keys() & set(names):
        raise UsageError(f"{name} can't be handed to a kernel: it is fixed for each", mend=f"edit {variables.FIXED}")


def recorded(workspace: Workspace, settings: Settings, secrets: Iterable[str], digests: Digests) -> Callers:
    """The caller's variables of a kernel that repeats the run of a receipt: those whose value is the receipt's, and
    those that the option -e names. Raises UsageError for a wrong name there.
    """
    same = [name for name, difference in differences(digests).items() if not difference]
    return Callers(values((*same, *_extra(workspace))), of_secrets(workspace, settings, secrets))


def differences(digests: Digests) -> dict[str, str]:
    """For each variable of a receipt, how the caller's differs from it; "" where it does not, or is a secret's."""
    return {name: _difference(name, hexdigest) for name, hexdigest in digests.items()}


def _difference(name: str, hexdigest: str | None) -> str:
    if obstacle := variables.obstacle(name):
        return obstacle[0]
    if name not in os.environ:
        return "not set here"
    # An earlier receipt has the digest of what counts as a secret by now.
    return "another value here" if hexdigest and sha256(os.fsencode(os.environ[name])) != hexdigest else ""


def of_secrets(workspace: Workspace, settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """The variables with the secrets of the settings, and with these, of a notebook: also those of the notebooks that
    make its datasets. A store without a key of its own has AWS's variables, a PostgreSQL server those of its client,
    and so have the clouds that input files are from.
    """
    makers = {dataset.made_by for dataset in settings.datasets.values() if dataset.made_by}
    made = (name for maker in sorted(makers) for name in secret.names(workspace.notebook(maker)))
    aws = AWS if settings.store.url and not settings.store.access_key else ()
    clients = beginning((*aws, *of_client(settings.warehouse.url), *_of_inputs(workspace)))
    return values((*settings.secret_names(), *names, *made, *clients))


def of_client(url: str) -> tuple[str, ...]:
    """The beginnings of the variables by which a client logs in to the warehouse of this URL; none without a server."""
    return POSTGRESQL if url.startswith("postgres") else ()


def _of_inputs(workspace: Workspace) -> Iterator[str]:
    """The beginnings of the variables by which the clients of the clouds that input files are from log in.

    A wrong inputs.yml is told by what reads it.
    """
    with suppress(SamebookError):
        schemes = {entry.origin.partition("://")[0] for entry in input_entries.read(workspace).values()}
        yield from (beginning for scheme, beginning in CLOUDS.items() if scheme in schemes)


def beginning(beginnings: tuple[str, ...]) -> list[str]:
    """The names of the caller's variables with one of these beginnings."""
    return [name for name in os.environ if name.startswith(beginnings)]


def values(names: Iterable[str]) -> dict[str, str]:
    """The variables of these names that are set and that a kernel may get."""
    return {name: os.environ[name] for name in names if name in os.environ and name not in variables.NEVER}
