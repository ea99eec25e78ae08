"""The report's pages in a real browser: clicks, filters, addresses, keyboard, and what axe finds."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import browser
import pandas as pd
import promoting
import pytest
import reported
from browser import Browser
from reported import HOSTILE
from tiny import Tiny, wait_until

from samebook.core.workspace import Workspace, write_whole
from samebook.execution import sweep_result
from samebook.execution.sweep_result import Outcome, Sweep
from samebook.models import lookup
from samebook.monitoring import acknowledged, said
from samebook.monitoring.report import Finding, Report
from samebook.records import summary

RUN = "20260101T0{hour}0000Z-fit-00000{hour}"
FIRST, SECOND = RUN.format(hour=1), RUN.format(hour=2)
INGEST, FAILED, DAMAGED = (f"20260102T000000Z-{name}-000001" for name in ("ingest", "broken", "damaged"))
STRANGE = f"20260103T000000Z-{HOSTILE.replace('/', '.')}-000001"
MONITOR = "202607{day:02}T000000Z-monitor-000001"
SWEEP = "20260101T090000Z-fit-1"
# What axe looks at, in both colours: WCAG 2.2, A and AA, and best practices.
AXE = """axe.run(document, {resultTypes: ['violations']}).then(result => result.violations.map(
  rule => rule.id + ' ' + rule.nodes.map(node => node.target + ': ' + node.failureSummary).join('; ')))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a repository with a model that was promoted, replaced and rolled back, and with made-up runs:
    trainings of a sweep that read another run's output, days of monitoring, an A/B test, a failed run, a damaged one,
    and one whose names are scripts.
    """
    tiny = promoting.create(tmp_path_factory.mktemp("pages") / "workspace", 2, 3)
    promoting.promote(tiny, 2)
    promoting.promote(tiny, 3)
    assert tiny.samebook("rollback", "delay", "--why", "it was worse").code == 0
    trained(tiny)
    watched(tiny)
    reported.failed(tiny, FAILED, f"{HOSTILE}\nthe second line")
    reported.run(tiny, DAMAGED, {"auc": 0.999})
    (tiny.root / "runs" / DAMAGED / "metrics.json").write_text('{"auc": 1}')
    outputs = {f"{HOSTILE.replace('/', '.')}.txt": b"a"}
    reported.run(tiny, STRANGE, {HOSTILE: 1}, parameters={HOSTILE: HOSTILE}, source=HOSTILE, outputs=outputs)
    done = tiny.samebook("report")
    assert (done.code, done.stdout) == (0, "runs/.report/index.html\n")
    assert f"{len(tiny.runs)} new or changed, 1 damaged" in done.stderr
    return tiny.root / "runs" / ".report"


def trained(tiny: Tiny) -> None:
    """Eight trainings of a sweep, and the run that made their input."""
    reported.run(tiny, INGEST, {"rows": 10}, outputs={"rows.csv": b"a\n1\n"})
    read = {"inputs": {"outputs/rows.csv": "a" * 64}, "makers": {INGEST: ["outputs/rows.csv"]}}
    sweep = Sweep("fit", "auc")
    for hour in range(1, 9):
        facts = {"parameters": {"depth": hour, "note": HOSTILE}, "source": f"x = {hour}\ny = 1", "shade": hour}
        packages = {"packages": {"numpy": "2.5.5 x", "click": f"8.{hour % 2} x"}}
        run = reported.run(tiny, RUN.format(hour=hour), {"auc": 0.5 + hour / 100}, **facts, **packages, **read)
        sweep.add(Outcome.of({"depth": str(hour)}, summary.summarize(run)))
    sweep.add(Outcome({"depth": HOSTILE}, error=f"no such depth: {HOSTILE}"))
    write_whole(tiny.root / "runs" / ".sweeps" / SWEEP / "sweep.csv", sweep_result.as_csv(sweep).encode())


def watched(tiny: Tiny) -> None:
    """Days of monitoring, of which the fourth alarms, which somebody acknowledges; one of an earlier samebook, which
    says no more than a verdict; and an A/B test of the model's two versions.
    """
    past = pd.DataFrame()
    for day, missing in enumerate((0.0, 0.2, 0.2, 0.5, 0.5), 1):
        findings = (
            Finding("data", "rows", "day", missing, 0.1, 0.3, f"{missing:.0%} fewer than on other days"),
            Finding("metric", "auc", "9 days", 0.7, None, None),
        )
        content = acknowledged.content(Workspace(tiny.root), "delay")
        first = Report("delay", f"2026-07-{day:02}", 9, findings)
        report = said.compared(first, past, acknowledged.parse(content, "delay"))
        past = pd.concat([past, report.frame()])
        run = reported.run(tiny, MONITOR.format(day=day), {"alarms": 0}, outputs={"drift.json": report.as_json()})
        if day == 4:
            done = tiny.samebook("ack", run.name, "rows", "--why", HOSTILE)
            assert done.code == 0, done.stderr
    reported.run(tiny, MONITOR.format(day=6), {}, outputs={"drift.json": {"findings": 3}})
    found = [finding.as_json() for finding in findings]
    earlier = {"model": "earlier", "day": "2026-07-09", "days": 9, "verdict": "alarm", "findings": found}
    reported.run(tiny, MONITOR.format(day=9), {}, outputs={"drift.json": earlier})
    versions = [bundle for _, bundle in lookup.versions(Workspace(tiny.root), "delay") if bundle]
    compared = {"champion": versions[0].digest, "challenger": versions[1].digest}
    gain = {"gain": 0.02, "low": 0.01, "high": 0.03, "reasons": [], "days": ["2026-07-01", "2026-07-09"]}
    verdict = {"experiment": "deeper", "verdict": "promote", "metric": "auc", "bundles": compared, **gain}
    reported.run(tiny, "20260801T000000Z-ab_test-000001", {}, outputs={"verdict.json": verdict})


@pytest.fixture(scope="module")
def page(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The report in a browser, opened from disk; at the end it has complained of nothing."""
    with browser.started(tmp_path_factory.mktemp("browser")) as page:
        page.size(1240, 900)
        page.open(f"file://{site}/index.html")
        yield page
        assert page.problems == []


def shown(page: Browser) -> list[str]:
    """The runs of the table, by their addresses."""
    return page.value("[...document.querySelectorAll('table.runs tbody th a')].map(a => decodeURIComponent(a.hash))")


def test_runs_are_found_by_words_and_numbers(page: Browser) -> None:
    """What is typed selects runs by words, metrics and parameters; the address holds it, and back undoes it."""
    page.go("#/runs")
    assert len(shown(page)) > 15
    page.click("#q")
    page.type("fit auc>0.55")
    wait_until(lambda: len(shown(page)) == 3)
    assert page.value("location.hash") == "#/runs?q=fit%20auc%3E0.55"
    page.go("#/runs?q=depth%3D2")
    assert shown(page) == [f"#/run/{SECOND}"]
    page.go("#/runs?status=damaged")
    assert shown(page) == [f"#/run/{DAMAGED}"]
    page.value("history.back()")
    wait_until(lambda: shown(page) == [f"#/run/{SECOND}"])
    page.go("#/runs?q=nothing-is-so")
    assert "No run is like this" in page.text()


def test_a_column_sorts(page: Browser) -> None:
    """A click on a column's title sorts by it, the highest first, and a second click turns that round."""
    page.go("#/runs?notebook=fit")
    column = "table.runs thead th:nth-last-child(2) button"
    assert page.text(column) == "auc"
    page.click(column)
    wait_until(lambda: shown(page)[0] == f"#/run/{RUN.format(hour=8)}")
    assert page.value("document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "descending"
    page.click(column)
    wait_until(lambda: shown(page)[0] == f"#/run/{FIRST}")


def test_chosen_runs_are_compared(page: Browser) -> None:
    """Two boxes and a link lead to both runs side by side: parameters, metrics, results, packages, plots, cells."""
    page.go("#/runs?notebook=fit&sort=started")
    for number in (1, 2):
        page.click(f"table.runs tbody tr:nth-child({number}) input")
    assert page.text(".tray").startswith("Compare 2 runs")
    page.click(".tray a")
    wait_until(lambda: page.text("h1") == "Compare 2 runs")
    assert page.value("location.hash") == f"#/compare?run={FIRST}&run={SECOND}"
    text = page.text()
    assert "depth\t1\t2" in text
    assert "0.51\t0.52 +0.01" in text
    assert "click\t8.1\t8.0" in text
    assert "numpy" not in text
    lines = page.value("[...document.querySelectorAll('.diff .plus, .diff .minus')].map(e => e.textContent.trim())")
    assert [line for line in lines if "x = " in line] == ["removed: - x = 1", "added: + x = 2"]
    wait_until(lambda: page.value("[...document.images].filter(i => i.naturalWidth === 1).length") == 2)
    page.go(f"#/compare?run={FIRST}&run={SECOND}&all=1")
    assert "numpy\t2.5.5\t2.5.5" in page.text()


def test_a_run_has_a_page(page: Browser) -> None:
    """An address leads to a run, with where its inputs are from; one that is gone says so."""
    page.open(page.value("location.href").partition("#")[0] + f"#/run/{FIRST}")
    text = page.text()
    assert "depth\t1" in text
    assert "the hash holds" in text
    assert f"outputs/rows.csv\taaaaaaaaaaaa\t{INGEST}" in text
    assert "By nobody yet" in text
    page.go("#/run/20200101T000000Z-old-000001")
    assert "is not in this report" in page.text()
    page.go("#/nowhere")
    assert "No such page" in page.text()


def test_damaged_and_failed_say_so(page: Browser) -> None:
    """A damaged run shows what is wrong and no metric, also in a comparison; a failed one its whole error."""
    page.go(f"#/run/{DAMAGED}")
    text = page.text()
    assert "damaged" in text
    assert "metrics.json: found sha256" in text
    assert "0.999" not in text
    page.go(f"#/run/{FAILED}")
    assert "the second line" in page.text()
    page.go(f"#/compare?run={FIRST}&run={DAMAGED}")
    assert "not what its receipt says" in page.text()
    assert "0.999" not in page.text()


def test_names_are_never_markup(page: Browser) -> None:
    """A script in a name, parameter, metric, result or cell is shown as it is, and never runs."""
    page.go("#/runs?q=owned")
    page.click("table.runs tbody th a[href*='20260103']")
    wait_until(lambda: HOSTILE in page.text("main .grid"))
    page.go(f"#/compare?run={FIRST}&run={quote(STRANGE)}&all=1")
    assert page.value("document.querySelectorAll('main script').length") == 0
    assert page.value("document.title") == "compare · samebook"
    assert page.text().count(HOSTILE) > 2


def test_lineage_is_a_graph(page: Browser) -> None:
    """The graph leads from a run to the run that made its input, and on to all that have read from it."""
    page.go(f"#/lineage/{FIRST}")
    assert page.value("document.querySelectorAll('.graph .box').length") == 3
    page.value("document.querySelector('.graph a').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    wait_until(lambda: "Lineage of ingest" in page.text("h1"))
    assert page.value("document.querySelectorAll('.graph .box').length") == 9


def test_a_model_has_a_history(page: Browser) -> None:
    """A model's promotions, its rollback, its gate, its metrics and the A/B test of its versions are on its page."""
    page.go("#/models/delay")
    text = page.text()
    entries = page.value("[...document.querySelectorAll('.timeline h3')].map(title => title.innerText.split(' 2')[0])")
    assert entries == ["Back again", "Promoted", "Promoted"]
    assert "deeper\tpromote" in text.replace("· ", "")
    assert "0.02, from 0.01 to 0.03" in text
    page.value("for (const each of document.querySelectorAll('details')) each.open = true")
    assert "metric of the gate" in page.text()
    assert "Nobody has reproduced it." in page.text()
    assert page.value("document.querySelectorAll('.charts svg circle').length") >= 3
    page.go("#/models/unknown")
    assert "is not promoted on this branch" in page.text()


def signs(page: Browser) -> list[list[str]]:
    """The signs of the strip of days, with their colours."""
    return page.value(
        "[...document.querySelectorAll('.strip a')].map(a => [a.querySelector('span').innerText, a.className])"
    )


def test_drift_goes_by_days(page: Browser) -> None:
    """Each day has the sign of what it said, and a click shows its line and findings; what is no report is left out."""
    page.go("#/drift")
    assert "5 days monitored: 1 alarm, 1 warn, 1 nothing new, 2 ok" in page.text()
    assert signs(page) == [["✓", "good"], ["!", "warn"], ["…", "plain"], ["‼", "bad"], ["✓", "good"]]
    assert "What was found on 2026-07-05" in page.text()
    page.click(".strip li:nth-child(2) a")
    wait_until(lambda: "What was found on 2026-07-02" in page.text())
    assert page.value("location.hash") == "#/drift/delay?day=2026-07-02"
    assert page.text(".verdict").startswith("delay 2026-07-02: warn: rows (20% fewer than on other days), since today")
    assert "rows\tdata\tday\t0.2\t0.1\t0.3\t! warn\tnew\t20% fewer" in page.text()
    assert page.text("#said") == page.text(".verdict")


def test_finding_has_a_state(page: Browser) -> None:
    """A finding is new, as before, worse or acknowledged, and since when; whoever has acknowledged it says why."""
    page.go("#/drift/delay?day=2026-07-03")
    assert "… nothing new by monitor; the worst that is not acknowledged: ! warn" in page.text().replace(
        MONITOR.format(day=3), "monitor"
    )
    assert "! warn\tas before, since 2026-07-02\t" in page.text()
    page.go("#/drift/delay?day=2026-07-04")
    assert "‼ alarm\tworse, or another, since 2026-07-02\nacknowledged since, by " in page.text()
    page.go("#/drift/delay?day=2026-07-05")
    assert "‼ alarm\tacknowledged, since 2026-07-02\nby " in page.text()
    assert f": {HOSTILE}\t50% fewer" in page.text()
    assert page.text(".verdict") == "delay 2026-07-05: ok; acknowledged: rows"


def test_day_is_chosen_by_keyboard(page: Browser) -> None:
    """Enter on a day shows it, and the focus stays there: Tab goes on to the next, whose name says its verdict."""
    page.go("#/drift/delay?day=2026-07-01")
    page.value("document.querySelector('.strip li:nth-child(3) a').focus()")
    for day, counted in ((3, "0 warnings, 0 alarms, 1 as before"), (4, "0 warnings, 1 alarm")):
        page.press("Enter", 13, "\r")
        wait_until(lambda day=day: f"What was found on 2026-07-0{day}" in page.text())
        focus = "document.activeElement.getAttribute('{}')"
        assert page.value(focus.format("aria-current")) == "true"
        assert page.value(focus.format("aria-label")).endswith(counted)
        page.press("Tab", 9)


def test_drift_of_an_earlier_samebook(page: Browser) -> None:
    """A day that does not tell what is new has the sign of its verdict, without a line and without states."""
    page.go("#/drift/earlier")
    assert "1 day monitored: 1 alarm" in page.text()
    assert signs(page) == [["‼", "bad"]]
    assert "rows\tdata\tday\t0.5\t0.1\t0.3\t‼ alarm\t50% fewer" in page.text()
    assert page.value("document.querySelector('.verdict, ul.legend')") is None


def test_a_sweep_has_lines_and_a_table(page: Browser) -> None:
    """Each set is a line of the parallel coordinates, which leads to its run, and a row; failed ones say why."""
    page.go("#/sweeps")
    assert page.value("document.querySelectorAll('.parallel .line').length") == 8
    assert f"no such depth: {HOSTILE}" in page.text()
    assert page.text("tbody tr") == "000008\t8\t0.58\t"
    assert (
        page.value("document.querySelector('.parallel a:has(.best)').getAttribute('href')")
        == f"#/run/{RUN.format(hour=8)}"
    )


def test_environments_differ(page: Browser) -> None:
    """The environments are listed with their runs, and two of them compared by packages."""
    page.go("#/environments")
    assert "environments: a digest" in page.text()
    rows = page.value(
        "[...document.querySelectorAll('tbody th a')].map(a => new URLSearchParams(a.hash.split('?')[1]).get('of'))"
    )
    page.go(f"#/environments?of={rows[-2]}&of={rows[-1]}")
    assert "click\t8." in page.text()


def test_keyboard_is_enough(page: Browser) -> None:
    """Tab reaches the skip link, then the pages; Enter follows, and the focus goes into the new page."""
    page.open(page.value("location.href").partition("#")[0])
    page.press("Tab", 9)
    assert page.value("document.activeElement.className") == "skip"
    for _ in range(3):
        page.press("Tab", 9)
    assert page.value("document.activeElement.textContent") == "Models"
    page.press("Enter", 13, "\r")
    wait_until(lambda: page.text("h1") == "delay")
    assert page.value("document.activeElement.id") == "main"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(page: Browser, dark: bool) -> None:
    """No page breaks a rule of axe, of contrast and roles among them, in either colours; none is wider than a phone."""
    page.size(390, 844, dark=dark)
    page.value((files("axe_core_python") / "axe.min.js").read_text())
    of_drift = ["#/drift", "#/drift/delay?day=2026-07-03", "#/drift/earlier"]
    of_runs = [f"#/run/{FIRST}", f"#/run/{DAMAGED}", f"#/compare?run={FIRST}&run={SECOND}", f"#/lineage/{FIRST}"]
    try:
        for address in ("#/runs", *of_runs, "#/models/delay", *of_drift, "#/sweeps", "#/environments"):
            page.go(address)
            assert page.value("document.documentElement.dataset.theme") == ("dark" if dark else "light")
            assert page.value(AXE) == [], address
            assert page.value("document.documentElement.scrollWidth") <= 390, address
    finally:
        page.size(1240, 900)
