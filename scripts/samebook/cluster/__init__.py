"""Where many runs are executed: in this machine's processes, or by the workers of a Dask cluster.

A worker has the same environment as whoever sends it runs, and the same folder of runs. It runs the same program that a
person would start, so receipts are the same wherever they come from.
"""
