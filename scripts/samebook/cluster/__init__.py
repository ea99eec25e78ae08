"""Where many runs are executed: in processes of this machine, by workers of a Dask cluster, or in pods of Kubernetes.

All have the same environment as whoever sends them runs. A worker has the same folder of runs, or, as a pod, a checkout
of its own, from which runs come by the shared store. It runs the same program that a person would start, so receipts
are the same wherever they come from.
"""
