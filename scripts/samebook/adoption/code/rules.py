"""The rules for old code, from renames.toml: what a library has renamed or removed, and what stands there today."""

import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Rule:
    """A rule. `kind` says how `old` is matched, and how `new` replaces it; None where a person has to, by `advice`.

    name        an imported name, `numpy.float`; `imports` is the line that the new one needs
    module      a module, in any import and before a dot
    from        `module name`, in `from module import name`
    attribute   an attribute with an index after it, `.ix[`
    method      a call of a method of any object
    bare        a call of a method without arguments, which gets `new`
    append      a call of `append` whose result is used, which no list has
    keyword     `call keyword`, `* keyword` of any call, or `call keyword=value`: `new` is "" to leave it out, `x=` for
                another name, else all
    called      a function, by its full name, where it is called: `new` is its name and what stands after the call
    after       `call keyword=value`, in whose place `new` stands after the call, {} for a value that is a word
    fill        `call keyword=value`, which is the method `new`
    string      `call value`: a text among a call's arguments
    positional  arguments of a plot without a name, which get the names in `new`, and the next one `data`
    named       arguments without a name, which get the names in `new`; `_` stays as it is
    arguments   the same of a method of any object, `drop` or `str.split`, where an `axis` is one of pandas
    error       the message of a run that fails, a pattern, with `advice`
    The kinds of behaviours.py, frames.py, series.py and arrays.py are described there.

    All but the first three and the last apply only where the notebook imports `library`. `source` is an address where
    the library says so.
    """

    kind: str
    old: str
    source: str
    new: str | None = None
    advice: str = ""
    imports: str = ""
    library: str = ""

    @property
    def last(self) -> str:
        """The word that the code, and an error about it, has."""
        return self.old.split()[-1].split(".")[-1].partition("=")[0]


@cache
def rules() -> tuple[Rule, ...]:
    """All rules."""
    table = tomllib.loads(Path(__file__).with_name("renames.toml").read_text("utf-8"))
    return tuple(Rule(**rule) for rule in table["rules"])


def of(kind: str, libraries: Collection[str]) -> Iterable[Rule]:
    """The rules of a kind for a notebook that imports these libraries."""
    return (rule for rule in rules() if rule.kind == kind and (not rule.library or rule.library in libraries))
