"""A notebook is prepared, checked and executed."""
