"""A job of a forge, before it is written for one: its steps, when it runs, and what it may and gets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from samebook.pipelines.candidates import branch

# The branches that have an environment of their own; all else is tried in pull requests.
BRANCHES = {env: branch(env) for env in ("dev", "preprod", "prod")}
# The folder with the bundles of promoted models: a pull request that changes one has more to prove.
MODELS = "models/*.json"


class When(Enum):
    """The event of a job: a push to main or a pull request, a pull request, one that brings a model, or a push to the
    job's branch.
    """

    CHANGE = "change"
    REQUEST = "request"
    MODEL = "model"
    PUSH = "push"


@dataclass(frozen=True)
class Step:
    """A step: its name, its lines of shell, and the names of the secrets and of the forge's variables that it gets."""

    name: str
    lines: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A job. `why` stands above it in the file.

    `gives` is a text file that jobs which need it get, by `takes`; `keeps` are files for people, kept whatever the end.
    `writes` are the rights that it has beside reading; `switch` is a variable of the forge without which it does not
    run. A job of a `machine` runs on the runner of that label, in `environment`, which the forge may protect.
    """

    name: str
    why: str
    steps: tuple[Step, ...]
    when: When = When.CHANGE
    branch: str = ""
    minutes: int = 60
    engines: tuple[str, ...] = ()
    is_of_base: bool = False
    has_checkout: bool = True
    needs: tuple[str, ...] = ()
    takes: str = ""
    gives: str = ""
    keeps: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    environment: str = ""
    switch: str = ""
    machine: str = ""


@dataclass(frozen=True)
class Words:
    """The words of a forge in the lines of a step: of the commit, a number that no other run has, the engine of a job
    that has several, the file of the key of reproductions.

    `proposal` has the lines that make a pull request of HEAD, by the name of its branch, with these secrets. `prepared`
    are the steps of a machine that makes images, `key_steps` those that write the key's file, and `comment` is the job
    that writes a review there, where the forge does not show it by itself.
    """

    commit: str
    number: str
    engine: str
    key: str
    proposal: Callable[[str], tuple[str, ...]]
    proposal_secrets: tuple[str, ...] = ()
    prepared: tuple[Step, ...] = ()
    key_steps: tuple[Step, ...] = ()
    comment: tuple[Job, ...] = ()


@dataclass(frozen=True)
class Project:
    """The facts of a project that its jobs depend on.

    `env` names the environment whose shared store has what reproductions need, by the secrets `secrets`; `envs` are
    those that get images of their own, in this order.
    """

    env: str = "prod"
    secrets: tuple[str, ...] = ()
    envs: tuple[str, ...] = field(default=("preprod", "prod"))

    @property
    def protected(self) -> tuple[str, ...]:
        """The branches that nobody may push to: main, and those of the environments."""
        return tuple(dict.fromkeys(("main", *(BRANCHES[env] for env in self.envs))))
