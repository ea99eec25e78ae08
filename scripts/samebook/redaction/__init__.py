"""What keeps secrets out of everything that a run writes or shows.

Open `redactor` first: it replaces secrets in texts and JSON, and refuses files that hold one. `forms` has the forms in
which programs write a secret, `cuts` finds what they show of one that they cut, `own_parts` has what is left alone in
notebooks and receipts. `packed` and `patch` read what is packed in a file, and in a patch of git; `leftovers` searches
what a killed run has left.
"""
