"""Labels of a receipt's inputs: the text by which a run names one thing that it read.

`rows/day=2013-07-01`   a day of a dataset
`rows/day=2013-06-01..2013-07-01`   several days of a dataset, whose list the module `data_manifest` reads
`bundle churn@prod`     the bundle of a promoted model
`settings drift`        a group of settings
`input customers.csv`   a file that a notebook reads by name: `samebook.input_path("customers.csv")`
`acknowledged churn`    what people have acknowledged of a model's monitoring, which may be nothing
anything else           a file: of a run, of a promoted model, or of the workspace
"""

import datetime
import re
from dataclasses import dataclass
from enum import Enum
from typing import Self, override

DAY = re.compile(r"(?P<dataset>[a-z][a-z0-9_]*)/day=(?P<day>\d{4}-\d\d-\d\d)")
SPAN = re.compile(DAY.pattern + r"\.\.(?P<last>\d{4}-\d\d-\d\d)")
BUNDLE, SETTINGS, INPUT, ACKNOWLEDGED = "bundle ", "settings ", "input ", "acknowledged "


class Kind(Enum):
    """The kind of input that a label names."""

    DAY = "day"
    SPAN = "span"
    BUNDLE = "bundle"
    SETTINGS = "settings"
    INPUT = "input"
    ACKNOWLEDGED = "acknowledged"
    FILE = "file"


@dataclass(frozen=True)
class Label:
    """A label; `name` is that of a dataset, a group of settings or an input file, a model's reference, or a path.

    `day` is the day, or the first of several, and `last` the last of these.
    """

    kind: Kind
    name: str
    day: str = ""
    last: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The label in a text of a receipt; a text in none of the other forms is a file."""
        if (match := DAY.fullmatch(text)) and _is_date(match["day"]):
            return cls(Kind.DAY, match["dataset"], match["day"])
        if (match := SPAN.fullmatch(text)) and _is_date(match["day"]) and _is_date(match["last"]):
            return cls(Kind.SPAN, match["dataset"], match["day"], match["last"])
        if text.startswith(BUNDLE):
            return cls(Kind.BUNDLE, text.removeprefix(BUNDLE))
        if text.startswith(SETTINGS):
            return cls(Kind.SETTINGS, text.removeprefix(SETTINGS))
        if text.startswith(INPUT):
            return cls(Kind.INPUT, text.removeprefix(INPUT))
        if text.startswith(ACKNOWLEDGED):
            return cls(Kind.ACKNOWLEDGED, text.removeprefix(ACKNOWLEDGED))
        return cls(Kind.FILE, text)

    @override
    def __str__(self) -> str:
        match self.kind:
            case Kind.DAY:
                return f"{self.name}/day={self.day}"
            case Kind.SPAN:
                return f"{self.name}/day={self.day}..{self.last}"
            case Kind.BUNDLE:
                return BUNDLE + self.name
            case Kind.SETTINGS:
                return SETTINGS + self.name
            case Kind.INPUT:
                return INPUT + self.name
            case Kind.ACKNOWLEDGED:
                return ACKNOWLEDGED + self.name
            case Kind.FILE:
                return self.name


def day(dataset: str, date: datetime.date) -> str:
    """The label of a day of a dataset."""
    return str(Label(Kind.DAY, dataset, date.isoformat()))


def bundle(reference: str) -> str:
    """The label of the bundle of a promoted model: `churn`, or `churn@prod`."""
    return str(Label(Kind.BUNDLE, reference))


def settings(group: str) -> str:
    """The label of a group of settings."""
    return str(Label(Kind.SETTINGS, group))


def input_file(name: str) -> str:
    """The label of a file that a notebook reads by name."""
    return str(Label(Kind.INPUT, name))


def acknowledged(model: str) -> str:
    """The label of a model's acknowledgements."""
    return str(Label(Kind.ACKNOWLEDGED, model))


def day_written(path: str) -> str:
    """The day of the dataset partition that an output holds, by its path under the run; "" for other outputs."""
    match = re.match(r"outputs/.+/day=(\d{4}-\d\d-\d\d)/", path)
    return match[1] if match else ""


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
