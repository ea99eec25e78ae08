"""The call of an indexed Job's pod: `python -m samebook.cluster.indexed calls.json` becomes the call of its index."""

import json
import os
import sys
from pathlib import Path

# Kubernetes sets it in each pod of an indexed Job.
INDEX = "JOB_COMPLETION_INDEX"


def main() -> None:
    """Become `samebook` with the arguments that stand at the pod's index."""
    calls = json.loads(Path(sys.argv[1]).read_text())
    os.execvp("samebook", ["samebook", *calls[int(os.environ[INDEX])]])  # noqa: S606 - the image's own


if __name__ == "__main__":
    main()
