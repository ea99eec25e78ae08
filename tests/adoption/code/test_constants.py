"""Constants at the top become parameters, typed; everything else stays where it is."""

from samebook.adoption.code import constants
from samebook.execution import parameters_cell


def test_lifted() -> None:
    """Plain values at the top become declarations that samebook reads, and their lines leave their cells."""
    texts = [
        "import numpy as np\nSEED = 42  # answer = 42\nnp.random.seed(SEED)\nrate = -0.5\nWORDS = ['a']",
        "path='a=b.csv'\nis_quick = True\ndf = read(path)\nlate = 3",
        "later = 4",
    ]
    lifted = constants.lift(texts)
    declared = parameters_cell.declarations(lifted.source)
    assert {name: (parameter.annotation, parameter.default) for name, parameter in declared.items()} == {
        "SEED": (int, 42),
        "rate": (float, -0.5),
        "path": (str, "a=b.csv"),
        "is_quick": (bool, True),
    }
    assert lifted.source.splitlines()[::2] == ["SEED: int = 42  # answer = 42", "path: str = 'a=b.csv'"]
    assert lifted.texts == [
        "import numpy as np\nnp.random.seed(SEED)\nWORDS = ['a']",
        "df = read(path)\nlate = 3",
        "later = 4",
    ]


def test_not_lifted() -> None:
    """A name that is bound twice, a line with two statements, several lines and a private name stay."""
    texts = ["n = 1\na = 1; b = 2\ntext = '''x\ny'''\n_p = 1\nc, d = 1, 2", "for n in range(3): pass"]
    assert constants.lift(texts) == constants.Constants("", texts)
