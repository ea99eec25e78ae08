"""A run's folder and its receipt, and the work with receipts: compare, verify, sign.

Open `run_folder` first for the files of a run, `receipt` to read a receipt, `schema` for its fields, `provenance` for
the code that writes it. `comparison` gives the verdicts of a reproduction, and `canonical` the form of a notebook that
they compare.
"""
