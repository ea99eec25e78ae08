"""Mixtures: what a search keeps for the next one, and what of two runs is compared."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from reproducing import make_repository

from samebook.bisection import question
from samebook.bisection.changes import Sides
from samebook.bisection.mixture import Facts, Limits, Mixtures
from samebook.core.errors import EnvironmentMismatch
from samebook.core.workspace import Workspace
from samebook.records import receipt
from samebook.reproduction.checkout import Checkout
from samebook.reproduction.front import Front

CANONICAL = "notebook.canonical.json"


def plan() -> receipt.Json:
    return receipt.plan({"commit": None, "notebook": "notebooks/sum.ipynb", "parameters": {}, "env": "dev"})


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs whose environment can't be made, as without a network."""

    def run(*_: object) -> Path:
        raise EnvironmentMismatch("no index answers")

    with monkeypatch.context() as patch:
        patch.setattr(Checkout, "run", run)
        yield


def test_failed_run_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails in one search, for want of a network maybe, is made again in the next; a finished one is not."""
    root = make_repository(tmp_path / "workspace").root
    said: list[str] = []

    def search() -> Mixtures:
        checkout, limits = Checkout(Front(root, root, "local"), {}), Limits(9, time.monotonic() + 60)
        return Mixtures(Workspace(root), checkout, Sides(plan(), plan(), {}), limits, said.append)

    with failing(monkeypatch):
        assert search().run(frozenset()) is None
    assert "it does not run: no index answers" in said[-1]
    finished = Facts({CANONICAL: "a" * 64}, {"n": 1}, {}, "run")
    second = search()
    monkeypatch.setattr(Mixtures, "_new", lambda *_: finished)
    assert (second.run(frozenset()), second.made) == (finished, 1)
    third = search()
    assert (third.run(frozenset()), third.made) == (finished, 0)


def test_notebooks_that_are_not_here_are_compared_by_hash() -> None:
    """Notebooks that differ are not called the same where their contents are gone."""
    before, after = (Facts({CANONICAL: digit * 64}, {}, {}) for digit in "ab")
    assert question.ask(before, after, "", "") == question.Question(CANONICAL)
    assert question.ask(before, before, "", "") is None
