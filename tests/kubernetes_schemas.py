"""The schemas of Kubernetes' API, by which manifests are held valid: those of three versions."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import yaml
from tiny import CHECKOUT

UV = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
# Its versions are those of the API; it holds the schemas of all that are in use.
VALIDATOR = "kubernetes-validate==1.37.0"
VERSIONS = ("1.33", "1.35", "1.37")
VALIDATE = """
import sys, yaml, kubernetes_validate
for document in yaml.safe_load_all(sys.stdin):
    for version in sys.argv[1:]:
        kubernetes_validate.validate(document, version, strict=True)
        print(document["kind"], version)
"""


def check(manifests: Sequence[dict[str, Any]]) -> None:
    """Fail unless each manifest is valid by the schemas of each version."""
    command = (UV, "run", "--quiet", "--no-project", "--python", sys.executable, "--with", VALIDATOR, "python", "-c")
    text = yaml.safe_dump_all(manifests)
    done = subprocess.run([*command, VALIDATE, *VERSIONS], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = [f"{manifest['kind']} {version}" for manifest in manifests for version in VERSIONS]
    assert done.stdout.splitlines() == expected
