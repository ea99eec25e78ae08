"""The release image: in a registry by its digest, rebuilt from its commit, and how production runs it."""
