"""The reads of a run: what its kernel notices, and what of it the receipt names.

Open `undeclared` first, which a kernel starts. `recorder` has what Python notices and `readers` the hooks of libraries,
with `arguments` and `queries`; `places` says which files count. `origin` says at the end of a run which of them the
commit holds.
"""
