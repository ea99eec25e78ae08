"""The provisioner of kernels: in Lab, and in tests of notebooks, kernels have the numerics of runs."""

import json
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel
from jupyter_client.provisioning import KernelProvisionerFactory
from tiny import CHECKOUT

from samebook.environment import interactive

NAMES = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE"]


def test_lab_has_the_numerics_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that Jupyter starts by itself gets the numerics of the settings; wrong settings hold no kernel up."""
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(CHECKOUT))
    monkeypatch.setenv("SAMEBOOK_THREADS", "3")
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(KernelProvisionerFactory.instance(), "default_provisioner_name", "samebook")
    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:
        client.execute_interactive(f"import json, os; json.dump([os.environ.get(n) for n in {NAMES}], open('v', 'w'))")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    expected = interactive.outside_runs(None)
    assert json.loads((tmp_path / "v").read_text()) == [expected.get(name) for name in NAMES]
    assert expected["OMP_NUM_THREADS"] == "3"
    monkeypatch.setenv("SAMEBOOK_THREADS", "three")
    assert interactive.outside_runs(None)["OMP_NUM_THREADS"] == "2"
