"""The verbs: `samebook X` is `verbs/X.py`, with one public function of that name, which `cli/` calls.

Open `run.py` first: it is the verb that every other one builds on. `reproduce.py` runs a receipt again,
`promote.py` and `rollback.py` change the model that is promoted, `pipeline.py` and `watch.py` run unattended.
A verb imports no other verb: a function that two of them need stands in a wing below.
"""
