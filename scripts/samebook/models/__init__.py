"""Promoted models: their bundles, the policy of a promotion, and the upkeep of their files and runs.

Open `bundle` first for the fields of models/<name>.json, `lookup` to find a bundle, `policy` for the conditions of a
promotion, `gate_run` for the comparison with the champion. `retention` says which runs must stay, `store_use` which
objects of the store.
"""
