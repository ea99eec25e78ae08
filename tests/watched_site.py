"""A site that takes in a file a day: a workspace with a watcher on its inbox, and a warehouse to publish into."""

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from postgresql import PostgreSQL
from tiny import PATIENCE, Tiny, wait_until

FIRST = date(2013, 1, 1)
PARAMETERS = "from datetime import date\nday: date = date(2013, 1, 1)"
INTAKE = """
from pathlib import Path
import pandas as pd
import samebook
try:
    frame = pd.read_parquet(samebook.find_artifact(source, Path(source).name))
except ValueError as error:
    raise samebook.DataRejected(str(error)) from None
samebook.write_partition("rows", day, frame)
"""
SCORE = """
import samebook
samebook.write_partition("scores", day, samebook.read_dataset("rows", day, day) * 2)
samebook.log_metric("rows", 1)
"""
YAML = """
parameters: {day: today, source: null}
steps:
  intake: {parameters: {day: $day, source: $source}}
  score: {needs: [intake], parameters: {day: $day}}
"""
SETTINGS = "watch: {settle: 0.2, inbox: {rows: daily}}\n"
INTO = "datasets: {{scores: {{into: scores}}}}\nwarehouse: {{url: '{url}', password: {password}}}\n"


@dataclass
class Site:
    """A workspace with a watcher, and the warehouse that it publishes into, if any; `days` have arrived."""

    tiny: Tiny
    server: PostgreSQL | None = None
    database: str = ""
    prefix: tuple[str, ...] = ()
    days: list[date] = field(default_factory=list)
    watcher: subprocess.Popen[str] | None = None

    @classmethod
    def create(cls, root: Path, server: PostgreSQL | None = None, database: str = "") -> "Site":
        into = INTO.format(**server.warehouse(database).model_dump()) if server else ""
        tiny = Tiny.create(root, SETTINGS + into)
        tiny.notebook("intake", parameters=f"{PARAMETERS}\nsource: str = ''", work=INTAKE)
        tiny.notebook("score", parameters=PARAMETERS, work=SCORE)
        (root / "environments" / "pipelines").mkdir()
        (root / "environments" / "pipelines" / "daily.yml").write_text(YAML)
        (root / "data" / "inbox").mkdir(parents=True)
        return cls(tiny, server, database)

    def arrive(self) -> date:
        """Put the file of the next day into the inbox, by one rename; returns the day."""
        import pandas as pd

        day = FIRST + timedelta(days=len(self.days))
        path = self.tiny.root / "data" / "inbox" / f"rows-{day}.parquet"
        pd.DataFrame({"n": [len(self.days), 1]}).to_parquet(path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
        self.days.append(day)
        return day

    def watch(self) -> None:
        """Start the watcher unless it runs, as a supervisor would."""
        if self.watcher is None or self.watcher.poll() is not None:
            with (self.tiny.root / "watch.log").open("a") as log:
                command = [*self.prefix, *self.tiny.command("watch")]
                self.watcher = subprocess.Popen(
                    command, cwd=self.tiny.root, env=self.tiny.environ(), stderr=log, text=True, start_new_session=True
                )

    def stop(self, signum: int = signal.SIGTERM) -> None:
        """End the watcher and its parent `faketime`, which would not hand a signal on."""
        if self.watcher and self.watcher.poll() is None:
            os.killpg(self.watcher.pid, signum)
            self.watcher.wait(PATIENCE)
        wait_until(lambda: not self.processes("samebook", "watch"))
        self.watcher = None

    def is_published(self, day: date) -> bool:
        """Whether the day is scored, and its file has left the inbox."""
        inbox = self.tiny.root / "data" / "inbox" / f"rows-{day}.parquet"
        return not inbox.exists() and (self.partition(day) / "part-0.parquet").is_file()

    def partition(self, day: date) -> Path:
        return self.tiny.root / "data" / "scores" / f"day={day}"

    def processes(self, *words: str) -> list[int]:
        """The pids of the running programs of this site whose command has all these words."""
        pids: list[int] = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes().decode().split("\0")
                environ = (process / "environ").read_bytes()
                is_of_site = f"SAMEBOOK_WORKSPACE={self.tiny.root}\0".encode() in environ
                pids += [int(process.name)] if is_of_site and set(words) <= set(command) else []
        return pids
