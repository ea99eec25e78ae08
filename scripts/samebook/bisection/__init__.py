"""Why two runs differ: mixtures of both are run, until the changes that make the difference are left."""
