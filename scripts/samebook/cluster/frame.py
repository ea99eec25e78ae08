"""What all pods of an environment have in common: their image, their limits, their secrets, what they write to."""

import re
from dataclasses import dataclass

from samebook.cluster.repository import Repository
from samebook.core.errors import UsageError

VOLUMES = ("runs", "store", "data")
# What is empty in each pod where results come back through the shared store.
OWN_VOLUMES = ("runs", "store")
# A tag may be moved to another image, a digest can't.
IMAGE = re.compile(r"[\w./:-]+@sha256:[0-9a-f]{64}")
QUANTITY = re.compile(r"[1-9][0-9]*(m|Ki|Mi|Gi|Ti)?")


@dataclass(frozen=True)
class Frame:
    """What all pods of an environment have in common. `memory` (2Gi) and `cores` (2) are limits, "" for none.

    With `is_shared`, results go to the shared store, and only data/ is a claim's. `variables` are a pod's, with texts.
    `signing_key` is the key of the environment's Secret by which runs are signed. A pod with a `repository` works in a
    clone of it. `project` is the first word of all names: a namespace may have several projects.
    """

    env: str
    image: str
    secrets: tuple[str, ...] = ()
    memory: str = ""
    cores: str = ""
    is_shared: bool = False
    variables: tuple[tuple[str, str], ...] = ()
    signing_key: str = ""
    repository: Repository | None = None
    project: str = "samebook"

    def __post_init__(self) -> None:
        images = {"--image": self.image}
        if self.repository and self.repository.image:
            images["--git-image"] = self.repository.image
        for option, image in images.items():
            if not IMAGE.fullmatch(image):
                raise UsageError(
                    f"{option} {image!r} has no digest; expected NAME@sha256:… with 64 digits, which can't be moved",
                    mend="docker image inspect --format '{{index .RepoDigests 0}}' IMAGE",
                )
        for option, quantity in (("--memory", self.memory), ("--cores", self.cores)):
            if quantity and not QUANTITY.fullmatch(quantity):
                raise UsageError(
                    f"{option} {quantity!r} is no quantity of Kubernetes'; expected one like 2Gi or 2",
                    mend="again, with MEMORY=2Gi CORES=2",
                )

    @property
    def of_env(self) -> str:
        """The name of the environment's Secret."""
        return self.name(self.env)

    def name(self, part: str) -> str:
        """The name of a claim, or of a Secret, of the project."""
        return f"{self.project}-{part}".replace("_", "-").lower()

    @property
    def claims(self) -> tuple[str, ...]:
        """The volumes that are claims: what a pod writes there outlives it."""
        return tuple(volume for volume in VOLUMES if not (self.is_shared and volume in OWN_VOLUMES))

    @property
    def needs(self) -> list[str]:
        """The claims and the secrets that must be there before, in words."""
        keys = [*self.secrets, *([self.signing_key] if self.signing_key else [])]
        deploy_keys = self.repository.secrets(self.of_env) if self.repository else []
        return [
            *(f"the claim {self.name(volume)}" for volume in self.claims),
            *([f"the secret {self.of_env} with {', '.join(keys)}"] if keys else []),
            *(f"the secret {secret} with ssh-privatekey and known_hosts" for secret in deploy_keys),
        ]
