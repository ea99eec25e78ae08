"""The types of the values in settings, where pydantic's own are not strict enough."""

from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from samebook.core import cron
from samebook.environment import variables
from samebook.environment.explain import UNSHOWN


def _check_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "expected a number")
    return value


# pydantic would take `true` for 1.
NUMBER = BeforeValidator(_check_number)


def _check_package(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("package", "expected the name of a package with CSV files; without one, no line")
    return value


type PackageName = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$"), BeforeValidator(_check_package)]


def _check_cron(line: str) -> str:
    try:
        cron.parse(line)
    except ValueError as error:
        raise PydanticCustomError("cron", "{why}", {"why": str(error)}) from None
    return line


# Settings hold the name of a secret, never its text.
type SecretName = Annotated[
    str,
    Field(pattern=r"^[A-Z][A-Z0-9_]*$", description="the NAME of a secret: of a variable, or of /run/secrets/NAME"),
]
type Cron = Annotated[str, AfterValidator(_check_cron), Field(description="minute hour day month weekday")]
type Job = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=30, description="a pipeline's name")]


def _check_variable(name: str) -> str:
    if obstacle := variables.obstacle(name):
        values = dict(zip(("name", "why", "mend"), (name, *obstacle), strict=True))
        raise PydanticCustomError(UNSHOWN, "{name} can't be handed to a kernel: {why}; {mend}", values)
    return name


type VariableName = Annotated[str, Field(pattern=f"^{variables.NAME}$"), AfterValidator(_check_variable)]


def _check_pattern(pattern: str) -> str:
    if not pattern or pattern.startswith("/") or ".." in pattern.split("/"):
        values = {"pattern": pattern}
        raise PydanticCustomError(UNSHOWN, "'{pattern}' is not below the notebook's folder; as images/**", values)
    return pattern


type PatternBeside = Annotated[str, AfterValidator(_check_pattern)]


def url_parts(url: str) -> SplitResult:
    """The parts of a URL. The error for a text that is not one does not quote it: it may hold a secret."""
    try:
        return urlsplit(url)
    except ValueError:
        raise PydanticCustomError(UNSHOWN, "the value is not a URL") from None
