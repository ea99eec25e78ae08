"""The usual causes of runs that differ, as a cell's source shows them."""

import pytest

from samebook.reproduction import causes
from samebook.reproduction.causes import Source, suspects

CAUSES = {
    "rng = np.random.default_rng()": ["a generator without a seed"],
    "rng = np.random.default_rng(seed)": [],
    "random.shuffle(\n    rows\n)": ["a generator without a seed"],
    "random.seed(7)\nrandom.shuffle(rows)": [],
    "rng.shuffle(rows)": [],
    "frame.sample(n=3)": ["a generator without a seed"],
    "frame.sample(n=3, random_state=seed)": [],
    "train_test_split(x, y, test_size=0.2)": ["a generator without a seed"],
    "for name in {'a', 'b'}: print(name)": ["set order"],
    "list(set(names))": ["set order"],
    "sorted(set(names))": [],
    "name in {'a', 'b'}": [],
    "{'a': 1}": [],
    "hash('a')": ["set order"],
    "datetime.datetime.now()": ["wall clock"],
    "time.time()": ["wall clock"],
    "time.sleep(1)": [],
    "import statsmodels.api as sm\nsm.OLS(y, x).fit().summary()": ["wall clock"],
    "import keras\nmodel.summary()": [],
    "pd.DataFrame(search.cv_results_)": ["wall clock"],
    "search.best_params_": [],
    "Forest(n_jobs=-1)": ["thread count"],
    "np.exp(x)": ["processor"],
    "np.expand_dims(x, 0)": [],
    "np.logical_and(a, b)": [],
    "x ** 1.7": ["processor"],
    "x ** 2": [],
    "a @ b": ["thread count", "processor"],
    "a.dot(b)": ["thread count", "processor"],
    "np.linalg.svd(a)": ["thread count", "processor"],
    "cluster.KMeans(7)": ["thread count", "processor"],
    "linear_model.LogisticRegression().fit(x, y)": ["processor"],
    "xgb.train(settings, rows)": [],
    "[p.name for p in Path('x').glob('*')]": ["file order"],
    "sorted(Path('x').glob('*'))": [],
    "os.listdir('.')": ["file order"],
    "id(frame)": ["object address"],
    "uuid.uuid4()": ["random name"],
    "uuid.uuid5(namespace, 'a')": [],
    "tempfile.mkdtemp()": ["random name"],
    "requests.get(url)": ["network"],
    "pd.read_csv('https://example.org/a.csv')": ["network"],
    "%time\nid(x)": ["wall clock", "object address"],
    "%%time\nfit(x)": ["wall clock"],
    "%%timer\nfit(x)": [],
    "import statsmodels.api as sm\nprint(sm.OLS(y, x).fit().summary())": ["wall clock"],
    "model.summary()": [],
    "search.best_score_": [],
    "this is no Python": [],
}


@pytest.mark.parametrize("text", CAUSES)
def test_cause_of_source(text: str) -> None:
    """A usual cause is found in a source that has it, and not in the mended source."""
    assert [suspect.cause.name for suspect in suspects([Source(1, "cell", text)])] == CAUSES[text]


def test_suspect_names_line() -> None:
    """A suspect names the line in its cell, also in a call over several lines."""
    (suspect,) = suspects([Source(2, "draw", "x = 1\ny = (\n    frame\n    .sample(\n        n=3,\n    )\n)")])
    assert (suspect.cell.name, suspect.line, suspect.text) == ("draw", 4, ".sample(")


@pytest.mark.parametrize("text", ["total = {terms}", "total = sum({terms})"])
def test_sum_of_a_thousand_terms(text: str) -> None:
    """A cell that is too deep to be searched ends no search: those before it are."""
    deep = Source(2, "deep", text.format(terms=" + ".join(["a"] * 1200)))
    assert [suspect.cell.number for suspect in suspects([Source(1, "time", "time.time()"), deep])] == [1]


def test_seed_elsewhere_settles() -> None:
    """A seed for the shared generator in one cell settles the draws of the others."""
    assert suspects([Source(1, "seed", "np.random.seed(7)"), Source(2, "draw", "np.random.normal(size=3)")]) == []


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (
            "<td>&lt;sklearn.tree...x7f5e70d1b830&gt;</td>",
            "<td>&lt;sklearn.tree...x7fad5cf3f980&gt;</td>",
            "object address",
        ),
        ("A at 0x7f5e70d1b830", "B at 0x7fad5cf3f980", ""),
        ("12", "13", ""),
    ],
)
def test_lines_that_show_their_cause(before: str, after: str, name: str) -> None:
    """Two lines that differ in an address alone name it, although no cell asks for one."""
    cause = causes.of_lines(before, after)
    assert (cause.name if cause else "") == name
