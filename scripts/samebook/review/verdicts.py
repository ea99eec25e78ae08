"""The verdict of each environment's policy on the models that a branch brings.

The policy and the trusted keys are those of the base: a branch can't loosen what judges it.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from samebook.core import git
from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.models import admission, lookup
from samebook.review.span import Span


@dataclass(frozen=True)
class Verdict:
    """The answer of one environment for one model: the problem, empty where it would be admitted, and what mends it."""

    model: str
    env: str
    problem: str
    mend: str = ""


def verdicts(workspace: Workspace, span: Span, models: Sequence[str]) -> Iterator[Verdict]:
    """A verdict for each model, and each environment that the base has. Raises UsageError where git fails."""
    if not models:
        return
    with git.worktree(span.root, span.base) as folder:
        base = Workspace(folder)
        with suppress(FileExistsError):  # the statements to check are in the store of this checkout
            (folder / "store").symlink_to(workspace.root / "store")
        for model in models:
            for env in settings.names(base):
                yield _verdict(base, span, model, env)


def _verdict(base: Workspace, span: Span, model: str, env: str) -> Verdict:
    try:
        bundle = lookup.read(base, f"{model}@{span.after}")
        conditions = settings.committed_promotion(base, env)
        admission.check(base, conditions, bundle, env, span.after, judge="HEAD")
    except SamebookError as error:
        return Verdict(model, env, str(error), error.mend or "")
    return Verdict(model, env, "")
