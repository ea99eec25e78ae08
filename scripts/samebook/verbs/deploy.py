"""Write what runs an environment's published image without a checkout: for compose, systemd or Kubernetes.

A folder has one deployment of an environment: of the one before nothing stays that this one lacks.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from samebook.cluster.frame import Frame
from samebook.core import cron, git, head
from samebook.core import workspace as workspaces
from samebook.core.errors import UsageError
from samebook.core.text import word
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.sections import Published
from samebook.models import commits
from samebook.pipelines import candidates, definition, git_use
from samebook.release import deployment, publication
from samebook.release.deployment import Deployment

FORMS = ("compose", "systemd", "kubernetes")
# The forms whose watcher gets no key: the variables of a container are for any program in it.
WATCHED = ("compose", "systemd")
# The units of systemd that are started; a timer starts those of the jobs.
STARTED = (".timer", "-watch.service")
# A file of a deployment. The list of them lies beside them, so no other name in it is taken for one.
FILE = re.compile(rf"({deployment.MODELS}/)?[A-Za-z0-9][A-Za-z0-9@._-]*")


@dataclass(frozen=True)
class DeployRequest:
    """One call of `samebook deploy`: the environment, the form (one of FORMS), and the folder to write into.

    `folder` is where the files will stand on their machine, "" for where they are written; `memory` (2Gi) and `cores`
    (2) are limits of Kubernetes' pods, "" for none.
    """

    env: str
    form: str
    into: Path
    folder: str = ""
    memory: str = ""
    cores: str = ""


@dataclass(frozen=True)
class Written:
    """The paths of the files that were written, the names of those of the deployment before that are gone, and what
    else is to be known.
    """

    paths: list[Path]
    gone: list[str]
    notes: list[str] = field(default_factory=list)


def deploy(request: DeployRequest) -> Written:
    """Write the files, and remove those of the deployment before that it has no more.

    The image and the models are those of HEAD; times, pipelines and names of secrets are those of the image's commit,
    as the image has these. Raises UsageError where environments/ has changes that are not committed, no image was
    published, nothing is to run, or a job needs a git repository, or a key that the form has no way in for.
    """
    workspace = workspaces.find()
    settings.load(workspace, request.env)
    if head.is_repository(workspace.root):
        commits.check_committed(workspace.root, workspace.environments)
    published = publication.at_head(workspace, request.env)
    if published is None:
        raise UsageError(
            f"environments/{request.env}.yml names no published image at HEAD, and production runs no other",
            mend=f"make publish ENV={request.env} REGISTRY=registry.example.com/team",
        )
    with git.worktree(workspace.root, published.commit) as tree:
        planned = _planned(Workspace(tree), request, published, workspace.project)
    match request.form:
        case "compose":
            files = deployment.compose(planned) | _models(workspace)
        case "systemd":
            files = deployment.systemd(planned) | _models(workspace)
        case _:
            limits = (request.memory, request.cores)
            frame = Frame(request.env, published.runtime, planned.secrets, *limits, project=planned.name)
            files = deployment.on_kubernetes(planned, frame)
    written = _replace(request.into, request.into / f".{planned.title}.files", files)
    unsigned = sorted(planned.signed & {*planned.when}) if request.form == "compose" else []
    left_out = [
        f"{job} is left out here: the policy wants its candidate signed, and a watcher gets no key\n"
        f"  -> make schedule ENV={request.env} AS=github, or make deploy … AS=systemd"
        for job in unsigned
    ]
    return replace(written, notes=[*left_out, *_changed_since(workspace, request.env, published)])


def _changed_since(workspace: Workspace, env: str, published: Published) -> list[str]:
    """A line where the image has other settings, or pipelines, than HEAD."""
    names = [f"environments/{env}.yml", "environments/pipelines"]
    if not (changed := publication.changed(workspace, published.commit, names)):
        return []
    return [
        f"as of the image's commit {published.commit[:12]}; changed since, and not deployed: {', '.join(changed)}\n"
        f"  -> make publish ENV={env} REGISTRY={published.runtime.rpartition('/')[0]}"
    ]


def _replace(folder: Path, listed: Path, files: dict[str, str]) -> Written:
    """Put the files in the place of those that the list names. A file that nobody listed is somebody else's.

    Raises UsageError where another deployment has one of them.
    """
    for other in folder.glob(".*.files"):
        if other != listed and (shared := files.keys() & {*other.read_text().splitlines()}):
            raise UsageError(
                f"{folder} has the deployment {other.name[1:-6]}, whose {min(shared)} would be replaced",
                mend=f"again, with INTO={word(f'{folder}-2')}",
            )
    before = listed.read_text().splitlines() if listed.is_file() else []
    gone = [name for name in before if FILE.fullmatch(name) and name not in files and (folder / name).is_file()]
    for name, text in files.items():
        workspaces.write_whole(folder / name, text.encode())
    for name in gone:
        (folder / name).unlink()
    workspaces.write_whole(listed, "".join(f"{name}\n" for name in files).encode())
    return Written([folder / name for name in files], gone)


def _planned(workspace: Workspace, request: DeployRequest, published: Published, name: str) -> Deployment:
    """The deployment as the settings and pipelines of the image's commit, in `workspace`, say."""
    env_settings = settings.load(workspace, request.env)
    watched = env_settings.watch
    started = [*watched.inbox.values(), *([watched.warehouse.pipeline] if watched.warehouse else [])]
    jobs = dict.fromkeys([*env_settings.schedule, *started])
    if not jobs:
        raise UsageError(
            f"environments/{request.env}.yml neither schedules a job nor watches for data, in the image's commit",
            mend=f'write `schedule: {{daily: "30 4 * * *"}}` in environments/{request.env}.yml, and make publish',
        )
    pipelines = {job: definition.read(workspace, job) for job in jobs}
    for job, pipeline in pipelines.items():
        git_use.check_in_a_pod(job, pipeline)
        if reasons := git_use.reasons(pipeline, env_settings.ab_test):
            raise UsageError(
                f"{job} needs the git repository, which a deployment without a checkout has not: {reasons[0]}",
                mend=f"make schedule ENV={request.env} AS=systemd",
            )
    signed = candidates.signed(pipelines, env_settings.promotion)
    for job in sorted(signed & {*started} if request.form in WATCHED else ()):
        raise UsageError(
            f"{job} makes candidates, which the policy wants signed, and a watcher in {request.form} gets no key",
            mend=f"make deploy ENV={request.env} AS=kubernetes INTO={word(str(request.into))}",
        )
    return Deployment(
        name=name,
        env=request.env,
        image=published.runtime,
        commit=published.commit,
        when={job: cron.parse(line) for job, line in env_settings.schedule.items()},
        watched=frozenset(started),
        secrets=tuple(sorted(env_settings.secret_names())),
        folder=request.folder or str(request.into.absolute()),
        signed=frozenset(signed),
    )


def _models(workspace: Workspace) -> dict[str, str]:
    """The bundles of the promoted models at HEAD, with which a deployment begins."""
    names = [name for name in head.file_names(workspace.root, "models") if name.endswith(".json")]
    contents = {name: head.content(workspace.root, f"models/{name}") for name in names}
    return {f"{deployment.MODELS}/{name}": (content or b"").decode() for name, content in contents.items()}


def table(written: Written, request: DeployRequest) -> str:
    """The files that were written and removed as text, and what is next."""
    folder = word(str(request.into))
    ended = " ".join(name for name in written.gone if name.endswith(STARTED))
    units = " ".join(path.name for path in written.paths if path.name.endswith(STARTED))
    copied = " ".join(word(str(path)) for path in written.paths if path.suffix in {".service", ".timer"})
    following = {
        "compose": f"docker compose --project-directory {folder} up --detach",
        "systemd": f"cp {copied} /etc/systemd/system/ && systemctl daemon-reload && "
        f"systemctl enable {units} && systemctl restart {units}",
        "kubernetes": f"kubectl apply --prune --selector {deployment.LABEL}={written.paths[0].stem} -f {folder}",
    }
    lines = [*map(str, written.paths), *(f"removed: {name}" for name in written.gone)]
    if ended:
        lines.append(f"it runs on where it was started: systemctl disable --now {ended}")
    return "\n".join((*lines, *written.notes, f"next: {following[request.form]}"))
