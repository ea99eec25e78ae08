"""The statistics of drift: how far a day's data and scores are from those that a model was trained on.

`measure` gives the report of a day; open it first. `reference` describes a model's training data, over `bins`; `psi`
compares a day with it. `completeness` finds rows, days and scores that are missing; `observations` holds a day's data,
`report` the findings and their verdict, in one line by `verdict`. `said` tells what is new from what was said before or
is `acknowledged`; `effect` what a drift can explain. `bootstrap` has a classifier's metrics with their intervals, for
notebooks.
"""
