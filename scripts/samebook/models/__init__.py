"""Promoted models: bundles, the policy that lets one in, and what keeps its files."""
