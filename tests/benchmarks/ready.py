"""ready.py PORT FILE COMMAND…: write the seconds until the command answers on PORT to FILE, then stop it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 120


def answers(port: str) -> bool:
    """Whether the server gives Lab's login page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def main(port: str, file: str, *command: str) -> int:
    """Measure the command; exit code 0 if it answered."""
    Path(file).unlink(missing_ok=True)
    began = time.monotonic()
    server = subprocess.Popen(command, start_new_session=True)
    try:
        while time.monotonic() < began + PATIENCE and server.poll() is None:
            if answers(port):
                Path(file).write_text(json.dumps({"seconds": time.monotonic() - began}))
                return 0
            time.sleep(0.01)
        return 1
    finally:
        stop(server)


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the command and its children: only then is the machine free for the next command."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + 15
        try:
            os.killpg(server.pid, number)
            while time.monotonic() < end:
                server.poll()
                os.killpg(server.pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:  # the group has no process any more
            return


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
