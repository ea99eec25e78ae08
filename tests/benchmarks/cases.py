"""Every case, in the order in which they are measured. A new one is a line here."""

from benchmarks.executing import executed
from benchmarks.images import LOCK, NOTEBOOK, SIZES
from benchmarks.notebooks import TRAINING, TRIVIAL, many, printing
from benchmarks.ours import make_run
from benchmarks.places import Case
from benchmarks.scores import SCORING_CASE
from benchmarks.starting import HELP, LAB
from benchmarks.storing import ADDING, SWITCHING
from benchmarks.sweeping import SWEEP
from benchmarks.testing import TESTING

ALL: tuple[Case, ...] = (
    executed("one cell that prints a word", TRIVIAL, **{"make-run": make_run}),
    executed("pandas, scikit-learn and xgboost imported, a model trained for 0.4 s of processor", TRAINING),
    executed("300 cells that do next to nothing", many(300)),
    executed("200 cells that print 200 kB each", printing("outputs", 200, 200_000)),
    executed("one cell that prints 10 MB", printing("large", 1, 10_000_000)),
    SWEEP,
    TESTING,
    ADDING,
    SWITCHING,
    SCORING_CASE,
    HELP,
    LAB,
    SIZES,
    NOTEBOOK,
    LOCK,
)
CASES = {case.name: case for case in ALL}
