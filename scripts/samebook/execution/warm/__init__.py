"""Kernels and runners whose imports are done before they are needed: only quicker, never another result.

Start with `client.py`, which finds the zygote (the process that imports once and then forks) for a kernel.
`zygote.py` is the program of that process, `child.py` the kernel or runner that it forks. `early.py` starts one
kernel beside the checks of its run. `kernels.py` says when two kernels are the same. `runner.py` hands a whole
`samebook run` over. `without.py` leaves packages out that a library imports in vain.
"""
