"""The text of code cells: what is Python in it, and what is IPython's."""

import ast

from samebook.adoption.code import cells


def test_python_stays_whole() -> None:
    """A line of Python that begins with `%` is no magic, and a cell with a magic beside Python has the rest."""
    (statement,) = cells.tree("print('%d rows'\n      % (3,))").body
    assert ast.unparse(statement) == "print('%d rows' % (3,))"
    assert [ast.unparse(node) for node in cells.tree("%matplotlib inline\nx = 1\n!ls").body] == [
        "pass",
        "x = 1",
        "pass",
    ]
