"""The command line: declares options, prints, exits."""
