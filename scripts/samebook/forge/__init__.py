"""The jobs of a forge: one table, `jobs`, which `github` and `gitlab` write; `rules` has what a branch asks for.

Each step is a line of shell that calls make, git or docker, so that anybody can type it.
"""
