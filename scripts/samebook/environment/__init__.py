"""The folder environments/: settings, the lock, and the identity of the installed environment.

`settings` loads environments/<env>.yml, `sections` and `model_sections` declare its keys, `explain` words the errors.
`identity` compares the installed packages with the lock and makes the digest of the environment. `variables` makes the
environment variables of a kernel, and `machine` counts cores and memory.
"""
