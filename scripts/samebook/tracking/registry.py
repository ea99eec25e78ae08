"""Promoted models in MLflow: each bundle that a branch has had is a version, the newest one the champion.

Git decides what is promoted. An alias that somebody has moved in MLflow is moved back.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from samebook.core import git, head
from samebook.core.errors import SamebookError, UsageError
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment.sections import Mlflow
from samebook.environment.settings import Settings
from samebook.models import lookup
from samebook.models.bundle import NAME, Bundle
from samebook.models.run_files import RunFiles
from samebook.records.receipt import Json
from samebook.tracking import record
from samebook.tracking.mirror import MOST_VALUES, Mirror, Mirrored
from samebook.tracking.server import NOT_THERE, OF_ONE_RUN, Refused, Server

CHAMPION, CHALLENGER = "champion", "challenger"
# The tags of a model, which say whose it is, and of a version, by which it is found again.
OWNER, BUNDLE = "samebook.experiment", "samebook.bundle"

type Send = Callable[[RunFiles], Mirrored]


class Registry:
    """The registered models of a server that are this repository's."""

    def __init__(self, workspace: Workspace, mirror: Mirror, settings: Settings, send: Send, say: Say) -> None:
        self.workspace, self.mirror, self.settings, self.send, self.say = workspace, mirror, settings, send, say
        self.changes = 0

    @property
    def _server(self) -> Server:
        return self.mirror.server

    @property
    def _section(self) -> Mlflow:
        return self._server.section

    def update(self) -> int:
        """Bring versions and aliases to what the branch says; the number of those that have changed.

        A version whose receipt is not here is left for later, and said.
        """
        if not head.is_repository(self.workspace.root):
            return 0
        branch = git.commit(self.workspace.root, self._section.branch or "HEAD")
        files = head.blobs(self.workspace.root, branch)[0]
        promoted = {Path(path).stem for path in files if path.startswith("models/") and path.count("/") == 1}
        own = {str(model["name"]) for model in self._models()}
        for name in sorted(promoted | own):
            if NAME.fullmatch(name):
                self._update(name, branch, is_new=name not in own)
        return self.changes

    def _update(self, name: str, branch: str, *, is_new: bool) -> None:
        history = list(lookup.versions(self.workspace, name, branch))
        bundles = {bundle.digest: bundle for _, bundle in reversed(history) if bundle}
        champion = history[0][1] if history else None
        challenger = self._challenger(name)
        bundles |= {challenger.digest: challenger} if challenger else {}
        if not bundles:
            return
        if is_new:
            self._register(name)
        numbers = self._versions(name)
        for digest, bundle in bundles.items():
            if digest not in numbers and (number := self._create(bundle)):
                numbers[digest] = number
        aliases = self._aliases(name)
        for alias, bundle in ((CHAMPION, champion), (CHALLENGER, challenger)):
            self._set_alias(name, alias, aliases.get(alias, ""), numbers.get(bundle.digest, "") if bundle else "")

    def _challenger(self, name: str) -> Bundle | None:
        """The challenger of the experiment that the settings name, where it is one of this model."""
        test = self.settings.ab_test
        if test is None or test.challenger.partition("@")[0] != name:
            return None
        try:
            return lookup.read(self.workspace, test.challenger)
        except UsageError as error:
            self.say(f"challenger {test.challenger}: {error}")
            return None

    def _models(self) -> Iterator[Json]:
        wanted = f"tags.`{OWNER}` = '{self._section.experiment}'"
        yield from self._pages("registered-models/search", "registered_models", wanted)

    def _pages(self, path: str, name: str, wanted: str) -> Iterator[Json]:
        return self._server.pages(self._server.get, path, name, filter=wanted, max_results=str(MOST_VALUES))

    def _register(self, name: str) -> None:
        """Make a registered model. Raises Refused where there is one that is somebody else's."""
        try:
            found = self._server.get("registered-models/get", name=name)["registered_model"]
        except Refused as error:
            if error.code != NOT_THERE:
                raise
        else:
            owner = _tags(found).get(OWNER, "no experiment of samebook")
            raise Refused(
                f"the model {name} in MLflow is another one: it belongs to {owner}, not to {self._section.experiment}",
                mend="make settings",
            )
        tags = record.as_list({OWNER: self._section.experiment})
        self._server.post("registered-models/create", name=name, tags=tags)
        self.changes += 1

    def _versions(self, name: str) -> dict[str, str]:
        """The number of each version, by the digest of its bundle."""
        found = self._pages("model-versions/search", "model_versions", f"name = '{name}'")
        return {digest: str(item["version"]) for item in found if (digest := _tags(item).get(BUNDLE))}

    def _create(self, bundle: Bundle) -> str:
        """Register a bundle as the next version; its number, "" where its receipt is not here."""
        try:
            path = lookup.stored_receipt(
                self.workspace, bundle.receipt.run, bundle.receipt.sha256, f"model {bundle.name}"
            )
            run = self.send(RunFiles.read(self.workspace, path))
        except SamebookError as error:
            if isinstance(error, Refused) and error.code not in OF_ONE_RUN:
                raise
            self.say(f"no version for {bundle.name} of {bundle.receipt.run} yet: {error}")
            return ""
        promoted = bundle.promoted
        tags = {
            BUNDLE: bundle.digest,
            "samebook.receipt": bundle.receipt.sha256,
            "samebook.env": promoted.env,
            "samebook.promoted": promoted.at,
            "samebook.reproductions": " ".join(item.verdict for item in bundle.reproductions),
        }
        made = self._server.post(
            "model-versions/create",
            name=bundle.name,
            source=f"{run.artifacts}/outputs",
            run_id=run.id,
            description=promoted.why,
            tags=record.as_list({name: value[: record.LONGEST_TAG] for name, value in tags.items() if value}),
        )
        self.changes += 1
        return str(made["model_version"]["version"])

    def _aliases(self, name: str) -> dict[str, str]:
        """The version of each alias."""
        model = self._server.get("registered-models/get", name=name)["registered_model"]
        return {item["alias"]: str(item["version"]) for item in model.get("aliases", ())}

    def _set_alias(self, name: str, alias: str, old: str, new: str) -> None:
        """Let an alias name a version; none where there is none."""
        if old == new:
            return
        if new:
            self._server.post("registered-models/alias", name=name, alias=alias, version=new)
        else:
            self._server.delete("registered-models/alias", name=name, alias=alias)
        self.changes += 1


def _tags(item: Json) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in item.get("tags", ())}
