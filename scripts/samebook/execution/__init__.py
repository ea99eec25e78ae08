"""Execution: a notebook is checked, prepared and executed.

Start with `preparation.py` for the checks before a kernel starts, with `parameters_cell.py` and `parameters.py` for
parameters, and with `execute.py` for the execution itself. `grids.py`, `workers.py` and `sweep_result.py` are the
parts of a sweep, `freshness.py` finds a run that need not be repeated, `page.py` makes the HTML page. `startup.py`,
`background.py` and `kernel_output.py` look at what a notebook does beside its cells. The folder `cells/` has what a
cell leaves: its end, the limit of its output, and the executed notebook. The folder `warm/` only makes
kernels start sooner; `provisioner.py` and `pool.py` are its users.
"""
