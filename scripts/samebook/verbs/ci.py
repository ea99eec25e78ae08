"""Write the jobs of a forge for this project: its checks, reviews, reproductions, publications and deployments."""

from dataclasses import dataclass

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.forge import github, gitlab, rules
from samebook.forge.job import BRANCHES, Project

FORMS = ("github", "gitlab")


@dataclass(frozen=True)
class CiRequest:
    """One call of `samebook ci`: the forge (one of FORMS), the environment whose shared store reproductions read, the
    environments that get images, and the owners of models, @ada or @team/models.
    """

    form: str
    env: str = "prod"
    envs: tuple[str, ...] = ("preprod", "prod")
    owners: tuple[str, ...] = ()


def ci(workspace: Workspace, request: CiRequest) -> dict[str, str]:
    """The files of the forge, content by path. Raises UsageError for an environment without settings or branch."""
    if unknown := [env for env in request.envs if env not in BRANCHES]:
        raise UsageError(
            f"no branch is that of {unknown[0]!r}; expected some of: {', '.join(BRANCHES)}",
            mend=f'make ci AS={request.form} ENVS="preprod prod"',
        )
    for env in request.envs:
        settings.load(workspace, env)
    store = settings.load(workspace, request.env).store
    secrets = tuple(dict.fromkeys(name for name in (store.access_key, store.secret_key) if name))
    project = Project(request.env, secrets, request.envs)
    if request.form == "gitlab":
        schedules = sorted(path.name for path in workspace.root.glob(gitlab.SCHEDULES))
        return gitlab.files(project, schedules) | _owners(workspace, ".gitlab", request)
    name = workspace.project
    return github.files(project) | {rules.RULESET: rules.ruleset(name)} | _owners(workspace, ".github", request)


def _owners(workspace: Workspace, folder: str, request: CiRequest) -> dict[str, str]:
    if not request.owners:
        return {}
    policies = (settings.load(workspace, env).promotion for env in settings.names(workspace))
    gates = sorted({policy.gate.notebook for policy in policies if policy.gate})
    return {f"{folder}/CODEOWNERS": rules.owners(request.owners, gates)}
