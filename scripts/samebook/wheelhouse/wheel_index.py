"""The index of the kept wheels of a commit's locks, as variables by which pip and uv ask no other."""

import os
import subprocess
from pathlib import Path

# The locks of what runs, and of what builds it.
LOCKS = ("environments/build.txt", "environments/runtime.txt")


def of(caller: Path, checkout: Path) -> dict[str, str]:
    """The variables for the locks of a checkout, and the store of the caller's; none where it has not kept these."""
    host = caller / "environments" / "host"
    locks = [str(checkout / name) for name in LOCKS]
    if not host.is_file() or not all(Path(lock).is_file() for lock in locks):
        return {}
    command = (str(host), "kept", str(caller / "store"), "", *locks)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    address = done.stdout.strip()
    if done.returncode or not address:
        return {}
    alone = {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "UV_OFFLINE": "1"}
    others = dict.fromkeys(("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"), "")
    return {**alone, **others, "PIP_INDEX_URL": address, "UV_DEFAULT_INDEX": address}
