"""The review of a branch: what it says of models, notebooks, packages and settings, and what a branch can't hide."""

import json
import re
from pathlib import Path

import pytest
import reported
from forging import commit
from promoting import attest, clone, promote, run_of, stderr_of
from tiny import CHECKOUT, Tiny, git

from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.review import model_section, packages, rules, span
from samebook.review.cells import compare
from samebook.review.markdown import inert
from samebook.review.report import LONGEST
from samebook.verbs.review import review as verb

pytestmark = pytest.mark.host  # with git


HEADING = "# Approved"


def review(tiny: Tiny, range_: str = "main..retrain", *options: str) -> str:
    done = tiny.samebook("review", range_, *options)
    assert done.code == 0, done.stderr
    return done.stdout


def test_model(tiny: Tiny) -> None:
    """A promoted model is shown with the one before, its gate's metrics, its reproductions, and each policy's word."""
    shown = review(tiny)
    assert "| metrics | auc | 0.2 | 0.3 | +0.1 |" in shown
    assert "| candidate&#95;auc | 0.3 |" in shown
    assert "Nobody has reproduced it." in shown
    assert "| dev | would be let in |" in shown
    assert "| prod | model delay does not meet the policy of prod: nobody but its author" in shown
    assert "**The policy would refuse** delay in preprod, delay in prod." in shown
    assert "Rules that this changes" not in shown


@pytest.mark.fast
def test_intervals_of_a_gate() -> None:
    """A gain is shown with its interval, also where only its ends were recorded; one end is a metric like any other."""
    metrics = {
        "auc": 0.75,
        "gain": 0.01,
        "gain_low": -0.5,
        "gain_high": 0.5,
        "loss_low": 0.0,
        "loss_high": 1.0,
        "x_low": 2,
    }
    assert model_section.gate_rows(metrics) == [
        ("auc", "0.75", ""),
        ("gain", "0.01", "-0.5 to 0.5"),
        ("loss", "", "0 to 1"),
        ("x_low", "2", ""),
    ]


MONITOR = """
import json
import samebook
samebook.load_bundle("delay")
report = {"model": "delay", "day": day, "line": f"delay {day}: alarm: a|b"}
samebook.output_path("drift.json").write_text(json.dumps(report))
"""


def test_drift_of_the_champion(tiny: Tiny) -> None:
    """A changed model has the newest day's report of the version before: of no other version, and as its run left it.

    Without one, as in a clone, nothing is said.
    """
    assert "Monitoring" not in review(tiny)
    git(tiny, "switch", "--quiet", "main")
    tiny.notebook("monitor", parameters="day: str = '2013-01-02'", work=MONITOR)
    assert tiny.samebook("run", "monitor").code == 0
    run = tiny.last.name
    said = f"Monitoring of the model before, 2013-01-02 by {run}: delay 2013-01-02: alarm: a&#124;b"
    git(tiny, "switch", "--quiet", "retrain")
    assert said in review(tiny)
    champion = {"bundle delay": sha256(git_bytes(tiny, "main:models/delay.json"))}
    for second, (day, inputs) in enumerate(
        (
            ("2013-01-01", champion),
            ("2013-01-03", {"bundle delay": sha256(tiny.root / "models" / "delay.json")}),
            ("2013-01-04", champion),
        )
    ):
        report = {"model": "delay", "day": day, "line": "other"}
        name = f"20260101T00000{second}Z-monitor-000001"
        reported.run(tiny, name, outputs={"drift.json": report}, inputs=inputs)
    (tiny.root / "runs" / name / "outputs" / "drift.json").write_text(json.dumps(report | {"line": "changed"}))
    for second, text in enumerate(("[", "1", "{}", '{"model": 1}', '{"model": "delay", "day": "2014"}')):
        reported.run(tiny, f"20260101T00001{second}Z-monitor-000001", outputs={"drift.json": text.encode()})
    shown = review(tiny)
    assert said in shown
    assert shown.count("Monitoring of the model before") == 1


def git_bytes(tiny: Tiny, name: str) -> bytes:
    return f"{git(tiny, 'show', name)}\n".encode()


def test_reproduction_counts(tiny: Tiny) -> None:
    """A model that somebody else has reproduced would be let into production, and the review says by whom."""
    git(tiny, "switch", "--quiet", "main")
    git(tiny, "switch", "--quiet", "-c", "reproduced")
    attest(tiny, 3)
    assert tiny.samebook("promote", run_of(tiny, 3), "delay").code == 0
    shown = review(tiny, "main..reproduced")
    assert "| IDENTICAL | urn:other | local | linux/x86&#95;64 |" in shown
    assert "| prod | would be let in |" in shown


def test_branch_cannot_loosen_its_judge(tiny: Tiny) -> None:
    """Policy and keys are the base's: a branch that switches a condition off is refused, and the switch comes first."""
    (tiny.root / "environments" / "prod.yml").write_text("promotion: {reproduced: false}\n")
    (tiny.root / "environments" / "trusted-keys").mkdir()
    (tiny.root / "environments" / "trusted-keys" / "me.pem").write_text("my key")
    tiny.notebook("gate", parameters="candidate = 'train'", work="1")
    for name in ("GNUmakefile", "docker-compose.override.yml", ".env", ".gitmodules", "notebooks/helper.py"):
        (tiny.root / name).touch()
    for number in range(40):
        (tiny.root / f".a{number}").touch()
    commit(tiny)
    shown = review(tiny)
    assert "- notebooks/helper.py (added)" in shown
    assert "| prod | model delay does not meet the policy of prod: nobody but its author" in shown
    rules = shown[shown.index("## Rules that this changes") : shown.index("## Models")]
    assert "| environments/prod.yml | promotion.reproduced: true -&#62; false | which models are let in |" in rules
    assert "| environments/trusted-keys/me.pem | added | whose signatures count |" in rules
    assert "| notebooks/gate.ipynb | changed | whether a model is better |" in rules


@pytest.mark.parametrize(
    "path", ["scripts/churn/__init__.py", "scripts/churn/scores.py", "notebooks/lib/deep.py", "scripts/q.sql"]
)
def test_what_a_gate_uses_is_a_rule(tiny: Tiny, path: str) -> None:
    """A module or a query that the gate uses, through whatever others, judges models as the gate does."""
    files = {
        "scripts/churn/__init__.py": "from churn.scores import auc\n",
        "scripts/churn/scores.py": "import importlib\nauc = importlib.import_module('lib.deep')\n",
        "notebooks/lib/deep.py": "QUERY = 'q.sql'\n",
        "scripts/q.sql": "SELECT 1\n",
        "notebooks/other.py": "",
    }
    git(tiny, "switch", "--quiet", "main")
    for name, content in files.items():
        (tiny.root / name).parent.mkdir(exist_ok=True, parents=True)
        (tiny.root / name).write_text(content)
    gate = tiny.root / "notebooks" / "gate.ipynb"
    notebook = json.loads(gate.read_text())
    notebook["cells"][-1]["source"] = "from churn import auc\n"
    gate.write_text(json.dumps(notebook))
    commit(tiny)
    git(tiny, "switch", "--quiet", "-c", "loosened")
    for name in (path, "notebooks/other.py"):
        (tiny.root / name).write_text(f"{files[name]}\n-- or 1\n")
    commit(tiny)
    shown = review(tiny, "main..loosened")
    rules = shown[shown.index("## Rules that this changes") : shown.index("## Other files")]
    assert f"| {inert(path)} | changed | whether a model is better |" in rules
    assert "other.py" not in rules


RUNS = "what each command runs"


@pytest.mark.parametrize(
    ("path", "decides"),
    [
        ("scripts/package.mk", RUNS),
        ("tests/tests.mk", RUNS),
        ("docs/GNUmakefile", RUNS),
        ("tests/deep/conftest.py", "what tests run"),
        ("pytest.ini", "what tests run"),
        ("tests/pyproject.toml", "what tests run"),
        ("scripts/x.pth", "what each Python runs"),
        ("docs/CODEOWNERS", "whose approval the forge asks for"),
        (".github/CODEOWNERS", "what the forge runs"),
        ("notebooks/.gitattributes", "how git merges models"),
        ("models/delay.acknowledged.jsonl", "what monitoring is silent about"),
        ("environments/dev.yml", ""),
        ("notebooks/mk.py", ""),
    ],
)
def test_file_that_runs_unasked_is_a_rule(path: str, decides: str) -> None:
    """A file that make, pytest, Python or a forge takes by its name alone is a rule in whatever folder it is added."""
    assert rules._decides(path) == decides


def test_what_make_includes_is_a_rule() -> None:
    """Each file that a makefile of this repository includes, also one that is not there, is among the rules."""
    makefiles = [CHECKOUT / "Makefile", *CHECKOUT.glob("*/*.mk")]
    lines = re.findall(r"^-?s?include ((?:.*\\\n)*.*)", "\n".join(path.read_text() for path in makefiles), re.MULTILINE)
    names = " ".join(lines).replace("$(HERE)", "").replace("\\", "").split()
    assert {"environments/docker.mk", "scripts/package.mk", "tests/tests.mk"} <= {*names}
    assert [name for name in names if not rules._decides(name)] == []


@pytest.mark.parametrize("deep", ["x = " + "-" * 2000 + "1", "x = " + "not " * 20000 + "1", "x = a" + ".a" * 5000])
def test_expression_that_nobody_could_read(tiny: Tiny, deep: str) -> None:
    """A parameter whose expression is too deep for Python's own parser leaves the rest of the review as it is."""
    tiny.notebook("train", parameters=deep)
    commit(tiny)
    assert "| metrics | auc |" in review(tiny)


def test_code_that_is_gone(tiny: Tiny) -> None:
    """A model of code that the branch has put back is shown with the commit of that code, and its differences."""
    assert "made by other code" not in review(tiny)
    git(tiny, "switch", "--quiet", "retrain")
    path = tiny.root / "notebooks" / "train.ipynb"
    honest = path.read_text()
    notebook = json.loads(honest)
    notebook["cells"][-1]["source"] += "\n1"
    path.write_text(json.dumps(notebook))
    (tiny.root / "notebooks" / "cheat.py").touch()
    commit(tiny)
    cheat = git(tiny, "rev-parse", "HEAD")[:12]
    assert tiny.samebook("run", "train", "-p", "level=4").code == 0
    path.write_text(honest)
    (tiny.root / "notebooks" / "cheat.py").unlink()
    commit(tiny)
    promote(tiny, 4)
    shown = review(tiny)
    assert f"**It was made by other code than {git(tiny, 'rev-parse', 'HEAD')[:12]} has**, by {cheat}" in shown
    assert "| notebooks/cheat.py | removed |\n| notebooks/train.ipynb | changed |" in shown


def test_policy_under_another_name(tiny: Tiny) -> None:
    """A key with a dot in it is not the key of a section, and a value of another type is another value."""
    (tiny.root / "environments" / "prod.yml").write_text(
        "promotion: {reproduced: false}\n'promotion.reproduced': true\n"
    )
    commit(tiny)
    shown = review(tiny)
    assert "| environments/prod.yml | promotion.reproduced: true -&#62; false | which models are let in |" in shown
    (tiny.root / "environments" / "prod.yml").write_text("promotion: {reproduced: 'true'}\n")
    commit(tiny)
    assert 'promotion.reproduced: true -&#62; "true"' in review(tiny)


@pytest.mark.parametrize(
    "text",
    [
        *("a: &a {b: *a}", "[" * 3000, "a: 2013-02-30", f"a: {'9' * 5000}"),
        *("a: !!bool maybe", "a: !!int ''", "a: !!timestamp foo", "a: !!set [1]", "a: [{2013-01-01: b}]"),
    ],
)
def test_settings_of_anybody(tiny: Tiny, text: str) -> None:
    """A file of settings that can't be read, or never ends, is named, and the rest of the review is there."""
    (tiny.root / "environments" / "other.yml").write_text(text)
    commit(tiny)
    shown = review(tiny)
    assert "| other.yml | (unreadable) | none | " in shown
    assert "| metrics | auc |" in shown


def test_judge_of_the_branch(tiny: Tiny) -> None:
    """A gate that the branch had loosened, and put back, has not compared its model."""
    gate = (tiny.root / "notebooks" / "gate.ipynb").read_text()
    git(tiny, "switch", "--quiet", "main")
    git(tiny, "switch", "--quiet", "-c", "loosened")
    (tiny.root / "notebooks" / "gate.ipynb").write_text(gate.replace("value / 10, ", "0.9, "))
    commit(tiny)
    assert tiny.samebook("run", "train", "-p", "level=1").code == 0
    assert tiny.samebook("promote", tiny.last.name, "delay").code == 0
    (tiny.root / "notebooks" / "gate.ipynb").write_text(gate)
    commit(tiny)
    shown = review(tiny, "main..loosened")
    assert "## Rules" not in shown
    assert "doesn't count: it ran notebooks/gate.ipynb of commit" in shown


def test_bundle_of_anybody(tiny: Tiny) -> None:
    """A bundle that was written by hand, or is no bundle, is said to be so; the rest of the review is there."""
    path = tiny.root / "models" / "delay.json"
    forged = json.loads(path.read_text())
    forged["metrics"]["auc"] = 0.9
    path.write_text(json.dumps(forged))
    (tiny.root / "models" / "other.json").write_text("{")
    (tiny.root / "models" / "<b>.json").write_text("{}")
    tiny.notebook("train", work="2")
    commit(tiny)
    shown = review(tiny)
    assert "**delay**: " in shown
    assert "0.9" not in shown
    assert "**other**: " in shown
    assert "**&#60;b&#62;**: this can't be the name of a model" in shown
    assert "+2\n" in shown


def test_receipt_is_not_here(tiny: Tiny, tmp_path: Path) -> None:
    """In a clone without the store the policy can't be asked, and the review says what brings the statements."""
    git(tiny, "switch", "--quiet", "main")
    shown = review(clone(tiny, tmp_path / "clone"), "main..origin/retrain")
    assert "its receipt is not here, and the policy of prod is checked on it" in shown
    assert "make pull ENV=prod" in shown


def test_notebook_and_settings(tiny: Tiny) -> None:
    """Changed cells are shown without outputs, parameters and settings as values before and after."""
    path = tiny.notebook("train", parameters="level: int = 4\nnew = 'a'", work="print('more')")
    notebook = json.loads(path.read_text())
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "never shown"}]
    path.write_text(json.dumps(notebook))
    with (tiny.root / "environments" / "dev.yml").open("a") as file:
        file.write("threads: 1\n")
    commit(tiny)
    shown = review(tiny)
    assert "| level | int = 3 | int = 4 |" in shown
    assert "| new | none | 'a' |" in shown
    assert "+print('more')" in shown
    assert "never shown" not in shown
    assert "it is committed with outputs" in shown
    assert "| dev.yml | threads | none | 1 |" in shown
    assert "\n+level: int = 4" in tiny.samebook("diff", "main", "--notebook", "train", "--markdown").stdout
    assert "parameter level: int = 3 -> int = 4" in tiny.samebook("diff", "main", "--notebook", "train").stdout
    assert tiny.samebook("diff", "--notebook", "train").stdout == "it is committed with outputs\n"
    assert "there is no notebooks/nowhere.ipynb" in stderr_of(tiny.samebook("diff", "--notebook", "nowhere"), 2)


def test_cells_without_common_ids() -> None:
    """Cells are told apart by their ids; where a tool has made all of them anew, by their source."""
    sources = ("a = 1", "b = 2", "c = 3")
    old = [{"id": f"old{n}", "cell_type": "code", "metadata": {}, "source": s} for n, s in enumerate(sources)]
    for name in ("old", "new"):
        new = [{**cell, "id": f"{name}{number}"} for number, cell in enumerate(old)]
        new[1]["source"] = ["b = 2\n", "b"]
        changes = compare(*(json.dumps({"cells": cells}).encode() for cells in (old, new))).cells
        assert [(change.change, change.lines[-1]) for change in changes] == [("changed", "+b")]
        changes = compare(*(json.dumps({"cells": cells}).encode() for cells in (old, [new[2], old[0]]))).cells
        assert {change.change for change in changes} <= {"moved", "added", "removed"}
    lines = [{"cell_type": "code", "metadata": {}, "source": text} for text in ("# a\u2028b()", "# a\nb()", "# a\n")]
    before, *others = (json.dumps({"cells": [cell]}).encode() for cell in lines)
    assert [change.change for other in others for change in compare(before, other).cells] != []
    for metadata in ("null", '{"kernelspec": null}'):
        assert compare(b"{}", f'{{"metadata": {metadata}}}'.encode()).notes == ["it is no notebook now"]
    assert compare(b"[]", b"{").notes == ["it is no notebook before", "it is no notebook now"]


@pytest.mark.parametrize("content", ["project = 5", "dependency-groups = 3", "[project]\ndependencies = 5", "= ["])
def test_wishes_of_anybody(content: str) -> None:
    """A wish of another form than the lock is made from asks for nothing; the other keys of its file count."""
    assert packages._wished(content.encode()) == {}
    assert packages._wished(b"project = 5\n[dependency-groups]\nlab = ['Numpy>=2', 5]\ndev = 5\n") == {
        "numpy": "Numpy>=2"
    }


def test_packages(tiny: Tiny) -> None:
    """A moved package is shown with both versions, and whether somebody asked for it or it came along."""
    wish = tiny.root / "environments" / "pyproject.toml"
    lock = tiny.root / "environments" / "runtime.txt"
    git(tiny, "switch", "--quiet", "main")
    wish.write_text('[project]\nname = "x"\ndependencies = ["kept", "Gone>=1"]\n')
    lock.write_text("kept==1\ngone==1\nsame==1 \\\n    --hash=sha256:1\n")
    commit(tiny)
    git(tiny, "switch", "--quiet", "-c", "moved")
    wish.write_text('[project]\nname = "x"\ndependencies = ["kept", "sea_born[stats]>=0.13"]\n')
    lock.write_text("kept==2\nsea-born==0.13.2 \\\n    --hash=sha256:0\nbrought==1\n")
    (lock.parent / "lab.txt").write_text("# made by uv\n    hidden==6\nsame==1 \\\n    --hash=sha256:3\n")
    with lock.open("a") as file:
        file.write("same==1 \\\n    --hash=sha256:2\n--index-url https://elsewhere.example\n")
    commit(tiny)
    shown = review(tiny, "main..moved")
    assert "| sea-born | none | 0.13.2 | asked for: sea&#95;born&#91;stats&#93;&#62;=0.13 |" in shown
    assert "| brought | none | 1 | comes along |" in shown
    assert "| kept | 1 | 2 | comes along |" in shown
    assert "| same | 1 | 1 | the same version by other files: 1 lines of its entry are new |" in shown
    assert "| --index-url https://elsewhere.example | none | a line | comes along |" in shown
    assert "| hidden | none | 6 | comes along |" in shown
    assert "| same | none | 1 | comes along |" in shown
    assert "| gone | 1 | none | asked for no longer |" in shown


@pytest.mark.parametrize("text", ["```\n# Approved\n```", "<script>alert(1)</script>", "````\n@everybody #12"])
def test_text_of_the_branch_stays_text(tiny: Tiny, text: str) -> None:
    """A cell, a name or a setting of the branch ends no block of code, and makes no heading, tag or mention."""
    tiny.notebook("train", **{"work": text, "[x](y) <b>": "1"})
    (tiny.root / "a`b <i>.txt").touch()
    (tiny.root / "environments" / "dev.yml").write_text(f"threads: 1\nnotify: {{webhook: {json.dumps(text)}}}\n")
    commit(tiny)
    plain, is_code, fence = [], False, ""
    for line in review(tiny).splitlines():
        if line.startswith("```") and (not is_code or line == fence):
            fence, is_code = line.rstrip("dif"), not is_code
        elif not is_code:
            plain.append(line)
    assert not is_code
    shown = "\n".join(plain)
    assert "<script" not in shown
    assert "# Approved" not in shown
    assert "@everybody" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown


def test_plots(tiny: Tiny, tmp_path: Path) -> None:
    """With a folder, the review stands there with the plots that differ; what is no image by its bytes stays out."""
    git(tiny, "switch", "--quiet", "main")
    tiny.notebook("train", parameters="level: int = 3", work=PLOT)
    commit(tiny)
    for level, branch in ((4, "main"), (5, "plotted")):
        git(tiny, "switch", "--quiet", *(["-c"] if branch != "main" else []), branch)
        assert tiny.samebook("run", "train", "-p", f"level={level}").code == 0
        assert tiny.samebook("promote", tiny.last.name, "delay").code == 0
    shown = review(tiny, "main..plotted", "--into", str(tmp_path / "into"))
    assert {path.name for path in (tmp_path / "into").iterdir()} == {
        "review.md",
        "delay.2-before.png",
        "delay.2-after.png",
    }
    assert "![after](<delay.2-after.png>)" in (tmp_path / "into" / "review.md").read_text()
    assert "review.md" in shown


PLOT = """
import samebook
samebook.output_path("plot.png").write_bytes(b"\\x89PNG\\r\\n\\x1a\\n" + bytes([level]))
samebook.output_path("page.png").write_text(f"<script>{level}</script>")
samebook.output_path("model.txt").write_text(str(level))
samebook.log_metric("auc", level / 10)
"""


@pytest.mark.parametrize(
    ("range_", "message"),
    [
        ("main", "expected two branches, tags or commits with two dots between"),
        ("main...retrain", "expected two branches"),
        ("..retrain", "expected two branches"),
        ("nowhere..retrain", "no branch, tag or commit 'nowhere'"),
        ("main..nowhere", "no branch, tag or commit 'nowhere'"),
        ("--all..HEAD", "no branch, tag or commit '--all'"),
        ("orphan..retrain", "orphan and retrain have no commit in common"),
    ],
)
def test_range(site: Tiny, range_: str, message: str) -> None:
    """A range that git doesn't know, or whose ends have nothing in common, is refused in one sentence."""
    empty = git(site, "hash-object", "-t", "tree", "/dev/null")
    git(site, "branch", "--force", "orphan", git(site, "commit-tree", "-m", "other", empty))
    assert message in stderr_of(site.samebook("review", "--", range_), 2)


def test_base_has_gone_on(tiny: Tiny) -> None:
    """What the base has got since is no change of the branch; the review says that the branch lacks it."""
    git(tiny, "switch", "--quiet", "main")
    (tiny.root / "Makefile").write_text("new:\n")
    commit(tiny)
    shown = review(tiny)
    assert "Its base has gone on by 1 commit that this branch lacks." in shown
    assert "Makefile" not in shown
    assert review(tiny, "retrain..retrain").endswith("\nNothing.\n")


def test_cut_off_history(tiny: Tiny, tmp_path: Path) -> None:
    """A shallow clone has no common commit: the error says what brings it."""
    (tiny.root / "a.txt").touch()
    commit(tiny)
    git(tiny, "switch", "--quiet", "main")
    (tiny.root / "b.txt").touch()
    commit(tiny)
    git(tiny, "clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{tiny.root}", str(tmp_path / "shallow"))
    ended = Tiny(tmp_path / "shallow").samebook("review", "origin/main..origin/retrain")
    assert "-> git fetch --unshallow" in stderr_of(ended, 2)


def test_silenced_alarms(tiny: Tiny) -> None:
    """What a branch acknowledges for monitoring is shown with its value, who and why, however the lines are written."""
    path = tiny.root / "models" / "delay.acknowledged.jsonl"
    said = {"verdict": "alarm", "value": 1e9, "day": "2013-07-01"}
    record = {"kind": "data", "name": "rows", "span": "day", "who": "Ann", "why": "x" * 70_000, "said": said}
    path.write_text(f"{json.dumps(record)}\n| a | {HEADING}\n" + "".join(f"{n}\n" for n in range(60)))
    commit(tiny)
    shown = review(tiny)
    assert "| models/delay.acknowledged.jsonl | added | what monitoring is silent about |" in shown
    assert "| delay | added | data rows, day | alarm 1000000000.0 of 2013-07-01 | Ann | xxx" in shown
    assert "| and 12 more |" in shown
    assert HEADING not in shown
    assert "## Models" in shown
    path.unlink()
    commit(tiny)
    assert "data rows" not in review(tiny)


def test_length(tiny: Tiny) -> None:
    """A review is never longer than a forge takes, and says what it leaves out."""
    tiny.notebook("train", **{f"cell{number}": f"{number} 漢\n" * 50 for number in range(900)})
    commit(tiny)
    shown = verb(Workspace(tiny.root), "main..retrain").text
    assert len(shown.encode()) <= LONGEST + 100
    assert "more parts would make this too long for a comment" in shown


def test_folder_of_a_repository(tiny: Tiny) -> None:
    """Paths are those below the workspace, also where it is a folder of a repository."""
    (tiny.root / "notebooks" / "sub").mkdir()
    (tiny.root / "notebooks" / "sub" / "a.txt").touch()
    commit(tiny)
    assert span.parse(tiny.root / "notebooks", "main..retrain").paths == {"sub/a.txt": "A"}
