"""The search for the changes that make a difference, by runs with some of them.

The changes are put in an order, and made one after another: where the result before a stretch of them is another than
behind it, a run in its middle halves the stretch. What each change adds is found with those before it made; the parts
add up to the whole difference. A stretch with equal ends is not looked into: changes that undo each other there make
no difference.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


class Result(Protocol):
    """The result of a run, as far as the question goes: two with equal keys are the same."""

    @property
    def key(self) -> str: ...


# A change that can be made alone, by the name of its place.
type Leaf = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A change: its name for people, its leaves, and its parts, where it can be taken apart."""

    name: str
    leaves: frozenset[Leaf]
    parts: tuple["Change", ...] = ()


@dataclass(frozen=True)
class Step[R: Result]:
    """Changes that make a difference: the results before and behind them, all earlier changes being made.

    Several changes are one step where no run between them ends. `partners` are the other changes without which they
    make none; `alone` is the result with them alone, None where such a run does not end.
    """

    changes: tuple[Change, ...]
    before: R
    after: R
    alone: R | None = None
    partners: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Search[R: Result]:
    """A search; `run` gives the result with these leaves changed, and None where such a run does not end."""

    run: Callable[[frozenset[Leaf]], R | None]

    def steps(self, changes: Sequence[Change], before: R, after: R) -> Iterator[Step[R]]:
        """The steps from the result before all changes to that after them, in the order of the changes."""
        made: tuple[Change, ...] = ()
        for step in self._steps((), tuple(changes), before, after):
            made = self._until(changes, step.changes[0])
            alone = self.run(leaves(step.changes))
            is_together = alone is None or alone.key == before.key
            partners = self._partners(step, made) if is_together and made else ()
            yield Step(step.changes, step.before, step.after, alone, partners)

    def _steps(self, made: tuple[Change, ...], changes: tuple[Change, ...], before: R, after: R) -> Iterator[Step[R]]:
        if before.key == after.key:
            return
        if len(changes) == 1 and changes[0].parts:
            yield from self._steps(made, changes[0].parts, before, after)
            return
        for middle in _middles(len(changes)):
            first, rest = changes[:middle], changes[middle:]
            between = self.run(leaves((*made, *first)))
            if between is not None:
                yield from self._steps(made, first, before, between)
                yield from self._steps((*made, *first), rest, between, after)
                return
        yield Step(changes, before, after)

    def _until(self, changes: Sequence[Change], end: Change) -> tuple[Change, ...]:
        """The changes that are made before this one, each taken apart as far as it goes."""
        found: list[Change] = []
        for change in _apart(changes):
            if change.leaves & end.leaves:
                break
            found.append(change)
        return tuple(found)

    def _partners(self, step: Step[R], made: tuple[Change, ...]) -> tuple[Change, ...]:
        """The fewest of the changes made before that a step needs, from the last one on."""
        partners: tuple[Change, ...] = ()
        while made and not (partners and self._works(partners, step.changes)):
            low, high = 0, len(made)  # the step works with `high` of them and not with `low`
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if self._works((*made[:middle], *partners), step.changes) else (middle, high)
            partners, made = (made[high - 1], *partners), made[: high - 1]
        return partners

    def _works(self, made: tuple[Change, ...], changes: tuple[Change, ...]) -> bool:
        """Whether changes make a difference once others are made."""
        behind = self.run(leaves((*made, *changes)))
        before = self.run(leaves(made)) if behind is not None else None
        return before is not None and behind is not None and before.key != behind.key


def leaves(changes: Sequence[Change]) -> frozenset[Leaf]:
    """The leaves of all these changes."""
    return frozenset(leaf for change in changes for leaf in change.leaves)


def _apart(changes: Sequence[Change]) -> Iterator[Change]:
    for change in changes:
        if change.parts:
            yield from _apart(change.parts)
        else:
            yield change


def _middles(length: int) -> list[int]:
    """The places to halve so many changes, the middle first; a change alone has none."""
    return sorted(range(1, length), key=lambda place: (abs(2 * place - length), place))
