"""The statistics of drift: bins, references, the population stability index, and a report of them."""
