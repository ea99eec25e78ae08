"""`samebook compare`: two runs, or two files of results, as they are."""

import json
import shutil

from tiny import Tiny


def test_runs_and_files(tiny: Tiny) -> None:
    """Two runs are compared by hash and by what differs, however they are named; nothing is attested; a file is no
    run, and a run whose files are altered is none to compare.
    """
    tiny.notebook("sum", parameters="n: int = 3", work="import samebook\nsamebook.log_metric('sum', n + 1)")
    for count in (3, 3, 4):
        assert tiny.samebook("run", "sum", "-p", f"n={count}").code == 0
    first, second, third = sorted(tiny.runs, key=lambda path: path.stat().st_mtime_ns)
    same = tiny.samebook("compare", first.name, f"runs/{second.name}/")
    assert (same.code, same.stdout.splitlines()[-1].split(":")[0]) == (0, "IDENTICAL"), same
    other = tiny.samebook("compare", str(first / "receipt.json"), "sum", "--json")
    verdicts = {subject["name"]: subject["verdict"] for subject in json.loads(other.stdout)}
    assert verdicts["metrics.json"] == "DIFFERENT"
    metrics = [str(folder / "metrics.json") for folder in (first, third)]
    assert "became" in tiny.samebook("compare", *metrics).stdout
    mixed = tiny.samebook("compare", metrics[0], third.name)
    assert (mixed.code, "expected two files, or two runs" in mixed.stderr) == (2, True)
    assert tiny.samebook("compare", first.name, "nothing").code == 2
    assert not list(first.glob("reproduction-*"))
    shutil.copy(metrics[1], metrics[0])
    altered = tiny.samebook("compare", first.name, second.name)
    assert (altered.code, "metrics.json" in altered.stderr) == (3, True), altered
