"""A real PostgreSQL server, Debian's package, in a folder of its own and on a port of its own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny import PATIENCE, wait_until

from samebook.environment.sections import Warehouse

# With characters that would break a URL.
PASSWORD = "p@ss/w: o%r&d"
SECRET = "WAREHOUSE_PASSWORD"
# PostgreSQL refuses to run as root.
USER = "postgres" if os.geteuid() == 0 else None


def programs() -> Path | None:
    """The folder of initdb and postgres; None where they are not installed."""
    newest = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
    initdb = newest or shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


@dataclass
class PostgreSQL:
    """A server whose superuser is `samebook`, with the password PASSWORD."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", user: str = "samebook") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def warehouse(self, database: str, *, user: str = "samebook", sample: str = "") -> Warehouse:
        """The settings for a database of this server."""
        return Warehouse(url=self.url(database, user), password=SECRET, sample=sample)

    def sql(self, text: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of a statement, run by the superuser."""
        from adbc_driver_postgresql import dbapi

        uri = f"host=127.0.0.1 port={self.port} user=samebook dbname={database} password='{PASSWORD}'"
        with dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
            cursor.execute(text)
            return cursor.fetchall()

    def database(self, name: str, template: str = "template1") -> str:
        """A new database, or a copy of another."""
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def start(self) -> None:
        options = ("-p", str(self.port), "-k", str(self.folder), "-F", "-c", "log_min_messages=fatal")
        self.process = subprocess.Popen([*_program("postgres"), "-D", self.folder / "data", *options], user=USER)
        wait_until(self._answers)

    def stop(self) -> None:
        """Stop the server at once; it ends all connections."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(PATIENCE)
            self.process = None

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, "PostgreSQL did not start"
        ready = [*_program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        return subprocess.run(ready, check=False).returncode == 0


@contextmanager
def running() -> Iterator[PostgreSQL]:
    """A new server, which the end of the block stops and deletes."""
    folder = Path(tempfile.mkdtemp(prefix="samebook-pg-"))  # short, for its socket, and not below root's own
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = PostgreSQL(folder, free.getsockname()[1])
    (folder / "password").write_text(PASSWORD)
    for path in (folder, folder / "password"):
        shutil.chown(path, USER or os.geteuid())
    try:
        options = ("--username=samebook", "--auth=scram-sha-256", f"--pwfile={folder}/password", "--no-sync")
        command = [*_program("initdb"), "--pgdata", folder / "data", "--locale=C.UTF-8", *options]
        subprocess.run(command, user=USER, stdout=subprocess.DEVNULL, check=True)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _program(name: str) -> list[str]:
    return [str((programs() or Path()) / name)]
