"""The pictures of the report in docs/: each page of a site, as a real browser shows it.

python tests/report_pictures.py runs/.report docs
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import browser
from PIL import Image

WIDTH, HEIGHT, COLOURS = 1240, 860, 128
# With the first findings of a day.
TALL = 1248
# The two newest finished runs that have plots, which are compared; the newest that read what two others made.
CHOSEN = """(async () => {
  const done = runs().filter(run => run.status === 'done');
  const details = await Promise.all(done.slice(0, 200).map(run => detailOf(run.id)));
  const plotted = details.filter(one => one.plots.length > 1);
  const pair = plotted.filter(one => one.notebook === plotted.at(-1).notebook).slice(-2).map(one => one.id);
  return [...pair, details.find(one => one.makers.length === 2).id];
})()"""

# The newest day of drift with an acknowledged finding, or the newest of all.
DAY = """(([name, days]) => {
  const day = days.findLast(one => one.counts.acknowledged) || days.at(-1);
  return address('drift', name, {day: day.day});
})(Object.entries(samebook.data.drift)[0])"""


def main(arguments: Sequence[str]) -> None:
    """Write report-<page>.png for each page of the site in one folder into another."""
    site, into = (Path(argument).resolve() for argument in arguments)
    with tempfile.TemporaryDirectory() as folder, browser.started(Path(folder)) as page:
        page.size(WIDTH, HEIGHT)
        page.open(f"file://{site}/index.html")
        new, old, user = page.value(CHOSEN)
        addresses = {
            "runs": "#/runs",
            "run": f"#/run/{new}",
            "compare": f"#/compare?run={old}&run={new}",
            "lineage": f"#/lineage/{user}",
            "models": "#/models",
            "drift": page.value(DAY),
            "sweeps": "#/sweeps",
            "environments": "#/environments",
        }
        for name, address in addresses.items():
            page.size(WIDTH, TALL if name == "drift" else HEIGHT, dark=name in ("compare", "sweeps"))
            page.go(address)
            time.sleep(1)  # pictures are decoded after they are loaded
            path = into / f"report-{name}.png"
            page.picture(path)
            with Image.open(path) as picture:
                picture.quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
