"""What a parameters cell may say: plain assignments, and nothing of it is run."""

from pathlib import Path

import pytest

from samebook.core.errors import UsageError
from samebook.execution import parameters
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
        "60 * 60",
        "Path('data') / 'rows.csv'",
        "Color.RED",
        "timezone.utc",
    ],
)
def test_default_runs_nothing(value: str, tmp_path: Path) -> None:
    """A default that is more than a plain value is left to the notebook: nothing of it is run, and it can't be set."""
    pwned = tmp_path / "pwned"
    declared = declarations(f"x = {value.format(pwned=pwned)}")
    with pytest.raises(UsageError, match="parameter x is not settable"):
        parameters.parse({"x": "1"}, declared)
    assert not pwned.exists()


@pytest.mark.parametrize(
    "annotation", ['"{call}"', 'list["{call}"]', '"{call}" | None', "{call}", "Annotated['{call}', 1]"]
)
def test_annotation_runs_nothing(annotation: str, tmp_path: Path) -> None:
    """An annotation is never run, not even as a text in quotes, which pydantic would evaluate."""
    pwned = tmp_path / "pwned"
    call = f"__import__('pathlib').Path('{pwned}').touch()"
    with pytest.raises(UsageError):
        parameters.parse({"x": "1"}, declarations(f"x: {annotation.format(call=call)} = 1"))
    assert not pwned.exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nfor y in ():\n    pass", "line 2"),
        ("x, y = 1, 2", "expected imports and assignments"),
        ("x += 1", "line 1"),
        ("%matplotlib inline", "not Python"),
        ("x: [int] = []", "its type is not usable"),
        ("x: Annotated[int, Field(ge='a')] = 3", "its type is not usable"),
        ("x = Secret()", 'expected `Secret("NAME")`'),
        ("x = Secret(name)", 'expected `Secret("NAME")`'),
        ("x: str = f'Bearer {Secret(\"NAME\")}'", 'expected `Secret("NAME")` by itself'),
    ],
)
def test_cell_must_be_plain(source: str, message: str) -> None:
    """A parameters cell that is more than imports and plain assignments is refused, with the place and the reason."""
    with pytest.raises(UsageError) as refused:
        declarations(source)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("declaration", "obstacle"),
    [
        ("x = 60 * 60", "`60 * 60` is more than a plain value or type"),
        ("x: Path = Path('data')", "name 'Path' is not defined"),
        ("x: Color = Color.RED", "name 'Color' is not defined"),
        ("x: itn = 3", "name 'itn' is not defined"),
        ("x = datetime(2013, 1, 1, tzinfo=timezone.utc)", "is more than a plain value or type"),
    ],
)
def test_unreadable_type_is_not_settable(declaration: str, obstacle: str) -> None:
    """A parameter whose type can't be read stops no run: only setting it is refused, with the reason."""
    declared = declarations(f"{declaration}\ny = 2")
    assert parameters.parse({"y": "3"}, declared) == {"y": 3}
    with pytest.raises(UsageError, match="parameter x is not settable") as refused:
        parameters.parse({"x": "1"}, declared)
    assert obstacle in str(refused.value)


@pytest.mark.parametrize("declaration", ["x: int = 60 * 60", "x: int", "x: int = len('a')"])
def test_typed_parameter_is_settable(declaration: str) -> None:
    """A parameter with a type can be set, whatever its default is."""
    assert parameters.parse({"x": "3"}, declarations(declaration)) == {"x": 3}
    with pytest.raises(UsageError, match="found 'three'"):
        parameters.parse({"x": "three"}, declarations(declaration))


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
