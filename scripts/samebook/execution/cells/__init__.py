"""Cells: what a cell leaves when it has run: its end, the limit of its output, and the notebook that keeps it."""
