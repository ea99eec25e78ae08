"""`make audit`: the real pip-audit, and a database of advisories on loopback that answers as OSV's does."""

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any, override

import pytest
from tiny import CHECKOUT

from samebook.core.make import clean_environment
from samebook.environment import packages

pytestmark = pytest.mark.host

LOCK = (CHECKOUT / "environments" / "lab.txt").read_text()


def advisory(name: str, package: str, fixed: str) -> dict[str, Any]:
    """An advisory of OSV's, for all versions before the one that mends it. https://ossf.github.io/osv-schema/"""
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    affected = {"package": {"name": package, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": name, "aliases": ["CVE-2026-1"], "summary": "It opens.", "affected": [affected]}


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database with these advisories by package, which has heard no more than names and versions."""
    asked: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(question)
            content = json.dumps({"vulns": request.param.get(question["package"]["name"], [])}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @override
        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        server.shutdown()
    assert len(asked) > 100
    assert all(question.keys() <= {"package", "version", "page_token"} for question in asked)


def audit(url: str) -> subprocess.CompletedProcess[str]:
    command = ("make", "--silent", "audit", f"URL={url}", "ENGINE=local")
    return subprocess.run(command, cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "database",
    [{"click": [advisory("GHSA-a", "click", "99.1")], "jinja2": [advisory("GHSA-b", "jinja2", "")]}],
    indirect=True,
)
def test_holes_are_named(database: str) -> None:
    """Each known hole is named with the command that mends it, and one that no version mends says so."""
    done = audit(database)
    assert done.returncode == 2, done.stderr
    assert 'CVE-2026-1, GHSA-a\n  -> make add PACKAGE="click>=99.1"\n' in done.stdout
    assert "no version of jinja2 mends all of that yet" in done.stdout
    assert "audit: 2 known holes in 2 of " in done.stdout


def test_no_database() -> None:
    """Where no database answers that is an error, and never the word that all is well."""
    done = audit("http://127.0.0.1:1/v1/query")
    assert done.returncode == 2
    assert "could not be held against the advisory database" in done.stderr
    assert "audit:" not in done.stdout


def test_newest_fix_counts() -> None:
    """Of several holes the newest version that mends one of them mends them all, by numbers and not by letters."""
    known = [{"id": f"GHSA-{fix}", "aliases": [], "fix_versions": [fix, "99"]} for fix in ("2.9.1", "2.10")]
    *lines, mend = packages.hole({"name": "a", "version": "2.0", "vulns": known})
    assert (len(lines), mend) == (2, '  -> make add PACKAGE="a>=2.10"')
