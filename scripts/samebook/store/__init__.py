"""Bytes by their sha256, in a folder of this machine and in S3."""
