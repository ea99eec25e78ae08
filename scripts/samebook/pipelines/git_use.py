"""What a pipeline needs a git repository for, where its image has none: promotions, and models of other branches."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from samebook.cluster.repository import Repository
from samebook.core import git
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment.model_sections import AbTest
from samebook.pipelines.definition import Pipeline

# A model of a branch, a tag or a commit: churn@ab-test-deeper.
OF_A_REF = re.compile(r"[a-z][a-z0-9_-]*@\S+")


@dataclass(frozen=True)
class Clone:
    """The address that pods may clone from, "" for none, and the image that has git, "" for samebook's own."""

    address: str = ""
    image: str = ""

    def repository(
        self, workspace: Workspace, job: str, reasons: Sequence[str], *, is_written: bool = False
    ) -> Repository | None:
        """The repository of a job that needs one for these reasons, at HEAD's commit; None for a job without any.

        Raises UsageError where there is no address, or one that no pod may use.
        """
        if not reasons:
            return None
        if not self.address:
            raise UsageError(
                f"{job} needs the git repository, which no image has: {reasons[0]}",
                mend="again, with REPOSITORY=ssh://git@host/path.git",
            )
        return Repository(self.address, git.commit(workspace.root, "HEAD"), self.image, is_written=is_written)


def promotes(pipeline: Pipeline) -> bool:
    """Whether a step promotes, which is a commit."""
    return any(step.promote for step in pipeline.steps.values())


def reasons(pipeline: Pipeline, ab_test: AbTest | None) -> list[str]:
    """What needs the repository, in words; nothing for most pipelines, as an image has the files of its commit."""
    return [*_promotions(pipeline), *models_of_refs([*_texts(pipeline)], ab_test)]


def models_of_refs(texts: Sequence[str], ab_test: AbTest | None) -> list[str]:
    """The models of other branches that these values, or an experiment, name; in words."""
    compared = [ab_test.champion, ab_test.challenger] if ab_test else []
    return [f"model {text} is read" for text in dict.fromkeys([*texts, *compared]) if OF_A_REF.fullmatch(text)]


def check_backfill(name: str, pipeline: Pipeline) -> None:
    """Raise UsageError for a step of a backfill that is no notebook's: its days run side by side, in any order."""
    if step := next((name for name, step in pipeline.steps.items() if step.verb != "run"), ""):
        raise UsageError(
            f"step {step} has to {pipeline.steps[step].verb}; a backfill's pods only run notebooks",
            mend=f"make backfill NAME={name} …, without a cluster",
        )


def check_in_a_pod(job: str, pipeline: Pipeline) -> None:
    """Raise UsageError for a step that reproduces: in its own pod a run would be reproduced by its own builder."""
    if step := next((name for name, step in pipeline.steps.items() if step.reproduce), ""):
        raise UsageError(
            f"step {step} of {job} reproduces a run where it was made, which is no other builder's word",
            mend=f"edit environments/pipelines/{job}.yml: end it with the gate",
        )


def _promotions(pipeline: Pipeline) -> Iterator[str]:
    for name, step in pipeline.steps.items():
        if step.promote:
            yield f"step {name} promotes"


def _texts(pipeline: Pipeline) -> Iterator[str]:
    for value in pipeline.parameters.values():
        yield str(value)
    for step in pipeline.steps.values():
        yield from step.texts
