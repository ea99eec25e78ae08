"""The arrival of a model in a branch, and what its gate must have had: the sources and the champion of then and there.

The line that counts is that of the branch's first parents: a commit that a merge brought along may have loosened the
gate, and a later one put it back.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from samebook.core import git, head
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.models import gate_run, lookup
from samebook.models.bundle import Bundle
from samebook.records import receipt, source
from samebook.records.receipt import Json

CUT_OFF = "the history here is cut off, and may lack the commit with which this model came into the branch"


@dataclass(frozen=True)
class Comparison:
    """A run of a gate's notebook, by its receipt, and the model that it has let pass."""

    workspace: Workspace
    notebook: str
    statement: Json
    model: Bundle

    @property
    def commit(self) -> str:
        return receipt.commit_name(self.statement)


def problem(comparison: Comparison, judge: str = "", ref: str = "") -> str:
    """The finding that a gate ran another source, or knew another champion, than the branch had when its model came.

    The branch is `judge`, by default HEAD. A bundle that is not on its line is judged by its tip, as if `ref`, which
    has the bundle, were merged now. What a merge brings is judged by the merge, whatever line it came from: nothing
    here tells an honest line from a side branch. A copy without a repository has no past.
    """
    root = comparison.workspace.root
    if not head.is_repository(root):
        return ""
    tip, finding = git.commit(root, judge or "HEAD"), None
    # The newest arrival first: a history may be long.
    for commit in _arrivals(comparison, tip):
        finding = _other_source(comparison, commit) or _other_champion(comparison, _champions(comparison, commit))
        if not finding:
            return ""
    if finding is None:
        champions = _champions(comparison, tip, [git.commit(root, ref)] if ref not in ("", judge) else [])
        finding = _other_source(comparison, tip) or _other_champion(comparison, champions)
    if finding and git.is_shallow(root):
        return CUT_OFF
    return f"{finding}: it has to be compared again on this branch" if finding else ""


def _arrivals(comparison: Comparison, tip: str) -> Iterator[str]:
    """The commits of a line that brought exactly this bundle, newest first."""
    model, content = comparison.model, comparison.model.content()
    versions = lookup.versions(comparison.workspace, model.name, tip)
    return (commit for commit, version in versions if version and version.content() == content)


def _champions(comparison: Comparison, commit: str, merged: list[str] | None = None) -> Iterator[Bundle | None]:
    """The champions, None for none, that a model may have been compared with that a commit of the line has brought.

    It is what the line had before. A merge brings a model from another line, `merged`, which may have had later ones:
    that line's champion counts where it came after this line's own. Where both have changed the model since they
    parted, and the conflict was solved by hand, it is the one that they parted with. Where `merged` is given, nothing
    is merged yet: the model comes after the commit.
    """
    root, name = comparison.workspace.root, comparison.model.name
    line = lookup.versions(comparison.workspace, name, commit)
    own = _newest(comparison, line if merged is not None else islice(line, 1, None), commit)
    yield from own
    first, *others = (head.parents(root, commit) or [""]) if merged is None else ["", *merged]
    for arrival in (arrival for other in others for arrival in _arrivals(comparison, other)):
        earlier = islice(lookup.versions(comparison.workspace, name, arrival), 1, None)
        if None in own or any(version in own for _, version in earlier):
            yield from _champions(comparison, arrival)
        elif first and (fork := head.fork(root, arrival, first)):
            yield from _newest(comparison, lookup.versions(comparison.workspace, name, fork), fork)


def _newest(comparison: Comparison, line: Iterator[tuple[str, Bundle | None]], tip: str) -> list[Bundle | None]:
    """The champion for a model among the versions of a line; None for none."""
    champions = lookup.champions(comparison.workspace, line, tip, lookup.digests(comparison.model))
    return [champion for _, champion in champions]


def _other_champion(comparison: Comparison, champions: Iterator[Bundle | None]) -> str:
    """The finding that a gate has compared with none of the champions; empty where it has."""
    expected = list[str]()
    for champion in champions:
        if gate_run.is_against(comparison.statement, champion):
            return ""
        expected.append(champion.receipt.run if champion else "none")
    digests = gate_run.champion_digests(comparison.statement)
    known = f"the bundle {min(digests)[:12]}" if digests else "no champion"
    return f"it compared with {known}, and the champion that this branch had then was {expected[0]}"


def _other_source(comparison: Comparison, arrival: str) -> str:
    """The finding that the branch has a committed source of a run otherwise at the commit with which a model came.

    Its notebook is that commit's. The lock, each code file and each file that it read may also be those of the commit
    that the run's branch went on from: other work of the branch may have been merged since.
    """
    if name := _first_other_source(comparison, arrival):
        return f"it ran {name} of commit {comparison.commit[:12]}, which this branch did not have with this model"
    return ""


def _first_other_source(comparison: Comparison, arrival: str) -> str:
    root, commit, statement = comparison.workspace.root, comparison.commit, comparison.statement
    if _digest_at(root, arrival, comparison.notebook) != _digest_of(statement, comparison.notebook):
        return comparison.notebook
    places = [arrival, *filter(None, [head.fork(root, commit, arrival) if commit else ""])]
    for name, digest in {
        **receipt.byproduct(statement, receipt.READ),
        receipt.LOCK: _digest_of(statement, receipt.LOCK),
    }.items():
        if not name.endswith("/") and digest not in {_digest_at(root, place, name) for place in places}:
            return name
    return "" if _has_code(comparison.workspace, _digest_of(statement, receipt.CODE), commit, places) else receipt.CODE


def _has_code(workspace: Workspace, digest: str | None, commit: str, places: list[str]) -> bool:
    """Whether code of this digest is that of one of the places or, file by file at its own commit, of either."""
    codes = [source.committed_code(workspace, place) for place in places]
    if any(digest == source.code_digest_of(code) for code in codes):
        return True
    own = source.committed_code(workspace, commit) if commit else {}
    names = {*own, *(name for code in codes for name in code)}
    is_mixed = all(own.get(name) in [code.get(name) for code in codes] for name in names)
    return is_mixed and digest == source.code_digest_of(own)


def _digest_of(statement: Json, name: str) -> str | None:
    return (receipt.dependency(statement, name) or {"digest": {}})["digest"].get("sha256")


def _digest_at(root: Path, commit: str, name: str) -> str | None:
    """The sha256 of a file in a commit; None where it has none."""
    with suppress(UsageError):
        return sha256(git.show(root, commit, name))
    return None
