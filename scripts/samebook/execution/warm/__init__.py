"""Kernels and runners that have imported already: only quicker, never another result."""
