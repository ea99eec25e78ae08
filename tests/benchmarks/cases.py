"""Every case, in the order of measurement. A new case is a line here."""

from benchmarks.cost import COST
from benchmarks.executing import notebook_race
from benchmarks.images import FIRSTS, LOCK, NOTEBOOK, SIZES
from benchmarks.notebooks import TRAINING, TRIVIAL, many, printing
from benchmarks.places import Case
from benchmarks.samebook_runs import make_run
from benchmarks.scoring_survey import SCORING_CASE
from benchmarks.starting import HELP, LAB
from benchmarks.storing import ADDING, SWITCHING
from benchmarks.sweeping import SWEEP
from benchmarks.testing import TESTING

ALL: tuple[Case, ...] = (
    notebook_race("one cell that prints a word", TRIVIAL, **{"make-run": make_run}),
    notebook_race("pandas, scikit-learn and xgboost imported, a model trained for 0.4 s of processor", TRAINING),
    notebook_race("300 cells that do next to nothing", many(300)),
    notebook_race("200 cells that print 200 kB each", printing("outputs", 200, 200_000)),
    notebook_race("one cell that prints 10 MB", printing("large", 1, 10_000_000)),
    SWEEP,
    TESTING,
    ADDING,
    SWITCHING,
    SCORING_CASE,
    COST,
    HELP,
    LAB,
    SIZES,
    NOTEBOOK,
    LOCK,
    FIRSTS,
)
CASES = {case.name: case for case in ALL}
