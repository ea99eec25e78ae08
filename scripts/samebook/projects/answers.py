"""The answers that a project was made from: its name, its example and its registry, and the version of samebook.

They stand in the project's .copier-answers.yml.
"""

import keyword
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from samebook.core.errors import UsageError, nearest
from samebook.environment import packages, yaml_file

OF_TEMPLATE = ("tiny", "none")
FILE = ".copier-answers.yml"
# Beside the template's own, those made of this repository's files: a wheel has their files, a checkout their lists.
EXAMPLES = (*OF_TEMPLATE, *sorted(path.name for path in Path(__file__).with_name("examples").iterdir()))
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# It stands in a workflow of CI, where other characters could be commands; Docker takes small letters after the host.
REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
# A version stands in the names of files.
FORMS = {"version": re.compile(r"\d[a-z0-9.+]*"), "name": NAME, "example": re.compile(r"[a-z]+")}
# Modules of every project, and folders of its workspace: a package of helpers would hide one, or be hidden.
TAKEN = {"samebook", "notebooks", "scripts", "tests", "train", "gate", *keyword.kwlist, *sys.stdlib_module_names}


def check(name: str, example: str, registry: str) -> dict[str, str]:
    """The answers for a new project, by their names. Raises UsageError for one that is not usable."""
    if not NAME.fullmatch(name) or name in TAKEN or packages.is_known(name):
        raise taken(name)
    if example not in EXAMPLES:
        raise UsageError(f"no example {example!r}{nearest(example, EXAMPLES)}", mend="samebook new --help")
    if registry and not REGISTRY.fullmatch(registry):
        raise UsageError(
            f"{registry!r} is no registry; expected a host, a port and a path",
            mend="samebook new PROJECT --registry registry.example.com/team",
        )
    return {"name": name, "example": example, "registry": registry}


def taken(name: str) -> UsageError:
    """The error for a name that the package of helpers can't have."""
    return UsageError(
        f"{name!r} can't be the name of a package of helpers; expected small letters, digits and single _, and the"
        " name of no other module",
        mend="samebook new PROJECT --name churn",
    )


def read(content: bytes) -> dict[str, str]:
    """The answers in the file of a project, with the version. Raises UsageError for a damaged file."""
    try:
        values = yaml_file.parse(content, FILE)
    except UsageError as error:
        raise _damaged(str(error)) from None
    answers = {"registry": "", **{key: value for key, value in values.items() if not key.startswith("_")}}
    answers["version"] = values.get("_commit")
    wrong = [key for key, form in FORMS.items() if not _fits(answers, key, form)]
    wrong += ["registry"] if answers["registry"] != "" and not _fits(answers, "registry", REGISTRY) else []
    if wrong:
        key = "_commit" if wrong[0] == "version" else wrong[0]
        raise _damaged(f"{FILE} has no usable {key}")
    return answers


def _fits(answers: Mapping[str, object], key: str, form: re.Pattern[str]) -> bool:
    value = answers.get(key)
    return isinstance(value, str) and form.fullmatch(value) is not None


def _damaged(problem: str) -> UsageError:
    return UsageError(
        f"{problem}; expected what `samebook new` has written there", mend=f"git log --patch --follow -- {FILE}"
    )
