"""Kernels and runners whose imports are done before they are needed: only quicker, never another result.

Start with `face.py`, which is all that other wings call. `client.py` finds the zygote (the process that imports once
and then forks) for a kernel. `zygote.py` is the program of that process, `child.py` the kernel or runner that it forks.
`preload.py` does the imports, and notes what they read and do. `early.py` starts one kernel beside the checks of its
run. `kernels.py` says when two kernels are the same. `runner.py` hands a whole `samebook run` over. `without.py` leaves
packages out that a library imports in vain.

A warm run has a cold twin, with the same bytes: `test_cold_twin` in `tests/execution/warm/test_warm.py`.
"""
