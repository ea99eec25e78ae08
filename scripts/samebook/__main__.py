"""`python -m samebook` is `samebook`."""

from samebook.cli import main

main()
