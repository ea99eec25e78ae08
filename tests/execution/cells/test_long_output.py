"""Runs of notebooks that print or display more than there may be end well, and say what is left out."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from tiny import Tiny

pytestmark = pytest.mark.timeout(300)

# Linux counts the memory of the process that started another as its own: this one is small.
MEASURED = """
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:], stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(ended.returncode)
"""
# Bytes. A run of a notebook that does nothing needs 95 MB.
PEAK = 150 * 10**6
SECRET = "hunter2-hunter2-hunter2"
LINES = "import sys\nfor number in range(300_000): sys.{}.write(f'{{number:>9}}\\n')"
# Forks processes that print lines of their own, and waits for them.
FORKED = """
import os
children = []
for child in range({children}):
    if not (pid := os.fork()):
        for number in range({lines}): print(f'{{child}} {{number:0{width}}}\\n', end='', flush=True)
        os._exit(0)
    children.append(pid)
{meanwhile}
for pid in children: os.waitpid(pid, 0)
"""
DISPLAYING = """
from IPython.display import HTML, display
display(HTML("0"), display_id="bar")
for number in range(100): display(HTML(str(number) * 300_000), display_id="bar", update=True)
"""
SENTENCE = "2,000,000 bytes more of {} are left out: output_limit in environments/dev.yml is 1 (MB)"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return Tiny.create(tmp_path_factory.mktemp("long") / "tiny", "output_limit: 1\n")


def canonical(run: Path) -> list[dict[str, dict[str, str]]]:
    return json.loads((run / "notebook.canonical.json").read_text())


def cells(run: Path) -> list[nbformat.NotebookNode]:
    return nbformat.read(run / "notebook.ipynb", as_version=4).cells


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def run_alone(tiny: Tiny, *arguments: str) -> tuple[int, str, int]:
    """The exit code, the stderr and the peak of memory, in bytes, of a run whose processes are all its own."""
    command = (sys.executable, "-c", MEASURED, *tiny.command("run", *arguments))
    done = subprocess.run(command, cwd=tiny.root, env=tiny.environ(), capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, int(done.stdout)


def test_rest_is_left_out(tiny: Tiny) -> None:
    """A cell that prints and displays too much ends well; notebook, receipt, page and terminal say what is left out."""
    tiny.notebook(
        "long",
        out=LINES.format("stdout"),
        err=LINES.format("stderr"),
        whole="print(''.join(f'{number:>9}\\n' for number in range(300_000)), end='')",
        flushed="for number in range(3_000): print('x' * 999, flush=True)",
        shown="from IPython.display import HTML, display\nfor _ in range(30): display(HTML('x' * 100_000))",
        last="print('went on')",
    )
    done = tiny.samebook("run", "long")
    assert done.code == 0, done.stderr
    assert f"cell `out` (1 of 6): {SENTENCE.format('stdout')}" in done.stderr
    out, _, whole, _, shown, last = canonical(tiny.last)
    assert out["printed"] == whole["printed"]
    for cell, name in zip(cells(tiny.last), ("stdout", "stderr", "stdout", "stdout"), strict=False):
        assert printed(cell).endswith(f"\n…\n{SENTENCE.format(name)}\n")
    assert [max(display.values())[:9] for display in shown["displayed"]] == ["x" * 9] * 9 + ["2,100,714"]
    assert last["printed"] == {"stdout": "went on\n"}
    definition = json.loads((tiny.last / "receipt.json").read_text())["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["leftOut"]["2 err"] == {"stderr": 2_000_000}
    assert len(definition["internalParameters"]["leftOut"]) == 5
    assert printed(cells(tiny.last)[0]).count("\n") == 100_002


def test_endless_print_ends(tiny: Tiny) -> None:
    """A cell that prints without end is ended by its time limit, and little is left of it."""
    tiny.notebook("endless", flood="while True: print('x' * 1_000_000)")
    done = tiny.samebook("run", "endless", "--timeout", "5")
    assert done.code == 1
    assert "cell `flood` ran over its time limit of 5 s" in done.stderr
    sizes = {path.name: path.stat().st_size for path in tiny.last.iterdir()}
    assert sizes["notebook.ipynb"] < 1_100_000
    assert sizes["run.log"] < 2_000_000
    assert "at least " in printed(cells(tiny.last)[0]).splitlines()[-1]


def test_endless_display_ends(tiny: Tiny) -> None:
    """A cell that displays without end is ended by its time limit; neither the kernel nor the runner holds it all."""
    tiny.notebook(
        "shown", flood="from IPython.display import HTML, display\nwhile True: display(HTML('x' * 1_000_000))"
    )
    code, stderr, peak = run_alone(tiny, "shown", "--timeout", "10")
    assert code == 1
    assert "cell `flood` ran over its time limit of 10 s" in stderr
    assert peak < PEAK
    (notice,) = cells(tiny.last)[0].outputs
    assert notice.data["text/plain"].startswith("at least 1,000,034 bytes more of displays are left out")


def test_frames_without_end_stay_small(tiny: Tiny) -> None:
    """A picture that is cleared and shown again without end has room, and waits for its reader."""
    tiny.notebook(
        "frames",
        flood="from IPython.display import HTML, clear_output, display\n"
        "while True: display(HTML('x' * 900_000)), clear_output()",
    )
    code, _, peak = run_alone(tiny, "frames", "--timeout", "10")
    assert code == 1
    assert peak < PEAK
    assert len(cells(tiny.last)[0].outputs) <= 1


def test_no_display_is_lost(tiny: Tiny) -> None:
    """Displays that a kernel sends faster than they are read all arrive, in their order."""
    tiny.notebook(
        "fast", many="from IPython.display import Pretty, display\nfor i in range(5_000): display(Pretty(str(i)))"
    )
    done = tiny.samebook("run", "fast")
    assert done.code == 0, done.stderr
    assert [output.data["text/plain"] for output in cells(tiny.last)[0].outputs] == [*map(str, range(5_000))]


@pytest.mark.parametrize(("children", "lines", "meanwhile"), [(1, 600, ""), (4, 200, ""), (2, 1_200, DISPLAYING)])
def test_no_line_of_a_child_is_lost(tmp_path: Path, children: int, lines: int, meanwhile: str) -> None:
    """What forked processes print all arrives, in the order of each, also where the cell displays much meanwhile."""
    tiny = Tiny.create(tmp_path / "tiny")
    tiny.notebook(
        "forked", work=FORKED.format(children=children, lines=lines, width=1, meanwhile=meanwhile), last="print('end')"
    )
    done = tiny.samebook("run", "forked")
    assert done.code == 0, done.stderr
    outputs = [output for output in cells(tiny.last)[0].outputs if output.get("name") == "stdout"]
    found = [line.split() for line in "".join(output.text for output in outputs).splitlines()]
    for child in range(children):
        assert [int(number) for name, number in found if name == str(child)] == [*range(lines)]
    assert canonical(tiny.last)[1]["printed"] == {"stdout": "end\n"}


def test_strange_message_stops_no_output(tiny: Tiny) -> None:
    """What another program sends to the port of forked processes is passed over, and nothing is said of it."""
    send = """
import zmq
thread = get_ipython().kernel.iopub_thread
for frames in ([b"x"], [b"x", b"last"], [b"x", b"y", b"0", b"z"]):
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(f"tcp://127.0.0.1:{thread._pipe_port}")
        socket.send_multipart(frames)
"""
    tiny.notebook("foreign", work=send + FORKED.format(children=1, lines=20, width=1, meanwhile=""))
    done = tiny.samebook("run", "foreign", "--verbose")
    assert done.code == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert canonical(tiny.last)[0]["printed"]["stdout"] == "".join(f"0 {number}\n" for number in range(20))


def test_children_share_the_limit(tiny: Tiny) -> None:
    """What forked processes print counts as the cell's own, and all that is left out of it is told."""
    tiny.notebook("shared", work=FORKED.format(children=3, lines=300, width=9_997, meanwhile="print('x' * 1_999)"))
    done = tiny.samebook("run", "shared")
    assert done.code == 0, done.stderr
    assert "8,002,000 bytes more of stdout are left out" in printed(cells(tiny.last)[0]).splitlines()[-1]


def test_any_display_is_measured(tiny: Tiny) -> None:
    """A display counts as Jupyter sends it: a picture's bytes, dates and numbers of NumPy; another fails as ever."""
    tiny.notebook(
        "shown",
        shown="import datetime\nimport numpy as np\nfrom IPython.display import display\n"
        "day = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)\n"
        "display({'image/png': bytes(range(256))}, raw=True)\n"
        "display({'application/json': {'day': day, 'number': np.float64(1), 'all': {2}}}, raw=True)",
        picture="display({'image/png': bytes(740_000)}, raw=True)\ndisplay({'image/png': bytes(740_000)}, raw=True)",
    )
    done = tiny.samebook("run", "shown")
    assert done.code == 0, done.stderr
    (picture, values), (first, notice) = (cell.outputs for cell in cells(tiny.last))
    assert base64.b64decode(picture.data["image/png"]) == bytes(range(256))
    assert values.data["application/json"] == {"day": "2020-01-01T00:00:00Z", "number": 1.0, "all": [2]}
    assert base64.b64decode(first.data["image/png"]) == bytes(740_000)
    assert notice.data["text/plain"].startswith("986,")


def test_long_print_is_kept_once(tmp_path: Path) -> None:
    """What a cell prints is on disk once, in run and store together, and in memory a few times."""
    tiny = Tiny.create(tmp_path / "tiny")
    tiny.notebook("much", out="for i in range(400): print((f'{i:05}' + 'x' * 94 + '\\n') * 1_000, end='')")
    code, stderr, peak = run_alone(tiny, "much")
    assert code == 0, stderr
    states = [path.stat() for folder in (tiny.last, tiny.root / "store") for path in folder.rglob("*")]
    assert 40_000_000 < sum({state.st_ino: 512 * state.st_blocks for state in states}.values()) < 46_000_000
    assert peak < 300_000_000


def test_kernel_that_dies_leaves_what_came(tiny: Tiny) -> None:
    """A kernel that is killed amid a flood ends the run in words, and the notebook has the beginning of it."""
    tiny.notebook(
        "killed",
        flood="import os, time\nprint(('x' * 99 + '\\n') * 200_000)\ntime.sleep(5)\nos.kill(os.getpid(), 9)",
    )
    done = tiny.samebook("run", "killed")
    assert done.code == 138
    assert "the kernel died in cell `flood`" in done.stderr
    assert len(printed(cells(tiny.last)[0])) > 900_000


def test_cut_secret_is_not_shown(tiny: Tiny) -> None:
    """Of a secret that lies across the limit no beginning is left anywhere."""
    tiny.notebook("secret", cut="import os\nprint('x' * 999_985 + ' ' + os.environ['KEY'] * 1000)")
    done = tiny.samebook("run", "secret", "-e", "KEY", KEY=SECRET)
    assert done.code in (0, 2), done.stderr
    for path in tiny.last.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


def test_bars_and_binary_are_printed(tiny: Tiny) -> None:
    """A progress bar without end of line, and characters of all kinds, are kept as far as there is room."""
    tiny.notebook(
        "odd",
        bar="import sys\nfor number in range(30_000): sys.stdout.write(f'\\r{number / 300:.0f} % of it')\nprint()",
        every="import sys\nsys.stdout.write(''.join(map(chr, range(256))) * 3_000)",
    )
    done = tiny.samebook("run", "odd")
    assert done.code == 0, done.stderr
    assert canonical(tiny.last)[0]["printed"] == {"stdout": "100 % of it\n"}
    assert "152,000 bytes more of stdout" in printed(cells(tiny.last)[1])
