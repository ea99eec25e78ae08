"""The provenance of a published image: the commit, the locks and the base that it is made of, as SLSA has it.

It is its builder's word, signed where there is a key. `samebook verify-image` needs none: it builds the image again.
https://slsa.dev/spec/v1.0/provenance
"""

from pathlib import Path

from samebook.core import git
from samebook.core.digest import json_bytes, sha256
from samebook.records import receipt
from samebook.release import archive as archives
from samebook.release.archive import Archive

BUILD_TYPE = "urn:samebook:image:v1"
# Files of the commit that decide what an image has beside the commit's notebooks, settings and code.
DECISIVE = ("Dockerfile", "environments/runtime.txt", "environments/lab.txt", "environments/apt.lock")


def statement(root: Path, archive: Archive, name: str, commit: str, target: str) -> bytes:
    """The statement on the image that a commit of this repository gives: in-toto's Statement v1, SLSA's provenance.

    It has no time: on the same image, by the same builder, it has the same bytes.
    """
    variables = archives.variables(archive.config.get("config") or {})
    files = ((path, git.file_content(root, commit, path)) for path in DECISIVE)
    dependencies = [
        {"name": receipt.COMMIT, "digest": {"gitCommit": commit}},
        *({"name": path, "digest": {"sha256": sha256(content)}} for path, content in files if content is not None),
        {"name": "base image", "uri": variables.get("SAMEBOOK_BASE_IMAGE", "")},
    ]
    built = {
        "buildType": BUILD_TYPE,
        "externalParameters": {"target": target},
        "resolvedDependencies": dependencies,
    }
    return json_bytes(
        {
            "_type": receipt.STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": archive.digest.removeprefix("sha256:")}}],
            "predicateType": receipt.PROVENANCE,
            "predicate": {"buildDefinition": built, "runDetails": {"builder": {"id": receipt.builder()}}},
        }
    )
