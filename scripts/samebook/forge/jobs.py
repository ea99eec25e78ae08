"""The table of jobs: what is tested, reviewed, reproduced, published and deployed, when, and with which rights."""

from collections.abc import Iterator

from samebook.forge.job import BRANCHES, Job, Project, Step, When, Words
from samebook.pipelines.candidates import AUTHOR, LOGIN

REVIEW, PATCH = "review.md", "published.patch"
# The review with the plots that differ, to look at: a comment has no place for files.
REVIEW_FOLDER = "dist/review"
KEY = "REPRODUCTION_KEY"
# The switches: the registry of the images, and whether a machine of each environment runs what is published.
REGISTRY, DEPLOY = "REGISTRY", "DEPLOY"


def ci(words: Words) -> tuple[Job, ...]:
    """The jobs of each change: checks and tests on both engines, and the review of a pull request."""
    return (_test(words), _review(words), *words.comment)


def reproduction(words: Words, project: Project) -> tuple[Job, ...]:
    """The job of a pull request that brings a model: another builder than its author runs it again."""
    given = f"ENV={project.env} ENGINE=docker"
    again = f'make reproduce RANGE="HEAD..{words.commit}" {given}'
    step = Step("Reproduce each new model", (f'export SIGNING_KEY="{words.key}"', again), project.secrets)
    why = "By the code of the base, in a container without the key or the store's secrets. A fork gets none: unsigned."
    return (
        Job(
            "reproduce",
            why,
            (*words.key_steps, step),
            When.MODEL,
            minutes=360,
            is_of_base=True,
            # The receipts beside them are there where they go.
            keeps=("runs/.received/*/reproduction-*",),
            environment="reproduction",
        ),
    )


def publication(words: Words, project: Project) -> Iterator[Job]:
    """The jobs of a push to the branch of an environment: its image is published, built again by another machine, and
    proposed by its digest; what the branch names already is deployed.
    """
    for env in project.envs:
        yield from (_publish(words, env), _verify(words, env), _propose(words, env), _deploy(env))


def _test(words: Words) -> Job:
    train = f"make run NOTEBOOK=train ENGINE={words.engine} && make reproduce RUN=train ENGINE={words.engine}"
    steps = (
        Step("Check", ("make check ENGINE=local",)),
        Step("Test", (f"make test ENGINE={words.engine}",)),
        Step("Reproduce on this engine", (train,)),
    )
    return Job("test", "What must hold, on both engines.", steps, engines=("docker", "local"))


def _review(words: Words) -> Job:
    line = f'make review RANGE="HEAD..{words.commit}" ENGINE=local'
    return Job(
        "review",
        "Made by the code of the base, and judged by its policy.",
        (Step("Review", (f"{line} >{REVIEW}", f"{line} INTO={REVIEW_FOLDER}")),),
        When.REQUEST,
        minutes=15,
        is_of_base=True,
        gives=REVIEW,
        keeps=(REVIEW_FOLDER,),
    )


def _publish(words: Words, env: str) -> Job:
    publish = (
        AUTHOR,
        f'make publish ENV={env} REGISTRY="$REGISTRY" ENGINE=docker',
        f"git format-patch --stdout {words.commit} >{PATCH}",
    )
    return Job(
        f"publish-{env}",
        f"The image of {BRANCHES[env]}, by digest, with its bill of materials. Nobody uses it before the next jobs.",
        (*words.prepared, _login(), Step("Publish", publish, variables=(REGISTRY,))),
        When.PUSH,
        BRANCHES[env],
        gives=PATCH,
        keeps=("dist/*.cdx.json", "dist/*.provenance.json*"),
        environment="registry",
        switch=REGISTRY,
    )


def _verify(words: Words, env: str) -> Job:
    lines = (
        AUTHOR,
        f"[ ! -s {PATCH} ] || git am --quiet {PATCH}",
        *(f"make verify-image ENV={env} TARGET={target} ENGINE=docker" for target in ("runtime", "lab")),
    )
    return Job(
        f"verify-{env}",
        "The published digest is that of another build of the commit, by a machine that has no layer of the first.",
        (*words.prepared, _login(), Step("Build it again", lines)),
        When.PUSH,
        BRANCHES[env],
        needs=(f"publish-{env}",),
        takes=PATCH,
        environment="registry",
        switch=REGISTRY,
    )


def _propose(words: Words, env: str) -> Job:
    branch = f"publish-{env}-{words.number}"
    begin = (f"[ -s {PATCH} ] || exit 0", f"{AUTHOR} && git am --quiet {PATCH}")
    lines = (*begin, *words.proposal(branch))
    return Job(
        f"propose-{env}",
        "The digest as a pull request: no job pushes to a branch that has an environment. It runs nobody's code.",
        (Step("Open a pull request", lines, words.proposal_secrets),),
        When.PUSH,
        BRANCHES[env],
        minutes=5,
        needs=(f"publish-{env}", f"verify-{env}"),
        takes=PATCH,
        writes=("contents", "pull-requests"),
        switch=REGISTRY,
    )


def _deploy(env: str) -> Job:
    folder = f'"$HOME/samebook-{env}"'
    lines = (
        f"make deploy ENV={env} AS=compose INTO={folder}",
        f"docker compose --project-directory {folder} up --detach --wait",
    )
    return Job(
        f"deploy-{env}",
        "The image that the branch names by digest, on the machine of the environment. Without a digest it is refused.",
        (Step("Deploy", lines),),
        When.PUSH,
        BRANCHES[env],
        environment=env,
        switch=DEPLOY,
        machine=f"samebook-{env}",
    )


def _login() -> Step:
    return Step(
        "Log in to the registry", (f'{LOGIN} "${{REGISTRY%%/*}}"',), ("REGISTRY_USER", "REGISTRY_PASSWORD"), (REGISTRY,)
    )
