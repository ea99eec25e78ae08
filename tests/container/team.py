"""A team with a forge: the services that its machines share, a clone for each person and job, and a production."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from containers import CHECKOUT
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from postgresql import PASSWORD, SECRET
from registry import Registry
from s3 import KEY, TEXT
from tiny import wait_until

from samebook.core.make import clean_environment
from samebook.data.postgresql_warehouse import PostgreSQL
from samebook.data.sql import Query
from samebook.environment.sections import Warehouse
from samebook.records import receipt

if TYPE_CHECKING:
    import pandas as pd

SECRETS = {SECRET: PASSWORD, "S3_KEY": KEY, "S3_TEXT": TEXT}
# Who may sign what: nobody reproduces what is their own.
OWNERS = {"ann": ["runs", "releases"], "ben": ["runs", "releases"], "ci": ["reproductions"]}
# The services are on this machine's loopback, and a container has another.
OF_THE_MACHINE = {"network_mode": "host"}


@dataclass(frozen=True)
class Team:
    """The forge, a bare repository, the team's keys, and the registry; all clones are beside the forge."""

    folder: Path
    registry: Registry

    @property
    def forge(self) -> Path:
        return self.folder / "forge.git"

    def machine(self, owner: str, name: str = "", branch: str = "main") -> "Machine":
        """A new clone: somebody's machine, or a runner on which nothing is but the commit."""
        machine = Machine(self, owner, self.folder / (name or owner))
        subprocess.run(["git", "clone", "--quiet", "--branch", branch, self.forge, machine.root], check=True)
        machine.git("config", "user.name", owner)
        machine.git("config", "user.email", f"{owner}@example.com")
        override = machine.root / "docker-compose.override.yml"
        override.write_text(yaml.safe_dump({"services": {"run": OF_THE_MACHINE}}))
        (machine.root / ".git" / "info" / "exclude").write_text(f"{override.name}\n")
        return machine

    def found(self, settings: dict[str, Any], dockerfile: str) -> None:
        """Make the forge of this checkout's commit, with these settings of prod, a Dockerfile, and the team's keys."""
        subprocess.run(["git", "clone", "--quiet", "--bare", str(CHECKOUT), str(self.forge)], check=True)
        subprocess.run(["git", "-C", self.forge, "update-ref", "refs/heads/main", "HEAD"], check=True)
        subprocess.run(["git", "-C", self.forge, "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
        founder = self.machine("ann", "founder")
        trusted = founder.root / "environments" / "trusted-keys"
        trusted.mkdir()
        for owner in OWNERS:
            key = Ed25519PrivateKey.generate()
            private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (self.folder / f"{owner}.pem").write_bytes(private)
            public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            (trusted / f"{owner}.pem").write_bytes(public)
        owners = {owner: {"keys": [owner], "signs": purposes} for owner, purposes in OWNERS.items()}
        (trusted / "owners.yml").write_text(yaml.safe_dump(owners))
        prod = founder.root / "environments" / "prod.yml"
        prod.write_text(yaml.safe_dump({**yaml.safe_load(prod.read_text()), **settings}))
        (founder.root / "Dockerfile").write_text(dockerfile)
        founder.git("add", "--all")
        founder.git("commit", "--quiet", "--message", "Our warehouse, store, keys and base")
        founder.git("push", "--quiet", "origin", "main")


@dataclass(frozen=True)
class Machine:
    """A clone whose commands work for the environment prod, with its owner's key and the team's secrets."""

    team: Team
    owner: str
    root: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(("git", *arguments), cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def make(self, *words: str, code: int = 0) -> str:
        """What `make WORDS` says for prod; samebook's exit code must be this one."""
        env = {name: text for name, text in clean_environment().items() if not name.startswith(("SAMEBOOK_", "BASE_"))}
        env |= {**SECRETS, "SECRETS": " ".join(SECRETS), "DOCKER_CONFIG": str(self.team.registry.config)}
        env |= {"SIGNING_KEY": str(self.team.folder / f"{self.owner}.pem")}
        env |= {"SAMEBOOK_BUILDER": f"urn:{self.root.name}", "SAMEBOOK_TAG": "-story"}
        command = ("make", *words, "ENGINE=docker")
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert f"Error {code}" in said if code else done.returncode == 0, f"{' '.join(command)}\n{said}"
        return said

    def pull(self) -> None:
        """Be at the forge's main, and know its other branches."""
        self.git("fetch", "--quiet")
        self.git("switch", "--quiet", "main")
        self.git("merge", "--quiet", "--ff-only", "origin/main")

    def merge(self, branch: str) -> None:
        """Merge a branch of the forge into its main, as the button there does."""
        self.pull()
        self.git("merge", "--quiet", "--no-ff", "--no-edit", f"origin/{branch}")
        self.git("push", "--quiet", "origin", "main")

    def published(self) -> str:
        """The image of prod at HEAD."""
        return yaml.safe_load(self.git("show", "HEAD:environments/prod.yml"))["published"]["runtime"]

    def bundle(self) -> dict[str, Any]:
        """The promoted model at HEAD."""
        return json.loads(self.git("show", "HEAD:models/delay.json"))


@dataclass(frozen=True)
class Scored:
    """A day in production: the runs of training that its rows in the warehouse name, with the number of rows, the image
    that its predictions were made in, and the report of its monitoring.
    """

    rows: dict[str, int]
    image: str
    report: dict[str, Any]
    monitor: Path


@dataclass(frozen=True)
class Production:
    """A machine that runs the deployment: its folders, and the clone whose models/ it reads."""

    machine: Machine
    folder: Path
    warehouse: Warehouse
    sql: Any  # of a database, by the superuser of the tests

    def compose(self, *words: str) -> str:
        """What `docker compose WORDS` prints in the folder of the deployment."""
        own = {"COMPOSE_PROJECT_NAME": self.folder.parent.name, "MODELS": str(self.machine.root / "models")}
        own |= {name.upper(): str(self.folder.parent / name) for name in ("runs", "store", "data")}
        own |= {"SAMEBOOK_USER": f"{os.geteuid()}:{os.getegid()}", "SAMEBOOK_BUILDER": "urn:production"}
        env = {**clean_environment(), "DOCKER_CONFIG": str(self.machine.team.registry.config), **own}
        command = ("docker", "compose", "--project-directory", str(self.folder), *words)
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def deploy(self, machine: Machine) -> str:
        """Bring what HEAD of a machine says into service; returns what `make deploy` says."""
        for name in ("runs", "store", "data/inbox"):
            (self.folder.parent / name).mkdir(parents=True, exist_ok=True)
        said = machine.make("deploy", "ENV=prod", "AS=compose", f"INTO={self.folder}")
        services = dict.fromkeys(("watch", "job"), OF_THE_MACHINE)
        (self.folder / "compose.override.yaml").write_text(yaml.safe_dump({"services": services}))
        (self.folder / "secrets").mkdir(exist_ok=True)
        for name, text in SECRETS.items():
            (self.folder / "secrets" / name).write_text(text)
        self.compose("up", "--detach")
        return said

    def container(self) -> str:
        """The id of the watcher's container."""
        return self.compose("ps", "--quiet", "watch").strip()

    def flights(self, day: str) -> "pd.DataFrame":
        """The real flights of a day, as they are known before it begins."""
        query = (CHECKOUT / "notebooks" / "queries" / "flights.sql").read_text()
        return PostgreSQL(self.warehouse).rows(Query("flights.sql", query, {"start": day, "end": day}))

    def arrive(self, day: str, rows: "pd.DataFrame") -> None:
        """Put a day's file into the inbox, whole."""
        part = self.folder.parent / "data" / "inbox" / f"flights-{day}.part"
        rows.to_csv(part, index=False)
        part.rename(part.with_suffix(".csv"))

    def scored(self, day: str) -> Scored:
        """The day, once the watcher has taken it in, scored it and looked at it."""
        data, runs = self.folder.parent / "data", self.folder.parent / "runs"
        try:
            wait_until(lambda: not (data / "inbox" / f"flights-{day}.csv").exists(), 900)
        except AssertionError:
            raise AssertionError(self.compose("logs", "watch")) from None
        rows = dict(self.sql(f"SELECT run, count(*) FROM scores WHERE day = '{day}' GROUP BY run"))
        predict, monitor = (self._newest(runs, name, day) for name in ("predict", "monitor"))
        image = receipt.dependency(receipt.read(predict / "receipt.json"), "image") or {}
        report = json.loads((monitor / "outputs" / "drift.json").read_text())
        return Scored(rows, image["uri"], report, monitor)

    def _newest(self, runs: Path, notebook: str, day: str) -> Path:
        """The folder of the only run of a notebook for a day."""
        found = [path for path in runs.glob(f"*-{notebook}-*/receipt.json") if f'"{day}"' in path.read_text()]
        by_day = [path for path in found if receipt.external_parameters(receipt.read(path))["parameters"]["day"] == day]
        assert len(by_day) == 1, (notebook, day, self.compose("logs", "watch"))
        return by_day[0].parent
