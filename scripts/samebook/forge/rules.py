"""The rules of a forge's branches, in files that it imports or reads: who approves what, and by which way it comes."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from samebook.core.errors import UsageError

RULESET = ".github/ruleset.json"
# What a pull request waits for: both legs of the job `test`, and the review.
CHECKS = ("test (docker)", "test (local)", "review")
# What the owners of models approve: the models, and all that judges them or runs where they are judged.
OWNED = (
    *("/models/", "/environments/", "/scripts/", "/Makefile", "/Dockerfile", "/docker-compose.yml"),
    *("/.ci/", "/.github/", "/.gitlab/", "/.gitlab-ci.yml", "/samebook-*.gitlab-ci.yml"),
)
OWNER = re.compile(r"@[\w.-]+(/[\w.-]+)*")


def ruleset(name: str, checks: Sequence[str] = CHECKS) -> str:
    """The rules of the default branch, preprod and prod for GitHub's import: a pull request with one approval, of
    somebody other than the last to push and of the owners, green checks, and no way around for administrators.

    Merge commits only: a squashed branch loses the commits that its models were made from.
    """
    request = {
        "allowed_merge_methods": ["merge"],
        "dismiss_stale_reviews_on_push": True,
        "require_code_owner_review": True,
        "require_last_push_approval": True,
        "required_approving_review_count": 1,
        "required_review_thread_resolution": True,
    }
    statuses: dict[str, Any] = {
        "strict_required_status_checks_policy": True,
        "do_not_enforce_on_create": True,
        "required_status_checks": [{"context": check} for check in checks],
    }
    rules: list[dict[str, Any]] = [
        {"type": "deletion"},
        {"type": "non_fast_forward"},
        {"type": "pull_request", "parameters": request},
        {"type": "required_status_checks", "parameters": statuses},
    ]
    branches = ["~DEFAULT_BRANCH", "refs/heads/preprod", "refs/heads/prod"]
    nobody: list[str] = []
    content = {
        "name": name,
        "target": "branch",
        "enforcement": "active",
        "bypass_actors": nobody,
        "conditions": {"ref_name": {"include": branches, "exclude": nobody}},
        "rules": rules,
    }
    return json.dumps(content, indent=2) + "\n"


def owners(names: Sequence[str], gates: Iterable[str] = ()) -> str:
    """A CODEOWNERS file, which GitHub and GitLab read alike; `gates` are the notebooks that compare models.

    Raises UsageError for what is not a name of a forge's.
    """
    if wrong := [name for name in names if not OWNER.fullmatch(name)]:
        raise UsageError(
            f"{wrong[0]!r} is not a person or a group of a forge; expected @ada or @team/models",
            mend='make ci AS=github OWNERS="@ada @team/models"',
        )
    return "".join(f"{path} {' '.join(names)}\n" for path in (*OWNED, *(f"/notebooks/{gate}.ipynb" for gate in gates)))
