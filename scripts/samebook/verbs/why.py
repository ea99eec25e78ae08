"""Find why two runs differ: mix them, run the mixtures, and name the changes that make the difference."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from samebook.bisection import changes as differing
from samebook.bisection import question
from samebook.bisection.changes import Sides
from samebook.bisection.mixture import Facts, Limits, Mixtures, RunsAreOver
from samebook.bisection.question import Question, Result
from samebook.bisection.search import Change, Search, Step
from samebook.core import workspace as workspaces
from samebook.core.errors import NotReproduced
from samebook.core.text import Say, word
from samebook.models import lookup
from samebook.records import data_manifest, receipt
from samebook.reproduction import original as originals
from samebook.reproduction import rerun
from samebook.reproduction.original import Original
from samebook.reproduction.rerun import Site
from samebook.store import objects

SHOWN = 12


@dataclass(frozen=True)
class WhyRequest:
    """Two runs of a notebook, each as `samebook reproduce` takes one, and what of their difference is to be explained.

    At most `runs` new runs are made, and none is started after `minutes`. A dry one only lists what differs.
    """

    before: str
    after: str
    subject: str = ""
    metric: str = ""
    runs: int = 30
    minutes: float = 60.0
    engine: str = "local"
    trusts_patch: bool = False
    is_dry: bool = False


@dataclass
class Answer:
    """The answer: what differs, what can't be tried here, the steps of the difference, and its ends.

    `is_by_machine` says that the first run gives the result of the second one here, with nothing changed. `limit` is
    the reason why the search has not ended.
    """

    changes: list[Change]
    untried: list[str]
    question: Question | None = None
    ends: tuple[Facts, Facts] | None = None
    steps: list[Step[Result]] = field(default_factory=list)
    made: int = 0
    is_by_machine: bool = False
    limit: str = ""


def why(request: WhyRequest, say: Say) -> Answer:
    """Find the changes. Raises UsageError for runs that can't be mixed, NotReproduced where one of the two gives
    another result here.
    """
    workspace = workspaces.find()
    runs = [originals.read(workspace, lookup.receipt_path(workspace, name)) for name in (request.before, request.after)]
    differing.check_same_notebook(*(run.statement for run in runs))
    sites = [Site(workspace, request.engine, say, run.path.parent, request.trusts_patch) for run in runs]
    first, second = (Facts.of_side(originals.side(workspace, run), run.path.parent.name) for run in runs)
    asked = question.ask(first, second, request.subject, request.metric)
    sides = _sides(sites, runs)
    answer = Answer(sides.changes, sides.untried(), asked)
    for line in () if request.is_dry else _listed(answer):
        say(line)
    if request.is_dry or asked is None:
        return answer
    with _mixtures(request, sites, sides) as mixtures:
        try:
            _search(request, mixtures, answer, [asked.result(first), asked.result(second)])
        except RunsAreOver as error:
            answer.limit = str(error)
        answer.made = mixtures.made
    return answer


def _sides(sites: Sequence[Site], runs: Sequence[Original]) -> Sides:
    """Both runs with the files of their commits that differ."""
    with ExitStack() as stack:
        trees = [
            stack.enter_context(rerun.worktree(site, run.statement))[0] for site, run in zip(sites, runs, strict=True)
        ]
        files, links = differing.of_trees(*trees)
    before, after = (
        data_manifest.expanded(objects.local_store(site.workspace), run.statement, site.say)
        for site, run in zip(sites, runs, strict=True)
    )
    return Sides(before, after, files, links)


@contextmanager
def _mixtures(request: WhyRequest, sites: Sequence[Site], sides: Sides) -> Iterator[Mixtures]:
    """The mixtures, in a checkout of the first run's commit, with the inputs of both."""
    with rerun.prepared(sites[0], sides.before) as (checkout, _):
        commit = receipt.commit_name(sides.after)
        rerun.hand_over_inputs(replace(sites[1], requested_commit=commit), checkout.front.checkout, sides.after)
        checkout = replace(checkout, front=replace(checkout.front, others=(commit,)))
        limits = Limits(request.runs, time.monotonic() + 60 * request.minutes)
        yield Mixtures(sites[0].workspace, checkout, sides, limits, sites[0].say)


def _search(request: WhyRequest, mixtures: Mixtures, answer: Answer, expected: list[Result]) -> None:
    """Search, and put each step into the answer as it is found."""
    asked = answer.question
    assert asked is not None

    def result(leaves: frozenset[tuple[str, ...]]) -> Result | None:
        facts = mixtures.run(leaves)
        return asked.result(facts) if facts else None

    everything = frozenset(leaf for change in answer.changes for leaf in change.leaves)
    before = result(frozenset())
    if before and asked.gives(before, expected[1]):
        answer.ends, answer.is_by_machine = (expected[0].facts, before.facts), True
        return
    _check(asked, before, expected[0], request.before)
    after = result(everything)
    _check(asked, after, expected[1], request.after)
    assert before is not None
    assert after is not None
    answer.ends = (before.facts, after.facts)
    for step in Search(result).steps(answer.changes, before, after):
        answer.steps.append(step)


def _check(asked: Question, result: Result | None, expected: Result, name: str) -> None:
    """Raise NotReproduced where a run gives another result here than it gave: no mixture could say anything."""
    if result is None or not asked.gives(result, expected):
        found = "does not run" if result is None else "gives another result"
        raise NotReproduced(
            f"{name} {found} when it is run again here, so nothing can be said of what is between the two",
            mend=f"make reproduce RUN={word(name)} TIMES=3",
        )


def _listed(answer: Answer) -> Iterator[str]:
    """What differs, a line each."""
    yield f"{_count(answer.changes)} between the two runs:"
    for change in answer.changes:
        yield f"  {change.name}{f' ({len(change.parts)} changes)' if change.parts else ''}"
    yield from (f"  {line}: can't be changed here" for line in answer.untried)


def _count(changes: Sequence[Change]) -> str:
    number = sum(len(change.leaves) for change in changes)
    return "1 change" if number == 1 else f"{number} changes"


def table(answer: Answer) -> str:
    """The answer as text: one sentence for each step, and where it shows first."""
    if answer.question is None:
        return "nothing to explain: what was asked for is the same in both runs"
    if answer.is_by_machine:
        assert answer.ends
        reasons = "; ".join(answer.untried) or "what no receipt records"
        return (
            f"the machine makes the difference: with nothing changed, {answer.question.change(*answer.ends)}; "
            f"another: {reasons}"
        )
    if answer.ends is None:
        return "\n".join(_listed(answer))
    lines = [line for step in answer.steps for line in _sentences(answer, step)]
    if len(answer.steps) > 1:
        lines = [f"{len(answer.steps)} steps make the difference, {answer.question.change(*answer.ends)}:", *lines]
    runs = "1 new run" if answer.made == 1 else f"{answer.made} new runs"
    return "\n".join((*lines, *([answer.limit] if answer.limit else []), f"{_count(answer.changes)}, {runs}"))


def _sentences(answer: Answer, step: Step[Result]) -> Iterator[str]:
    """A step in one sentence, with the cell that shows it first."""
    asked, ends = answer.question, answer.ends
    assert asked
    assert ends
    before, after = step.before.facts, step.after.facts
    names = [change.name for change in (*step.partners, *step.changes)]
    share = asked.share(before, after, ends)
    part = "" if share is None else f", {'all' if abs(share - 1) < 1e-9 else f'{share:.0%}'} of the difference"
    verb = "make" if len(names) > 1 else "makes"
    together = " together, and not without each other" * bool(step.partners)
    together = ", and no run with only some of them ends" if len(step.changes) > 1 else together
    yield f"{_joined(names)} {verb} the difference{together}: {asked.change(before, after)}{part}"
    if cell := question.first_cell(before, after):
        yield f"  first seen in {cell}"


def _joined(names: Sequence[str]) -> str:
    shown = [*names[:SHOWN], *([f"{len(names) - SHOWN} more"] if len(names) > SHOWN else [])]
    return " and ".join((", ".join(shown[:-1]), shown[-1])) if len(shown) > 1 else shown[0]
