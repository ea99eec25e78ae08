"""Lint notebooks: what breaks the house rules, and with `is_fixing` what can be put right is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samebook.core.errors import UsageError
from samebook.core.workspace import write_whole
from samebook.review import house_rules
from samebook.review.house_rules import Finding


@dataclass(frozen=True)
class Linted:
    """A notebook's file, what breaks the house rules in it now, and whether it was changed."""

    path: Path
    findings: list[Finding]
    is_changed: bool = False


def lint(paths: Sequence[Path], *, is_fixing: bool = False) -> list[Linted]:
    """The findings of each file; a folder stands for the notebooks in it. Raises UsageError for what is no notebook."""
    files = [file for path in paths for file in (sorted(path.rglob("*.ipynb")) if path.is_dir() else [path])]
    return [_lint(file, is_fixing) for file in files if ".ipynb_checkpoints" not in file.parts]


def _lint(path: Path, is_fixing: bool) -> Linted:
    try:
        content = path.read_bytes()
        wanted = house_rules.fixed(content) if is_fixing else content
        found = list(house_rules.findings(house_rules.parse(wanted)))
    except FileNotFoundError:
        raise UsageError(f"there is no {path}", mend="ls notebooks") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} can't be read: {error}", mend=f"git log -- {path}") from None
    if wanted != content:
        write_whole(path, wanted)
    return Linted(path, found, wanted != content)


def table(linted: Sequence[Linted]) -> list[str]:
    """A line for each finding, and for each file that was changed."""
    lines = [f"{item.path}: outputs and numbers taken out" for item in linted if item.is_changed]
    for item in linted:
        for finding in item.findings:
            place = f"{item.path}: cell {finding.cell}" if finding.cell else str(item.path)
            lines.append(f"{place}: {finding.text}{' (--fix)' if finding.is_fixable else ''}")
    return lines
