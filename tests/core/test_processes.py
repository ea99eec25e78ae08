"""Processes: what those that samebook starts inherit."""

import resource

import pytest

from samebook.core import processes


@pytest.mark.secrets
def test_no_core_dumps() -> None:
    """A process leaves no core dump beside the notebook, where the next run's patch would take it in."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        processes.leave_no_core_dumps()
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
