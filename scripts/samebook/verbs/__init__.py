"""`samebook X` is `verbs/X.py`, with one public function of that name."""
