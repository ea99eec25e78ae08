"""A run's folder and its receipt, and what can be done with a receipt: compare, verify, run it again."""
