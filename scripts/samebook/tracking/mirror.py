"""Runs in MLflow: each is sent once, found again by its receipt's sha256, and completed where a call was cut off."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import batched

from samebook.core.file_lock import hold
from samebook.core.workspace import Workspace, make_folder
from samebook.records.receipt import Json
from samebook.tracking import record
from samebook.tracking.record import KEY, MIRRORED, Record
from samebook.tracking.server import ALREADY_THERE, NOT_THERE, PROXIED, Refused, Server

# What a call of MLflow takes of each kind at most, and what a page of a search may hold.
MOST_VALUES, MOST_METRICS, PAGE = 100, 1000, 1000
FOLDER = ".samebook/mlflow"


@dataclass(frozen=True)
class Mirrored:
    """A run as MLflow has it: its id there, the address of its files, its state, and whether somebody deleted it."""

    id: str
    artifacts: str
    state: str
    is_deleted: bool

    def needs_nothing(self, state: str) -> bool:
        """Whether it is as it should be, or somebody has deleted it: then it stays so."""
        return self.is_deleted or self.state == state

    @classmethod
    def of(cls, run: Json) -> "Mirrored":
        info, tags = run["info"], _tags(run)
        return cls(
            info["run_id"],
            info.get("artifact_uri", ""),
            tags.get(MIRRORED, ""),
            info.get("lifecycle_stage") == "deleted",
        )


class Mirror:
    """The experiments of a server that are this repository's, and the runs in them that are known already."""

    def __init__(self, workspace: Workspace, server: Server) -> None:
        self.server = server
        self.lock = make_folder(workspace.root / FOLDER) / "lock"
        (self.lock.parent / ".gitignore").write_text("*\n")  # the user's own may not name .samebook
        self._experiments: dict[str, str] = {}

    def send(self, run: Record, known: Mirrored | None = None) -> tuple[Mirrored, bool]:
        """Send what MLflow lacks of a run; the run as it is there, and whether anything was sent.

        A run that somebody has deleted there stays so.
        """
        with hold(self.lock):  # or two processes would each make a run for it
            there = known or self.find(run)
            if there and there.needs_nothing(run.state):
                return there, False
            there = there or self._create(run)
            self._log(run, there)
            self._send_files(run, there)
            self.server.post("runs/update", run_id=there.id, status=run.status, end_time=run.end)
            self.server.post("runs/set-tag", run_id=there.id, key=MIRRORED, value=run.state)
        return Mirrored(there.id, there.artifacts, run.state, is_deleted=False), True

    def find(self, run: Record) -> Mirrored | None:
        """The run of a receipt in MLflow; of several the first one there."""
        experiment = self.experiment(run.notebook)
        found = [Mirrored.of(item) for item in self._search([experiment], f"tags.`{KEY}` = '{run.key}'")]
        return found[0] if found else None

    def known(self) -> dict[str, Mirrored]:
        """All runs of this repository's experiments, by their keys."""
        name = self.server.section.experiment
        wanted = {"filter": f"name LIKE '{name}/%'", "view_type": "ALL", "max_results": PAGE}
        experiments = self.server.pages(self.server.post, "experiments/search", "experiments", **wanted)
        ids = [item["experiment_id"] for item in experiments]
        found: dict[str, Mirrored] = {}
        for few in batched(ids, MOST_VALUES):
            for run in self._search(list(few), f"tags.`{KEY}` LIKE '%'"):
                found.setdefault(_tags(run)[KEY], Mirrored.of(run))
        return found

    def experiment(self, notebook: str) -> str:
        """The id of a notebook's experiment, which is made where there is none. Raises Refused for a deleted one."""
        if notebook in self._experiments:
            return self._experiments[notebook]
        name = f"{self.server.section.experiment}/{notebook}"
        try:
            found = self.server.get("experiments/get-by-name", experiment_name=name)["experiment"]
        except Refused as error:
            if error.code != NOT_THERE:
                raise
            try:
                self.server.post("experiments/create", name=name)
            except Refused as race:  # another process, meanwhile
                if race.code != ALREADY_THERE:
                    raise
            found = self.server.get("experiments/get-by-name", experiment_name=name)["experiment"]
        if found.get("lifecycle_stage") == "deleted":
            number = found["experiment_id"]
            raise Refused(f"the experiment {name} is deleted in MLflow", mend=f"mlflow experiments restore -x {number}")
        return self._experiments.setdefault(notebook, found["experiment_id"])

    def _create(self, run: Record) -> Mirrored:
        tags = record.as_list({KEY: run.key, **run.tags})
        experiment = self.experiment(run.notebook)
        made = self.server.post(
            "runs/create", experiment_id=experiment, start_time=run.start, run_name=run.run, tags=tags
        )
        return Mirrored.of(made["run"])

    def _log(self, run: Record, there: Mirrored) -> None:
        """Log what is equal each time, so that a second call changes nothing."""
        tags = {**run.tags, "samebook.left_out": " ".join(sorted(run.left_out))[: record.LONGEST_TAG]}
        for few in batched(record.as_list(tags), MOST_VALUES):
            self.server.post("runs/log-batch", run_id=there.id, tags=[item for item in few if item["value"]])
        for few in batched(record.as_list(run.parameters), MOST_VALUES):
            self.server.post("runs/log-batch", run_id=there.id, params=list(few))
        metrics = [{"key": key, "value": value, "timestamp": run.end, "step": 0} for key, value in run.metrics.items()]
        for some in batched(metrics, MOST_METRICS):
            self.server.post("runs/log-batch", run_id=there.id, metrics=list(some))

    def _send_files(self, run: Record, there: Mirrored) -> None:
        """Send the files, where the server takes them itself: nothing else here has its keys."""
        if there.artifacts.startswith(f"{PROXIED}:"):
            for name, path in run.files.items():
                self.server.put_file(there.artifacts, name, path)

    def _search(self, experiments: list[str], wanted: str) -> Iterator[Json]:
        """The runs of experiments that a filter finds, the first that was there first."""
        if experiments:
            yield from self.server.pages(
                self.server.post,
                "runs/search",
                "runs",
                experiment_ids=experiments,
                filter=wanted,
                run_view_type="ALL",
                order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
                max_results=PAGE,
            )


def _tags(run: Json) -> dict[str, str]:
    tags: Iterable[Json] = run.get("data", {}).get("tags", ())
    return {item["key"]: item["value"] for item in tags}
