"""The code of Python 2 becomes Python 3 with MEND=1; Python 3 stays as it is."""

import pytest

from samebook.adoption.code import python2


@pytest.mark.parametrize(
    ("code", "mended"),
    [
        ("print 'a', x", "print('a', x)"),
        ("if x: print x  # all\nelse:\n    print", "if x: print(x)  # all\nelse:\n    print()"),
        ("print 'a',\nprint >>sys.stderr, 'b', 1", "print('a', end=\" \")\nprint('b', 1, file=sys.stderr)"),
        ('print "%s" % (\n  x)', 'print("%s" % (\n  x))'),
        ("%matplotlib inline\n!ls -l x\nprint x", "%matplotlib inline\n!ls -l x\nprint(x)"),
        (
            "try:\n    f()\nexcept (A, B), e:\n    raise C, 'no'",
            "try:\n    f()\nexcept (A, B) as e:\n    raise C('no')",
        ),
        ("exec 'x = 1'\nprint(1)", "exec('x = 1')\nprint(1)"),
        ("print 1 if x <> 2 else 3", "print(1 if x != 2 else 3)"),
    ],
)
def test_statements(code: str, mended: str) -> None:
    """Statements of Python 2 become calls, whatever the notebook says of itself."""
    texts, changes = python2.mended([code], is_python2=False)
    assert texts == [mended]
    assert [(change.cell, bool(change.edits)) for change in changes] == [(1, True)]


@pytest.mark.parametrize(
    ("code", "mended"),
    [
        ("for i in xrange(3): raw_input(unicode(i))", "for i in range(3): input(str(i))"),
        ("print (1 + 2) * 3; print('ü'), 'b'", "print((1 + 2) * 3); print(('ü'), 'b')"),
        ("d.iteritems(); d.itervalues()", "d.items(); d.values()"),
        ("x = map(f, y)[0]\nz = sorted(zip(a, b))", "x = list(map(f, y))[0]\nz = sorted(zip(a, b))"),
        ("for a, b in zip(c, d): pass", "for a, b in zip(c, d): pass"),
        ("sorted(d.a.unique())", "sorted(d.a.unique(), key=lambda value: (isinstance(value, str), value))"),
        ("sorted(a); sorted(d.unique(), key=f)", "sorted(a); sorted(d.unique(), key=f)"),
    ],
)
def test_names(code: str, mended: str) -> None:
    """Names, methods and lists of Python 2 become those of Python 3, where the notebook says that it is of Python 2."""
    assert python2.mended([code], is_python2=True)[0] == [mended]


def test_what_stays() -> None:
    """Python 3, another language, names that the notebook binds itself, and what can't be mended stay as they are."""
    texts = ["print('a', x)", "%%bash\nprint x", "def unicode(x): pass\nunicode(1)", "x = `y`", "xrange(3"]
    texts += ["from __future__ import print_function\nprint (1), 2"]
    assert python2.mended(texts, is_python2=True) == (texts, [])
    assert python2.mended(["unicode(3)"], is_python2=False) == (["unicode(3)"], [])
    assert python2.mended(["xrange(3)"], is_python2=False)[0] == ["range(3)"]
    assert python2.mended(["print 1", "xrange(3)"], is_python2=False)[0] == ["print(1)", "range(3)"]
