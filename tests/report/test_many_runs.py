"""The report among 10,000 runs in a real browser: its table, a page of it, and a filter."""

from pathlib import Path

import browser
import pytest
from benchmarks import scale_data
from benchmarks.places import Place
from tiny import wait_until

COUNT = 10_000


@pytest.mark.long
@pytest.mark.host
def test_ten_thousand_runs(tmp_path: Path) -> None:
    """The table has all runs, the newest first, and is left page by page; a word finds one of them, which opens."""
    workspace = scale_data.runs(Place(tmp_path), COUNT)
    done = workspace.samebook("report")
    assert (done.code, done.stdout) == (0, "runs/.report/index.html\n"), done.stderr
    assert f"{COUNT:,} new or changed" in done.stderr
    with browser.started(tmp_path) as page:
        page.size(1240, 900)
        page.open(f"file://{workspace.root}/runs/.report/index.html")
        assert page.value("runs().length") == COUNT
        assert f"{COUNT:,} runs" in page.text()
        rows = "document.querySelectorAll('table.runs tbody tr').length"
        assert page.value(rows) == 100
        page.click("#q")
        page.type("0004d2")
        wait_until(lambda: page.value(rows) == 1)
        page.click("table.runs tbody th a")
        wait_until(lambda: page.text("h1") == "small")
        assert "small-0004d2" in page.text()
        assert "auc\t0.5" in page.text()
        assert page.problems == []
