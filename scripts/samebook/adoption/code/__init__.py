"""The text of a foreign notebook's code: what stands in it, and the edits that bring it to the libraries of today."""
