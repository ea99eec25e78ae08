"""The folder environments/: settings, the lock, and the identity of what is installed."""
