"""What a parameters cell may say: plain assignments, and nothing of it is run."""

from pathlib import Path

import pytest

from samebook.core.errors import UsageError
from samebook.execution.parameters_cell import declarations


@pytest.mark.parametrize(
    "value",
    [
        "open('{pwned}', 'w')",
        "__import__('os').system('touch {pwned}')",
        "typing.sys.modules['os'].system('touch {pwned}').x()",
        "().__class__.__base__.__subclasses__()",
        "().__class__",
        "date.__subclasses__",
        "typing.sys.modules",
        "date.today()",
        "(lambda: 1)()",
        "[n for n in (1, 2)]",
        "f'{{1}}'",
        "9 ** 9 ** 9",
        "'a' * 9",
        "int('3')",
        "[*'ab']",
        "x",
    ],
)
def test_default_runs_nothing(value: str, tmp_path: Path) -> None:
    """A default that is more than a plain value is refused, and nothing of it is run."""
    pwned = tmp_path / "pwned"
    with pytest.raises(UsageError):
        declarations(f"x = {value.format(pwned=pwned)}")
    assert not pwned.exists()


@pytest.mark.parametrize(
    "annotation", ['"{call}"', 'list["{call}"]', '"{call}" | None', "{call}", "Annotated['{call}', 1]"]
)
def test_annotation_runs_nothing(annotation: str, tmp_path: Path) -> None:
    """An annotation is never run, not even as a text in quotes, which pydantic would evaluate."""
    pwned = tmp_path / "pwned"
    call = f"__import__('pathlib').Path('{pwned}').touch()"
    with pytest.raises(UsageError):
        declarations(f"x: {annotation.format(call=call)} = 1")
    assert not pwned.exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nfor y in ():\n    pass", "line 2"),
        ("x: int", "found `x: int`"),
        ("x, y = 1, 2", "expected imports and assignments"),
        ("x += 1", "line 1"),
        ("%matplotlib inline", "not Python"),
        ("x: itn = 3", "'itn' is not defined"),
        ("x: [int] = []", "its type is not usable"),
        ("x: Annotated[int, Field(ge='a')] = 3", "its type is not usable"),
        ("x = Secret()", 'expected `Secret("NAME")`'),
        ("x = Secret(name)", 'expected `Secret("NAME")`'),
    ],
)
def test_cell_must_be_plain(source: str, message: str) -> None:
    """A parameters cell that is more than imports and plain assignments is refused, with the place and the reason."""
    with pytest.raises(UsageError) as refused:
        declarations(source)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "declaration",
    [
        "int = None",
        "int = '3'",
        "date = '2013-01-01'",
        "Literal['a'] = 'b'",
        "Annotated[int, Field(ge=1)] = 0",
        "list[int] = ['a']",
    ],
)
def test_default_keeps_type(declaration: str) -> None:
    """A default that breaks its own declaration is refused: the notebook would get it as it stands."""
    with pytest.raises(UsageError, match=r"parameter x: its default .* breaks its own type"):
        declarations(f"x: {declaration}")


def test_unannotated_has_default_type() -> None:
    """A parameter without an annotation has the type of its default."""
    declared = declarations("depth = 3\nname = 'a'\nshare = 0.5\n'a note'")
    assert [parameter.annotation for parameter in declared.values()] == [int, str, float]
