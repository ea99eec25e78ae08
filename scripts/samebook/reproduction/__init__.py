"""A finished run is run again from its receipt, in a checkout aside that nothing leaves."""
