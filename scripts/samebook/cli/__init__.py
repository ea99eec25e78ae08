"""The command line: it declares commands and options, calls a verb, prints the result and exits.

Open `main.py` first: it has the entry point, the list of all commands, and the exit codes of errors. `options.py` has
the options that commands share, `console.py` the progress of a run, and `make_call.py` the variables of make; every
other module but `packages.py` has the commands of one subject: `runs.py` has run, runs, reproduce, lineage and verify.
"""
