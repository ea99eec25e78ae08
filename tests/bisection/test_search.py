"""The search for changes: each kind of difference is found, with few runs."""

from collections.abc import Callable
from dataclasses import dataclass

from samebook.bisection.search import Change, Leaf, Search, Step


@dataclass(frozen=True)
class Number:
    """A result that is a number."""

    value: int

    @property
    def key(self) -> str:
        return str(self.value)


def change(*names: str) -> Change:
    """A change of this name; of several names, with a part for each."""
    parts = tuple(Change(name, frozenset({(name,)})) for name in names)
    return parts[0] if len(parts) == 1 else Change("+".join(names), frozenset((name,) for name in names), parts)


def steps(changes: list[Change], value: Callable[[set[str]], int | None], most: int = 99) -> list[Step[Number]]:
    """The steps, found by at most so many different runs; a run without a value fails."""
    made: set[frozenset[Leaf]] = set()

    def run(leaves: frozenset[Leaf]) -> Number | None:
        made.add(leaves)
        found = value({name for (name,) in leaves})
        return None if found is None else Number(found)

    ends = [run(frozenset()), run(frozenset().union(*(item.leaves for item in changes)))]
    assert ends[0]
    assert ends[1]
    found = list(Search(run).steps(changes, *ends))
    assert len(made) <= most
    return found


def names(changes: tuple[Change, ...]) -> list[str]:
    return [item.name for item in changes]


def test_one_of_many() -> None:
    """One of a hundred changes is found by seven runs, the ends, and one that makes it alone."""
    (step,) = steps([change(str(number)) for number in range(100)], lambda made: int("71" in made), most=10)
    assert (names(step.changes), step.partners, step.before.value, step.after.value) == (["71"], (), 0, 1)


def test_parts() -> None:
    """A change of many parts is taken apart only where it makes the difference."""
    changes = [change(*(f"{group}{number}" for number in range(50))) for group in "abcd"]
    (step,) = steps(changes, lambda made: int("c31" in made), most=12)
    assert names(step.changes) == ["c31"]


def test_each_adds_its_part() -> None:
    """Changes that each add something are steps of their own, whose parts add up."""
    worth = {"b": 10, "d": 3, "e": -4}
    found = steps([change(name) for name in "abcdef"], lambda made: sum(worth.get(name, 0) for name in made))
    assert [(names(step.changes), step.after.value - step.before.value) for step in found] == [
        ([name], value) for name, value in worth.items()
    ]
    assert all(step.alone and step.alone.value == worth[names(step.changes)[0]] for step in found)


def test_only_together() -> None:
    """Of changes that matter only together, all are named: two, and three."""
    changes = [change("a", "b"), change("c"), change("d"), change("e", "f")]
    (pair,) = steps(changes, lambda made: int({"b", "e"} <= made))
    assert (names(pair.partners), names(pair.changes)) == (["b"], ["e"])
    (three,) = steps(changes, lambda made: int({"a", "d", "f"} <= made))
    assert (names(three.partners), names(three.changes)) == (["a", "d"], ["f"])


def test_middle_that_fails() -> None:
    """Where the middle does not run, another place is taken; changes that run only together are one step."""
    changes = [change(name) for name in "abcdef"]
    (step,) = steps(changes, lambda made: None if ("c" in made) != ("d" in made) else int("d" in made))
    assert names(step.changes) == ["c", "d"]
    (step,) = steps(changes, lambda made: None if len(made) in (2, 3) else int("e" in made))
    assert names(step.changes) == ["e"]
