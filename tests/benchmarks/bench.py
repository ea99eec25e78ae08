"""`make bench`: python tests/benchmarks/bench.py --repeats 5 --only trivial,cells; `--list` shows the cases."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    runpy.run_module("benchmarks.command", run_name="__main__")
