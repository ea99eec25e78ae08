"""The watcher in the image: killed with its container at any moment, the next one goes on."""

import os
import random
import time
from pathlib import Path

import faults
from containers import NOBODY, Start, output
from docker.models.images import Image
from tiny import wait_until
from watched_site import PARAMETERS, Site

TIMES = 4


def test_killed_container_loses_nothing(runtime: Image, start: Start, tmp_path: Path) -> None:
    """After kills at random moments each day is published once, by one finished run, and nothing is left over."""
    site, chance = Site.create(tmp_path / "site"), random.Random(2013)
    for _ in range(TIMES):
        site.arrive()
        container = start(runtime, "watch", volumes=mounted(site))
        time.sleep(chance.uniform(1, 1 + faults.SPAN))
        container.kill()
        container.wait()
    output(start(runtime, "watch", "--once", volumes=mounted(site)))
    assert list(faults.lost(site)) == list(faults.duplicated(site)) == []
    assert list((site.tiny.root / "data" / "inbox").iterdir()) == site.tiny.unfinished == []


def test_stopped_container_ends_in_time(runtime: Image, start: Start, tmp_path: Path) -> None:
    """`docker stop` ends the watcher within ten seconds, in mid-step, and says that it was stopped."""
    site = Site.create(tmp_path / "site")
    site.tiny.notebook("score", parameters=PARAMETERS, work="import time\ntime.sleep(600)")
    site.arrive()
    container = start(runtime, "watch", volumes=mounted(site))
    wait_until(lambda: list(site.tiny.root.glob("runs/.partial/*-score-*/notebook.ipynb")))
    container.stop(timeout=10)  # then the engine kills it, which is another code
    assert container.wait()["StatusCode"] == 143


def mounted(site: Site) -> dict[str, dict[str, str]]:
    """The site's folders in the place of the image's; all of it belongs to whom the container runs as."""
    root = site.tiny.root
    for name in ("runs", "store"):
        (root / name).mkdir(exist_ok=True)
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    folders = ("notebooks", "environments", "runs", "store", "data")
    return {str(root / name): {"bind": f"/workspace/{name}", "mode": "rw"} for name in folders}
