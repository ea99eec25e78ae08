"""The ground floor: errors, files, git, processes and secrets. Nothing here knows a notebook, a run or a setting.

`errors` holds the classes of errors with their exit codes. `workspace` holds the paths of a checkout, and the ways to
write a file as a whole. `git` is the only caller of git. `processes` and `signals` start programs and end them.
`secret` reads secrets, and `signing_key` the key for receipts. `text` is what people read, `without` leaves unused
packages out of an import.
"""
