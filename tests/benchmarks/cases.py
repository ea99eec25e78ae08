"""Every case, in the order of measurement: what is done, by whom, and what must come out. A new case is a line here."""

import os
from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks import preparation
from benchmarks.preparation import END, FIXTURE, LOGGING, LOOP, MANY, TESTBOOK, TESTS, TRAINING, TRIVIAL, printing
from benchmarks.racing import Case, Subject
from benchmarks.trials import FailedTrial

from samebook.environment import numerics

# The fastest flags of papermill's command line: it saves only at the end, shows no progress and logs nothing.
BEST = "--no-progress-bar --no-request-save-on-cell-execute --autosave-cell-every 0 --log-level ERROR"
SAMEBOOK = "{python} -m samebook"
CLOCKED = "{python} {checkout}/tests/benchmarks/clocked.py"
JOBS, RATES = 2, [round(0.05 * n, 2) for n in range(1, 11)]
ADD = """{python} -c "from pathlib import Path; from samebook.core import workspace; from samebook.store import objects
for path in Path('../model').iterdir(): objects.local_store(workspace.find()).put(path)"
"""
SWITCH = """sh -c 'git switch --quiet - && exec "$@"' sh"""
LAB, LOGIN = "jupyter lab --no-browser --allow-root --ip 127.0.0.1 --port {port}", "{port}/login"


def run(line: str, workspace: str = "workspace", count: int = 1, **more) -> Subject:
    """A command of samebook whose runs have all that a run leaves."""
    files = ("notebook.ipynb", "receipt.json", "notebook.html", "metrics.json")
    return Subject(
        line,
        folder=workspace,
        environ={"SAMEBOOK_WORKSPACE": f"{{root}}/{workspace}"},
        # The address of a warm kernel stands in runs/.warm.
        clears=(f"{workspace}/runs/[0-9]*", f"{workspace}/store"),
        leaves={f"{workspace}/runs/*/{file}": count for file in files},
        **more,
    )


def notebook(name: str, title: str, cells: Mapping[str, str], **commands: str) -> Case:
    """A notebook as a plain script, by papermill, by samebook cold and warm, and by more commands of ours."""
    write, source = partial(preparation.notebook, name, cells), f"{{root}}/workspace/notebooks/{name}.ipynb"
    subjects = {"script": Subject(f"python {{root}}/{name}.py", prepare=write, shows=END)}
    for peer, flags in {"papermill": "", "papermill-best": BEST}.items():
        line, target = f"papermill {flags} {source} {name}.ipynb", f"{peer}/{name}.ipynb"
        subjects[peer] = Subject(line, "papermill", prepare=write, clears=[target], leaves={target: 1})
    for ours, line in {"samebook": f"{SAMEBOOK} run {name}", **commands}.items():
        subjects[ours] = run(line, prepare=write)
    # A workspace of its own, or the cold subject would find the warm kernel.
    warm = {"prepare": partial(write, workspace="warm"), "beside": f"{SAMEBOOK} warm {name}", "check": was_warm}
    subjects["samebook-warm"] = run(f"{SAMEBOOK} run {name}", "warm", **warm)
    return Case(name, title, subjects)


def was_warm(root: Path, _: str) -> None:
    """Raise FailedTrial where the run's kernel was not a warm one, by its receipt."""
    if '"warm": "started"' not in next(root.glob("warm/runs/*/receipt.json")).read_text():
        raise FailedTrial("expected a warm kernel, the receipt has another")


def sets(seeds: int) -> list[str]:
    """A line for each set of a sweep: a notebook to write, and its parameters as papermill takes them."""
    pairs = product(range(seeds), RATES)
    return [f"{number}.ipynb -p seed {seed} -p rate {rate}\n" for number, (seed, rate) in enumerate(pairs)]


def sweep(seeds: int) -> Case:
    """Papermill in one process, its command line, as many at a time as ours, and ours."""
    source, count = "{root}/workspace/notebooks/training.ipynb", seeds * len(RATES)
    prepare = partial(preparation.training, {"loop.py": LOOP, "sets.txt": "".join(sets(seeds))})
    lines = {
        "papermill-loop": f"python ../loop.py {source} ../sets.txt",
        "papermill-xargs": f"xargs -a ../sets.txt -L 1 -P {JOBS} papermill {BEST} {source}",
    }
    subjects = {
        name: Subject(line, "papermill", prepare=prepare, clears=[f"{name}/*"], leaves={f"{name}/*.ipynb": count})
        for name, line in lines.items()
    }
    axes = f"seed={','.join(map(str, range(seeds)))} rate={','.join(map(str, RATES))}"
    line, write = f"{SAMEBOOK} sweep training --grid '{axes}' --jobs {JOBS}", partial(preparation.notebook, "training")
    subjects["samebook-sweep"] = run(line, "ours", count, prepare=partial(write, LOGGING, workspace="ours"))
    return Case("sweep", f"a sweep of {count} trainings over seeds and learning rates", subjects, tuple(lines))


def switched(repository: str, folder: str, root: Path, _: str) -> None:
    """Raise FailedTrial where a file of the model is not that of the branch."""
    level = (root / repository / ".git" / "HEAD").read_text().strip()[-1:]
    parts = [path.read_bytes()[:1] for path in (root / repository / folder).rglob("part-*.bin")]
    if parts != [level.encode()] * 10:
        raise FailedTrial(f"on branch level-{level} the model is not that branch's")


def scoring(rows: int) -> Case:
    """Ways to score rows, whose files must have the same bytes."""
    digests = set[str]()

    def same(_: Path, printed: str) -> None:
        digests.update(printed.splitlines()[-2:-1])
        if len(digests - {""}) > 1:
            raise FailedTrial("expected the same scores of each way, found others")

    shared = {"folder": "rows", "prepare": partial(preparation.rows, rows), "clears": ["rows/scores.parquet"]}
    ways = ("bare", "classifier", "dmatrix", "batched")
    subjects = {way: Subject(f"{CLOCKED} {way}", check=same, clock=True, **shared) for way in ways}
    return Case("scoring", f"{rows:,} rows of 20 numbers scored, ids and probabilities written", subjects, ("bare",))


def cost() -> Case:
    """Computations with portable numerics, the default, and with fast ones."""
    ends, ways = {"": "portable", "-fast": "fast"}, ("product", "LinearRegression", "LogisticRegression", "PCA")
    own = {end: {"SAMEBOOK_WORKSPACE": "{root}/clone", "SAMEBOOK_NUMERICS": name} for end, name in ends.items()}
    line, shared = f"{SAMEBOOK} run train", {"prepare": preparation.example}
    subjects = {f"training{end}": Subject(line, environ=environ, **shared) for end, environ in own.items()}
    for way, (end, name) in product((*ways, "KMeans", "RandomForest"), ends.items()):
        subjects[way + end] = Subject(f"{CLOCKED} {way}", environ=numerics.of(name).variables(), clock=True)
    return Case("numerics", "portable numerics and fast ones: the example's training, and more", subjects, ["-fast"])


def firsts(engine: str) -> dict[str, Subject]:
    """The example's first run in a new clone, its next one, and its reproduction.

    Nothing of samebook's own caches is there; what uv and Docker have of the packages stays as it is.
    """
    clone, cache, line = f"clone-{engine}", f"cache-{engine}", f"make --silent run NOTEBOOK=train ENGINE={engine}"
    environ = {"UV_CACHE_DIR": f"{Path.home()}/.cache/uv", "SAMEBOOK_TAG": "-bench"}
    environ |= {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_"))}
    shared = {"folder": clone, "environ": environ | {"XDG_CACHE_HOME": f"{{root}}/{cache}"}}
    if engine == "docker":
        shared["prepare"] = partial(preparation.without_image, "samebook:runtime-bench")
    new = {"clears": (clone, cache), "before": partial(preparation.clone, clone)}
    again = f"make --silent reproduce RUN=train ENGINE={engine}"
    return {
        f"first-{engine}": Subject(line, shows="runs/", **new, **shared),
        f"next-{engine}": Subject(line, shows="runs/", **shared),
        f"reproduce-{engine}": Subject(again, shows="IDENTICAL: ", **shared),
    }


def tests(folder: str, head: str, **more) -> Subject:
    """Four modules of three tests."""
    files = {f"{folder}/pytest.ini": "[pytest]\n"} | {f"{folder}/test_{n}.py": head + TESTS for n in range(4)}
    prepare = partial(preparation.training, files)
    return Subject("python -m pytest -q -p no:cacheprovider .", prepare=prepare, shows="12 passed", **more)


DVC = {"peer": "dvc", "folder": "dvc", "prepare": preparation.dvc}
OURS = {"folder": "workspace", "environ": {"SAMEBOOK_WORKSPACE": "{root}/workspace"}, "prepare": preparation.models}
ADDING = {
    "dvc": Subject(
        "dvc add --quiet model",
        clears=("dvc/.dvc/cache", "dvc/.dvc/tmp", "dvc/model", "dvc/model.dvc", "home"),
        before=lambda place: preparation.fill(place.root / "dvc" / "model", 1),
        leaves={"dvc/.dvc/cache/files/md5/??/*[!r]": 10},
        **DVC,
    ),
    "samebook": Subject(ADD, clears=["workspace/store"], leaves={"workspace/store/??/??/*": 10}, **OURS),
}
IN_MODELS = partial(switched, "workspace", "models/.files/delay")
SWITCHING = {
    "dvc": Subject(f"{SWITCH} dvc checkout --quiet", check=partial(switched, "dvc", "model"), **DVC),
    "samebook": Subject(f"{SWITCH} {SAMEBOOK} models", check=IN_MODELS, **OURS),
}
TESTERS = {
    "testbook": tests("testbook", TESTBOOK, peer="testbook"),
    "samebook": tests("samebook", FIXTURE, environ=OURS["environ"]),
}
LABS = {
    "jupyter-lab": Subject(LAB, "jupyterlab", address=LOGIN),
    "make-lab": Subject("make --silent -C {checkout} lab ENGINE=local PORT={port}", address=LOGIN),
}
MAKE_RUN = "make --silent -C {checkout} run ENGINE=local NOTEBOOK=trivial"
ALL = (
    notebook("trivial", "one cell that prints a word", TRIVIAL, **{"make-run": MAKE_RUN}),
    notebook("training", "pandas, scikit-learn and xgboost imported, a model trained for 0.4 s", TRAINING),
    notebook("cells", "300 cells that do next to nothing", MANY),
    notebook("outputs", "200 cells that print 200 kB each", printing(200, 200_000)),
    notebook("large", "one cell that prints 10 MB", printing(1, 10_000_000)),
    sweep(seeds=10),
    Case("tests", "4 modules of 3 tests of the training notebook, which train nothing", TESTERS, ["testbook"]),
    Case("store-add", "keep ten files of 10 MiB", ADDING, ["dvc"]),
    Case("store-switch", "switch to a branch with another model of ten files of 10 MiB", SWITCHING, ["dvc"]),
    scoring(rows=5_000_000),
    cost(),
    Case("help", "the help text", {"samebook": Subject(f"{SAMEBOOK} --help", shows="Usage")}),
    Case("lab", "until Lab answers", LABS, ["jupyter-lab"]),
    Case("first", "the example in a new clone", firsts("local") | firsts("docker"), is_slow=True),
)
CASES = {case.name: case for case in ALL}
