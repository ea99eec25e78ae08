"""The ground: errors, files, hashes, git, processes, secrets. It knows no notebook."""
