"""The report: a static site over the runs, models, drift and sweeps, built from receipts and opened from disk.

`site` builds it; `run_data` reads one run, `model_data`, `drift_data` and `sweep_data` the rest. `page/` is the site's
own HTML, CSS and JavaScript, which shows the data that Python writes beside it.
"""
