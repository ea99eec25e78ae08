"""The review of a branch as Markdown: first what judges it, then models, notebooks, packages, settings, other files."""

import re
from collections.abc import Collection, Iterator, Sequence

from samebook.core.workspace import Workspace
from samebook.review import acknowledgements, cells, model_section, notebook_section, packages, rules, settings
from samebook.review.markdown import inert, table
from samebook.review.model_section import SIDES, Model, Plot
from samebook.review.span import Span
from samebook.review.verdicts import Verdict, verdicts

# Bytes that a forge takes as one comment, GitHub 65,536 characters, and that fit into one variable as base64.
LONGEST = 60_000
# Other files that are named; the rest is counted.
MOST_FILES = 30
# What has a section of its own, or one row of the rules for all of it; what runs read.
SHOWN = re.compile(
    r"notebooks/.*\.ipynb|models/[^/]*\.json|environments/(.*\.yml|(?!apt)[\w-]+\.txt)|scripts/samebook/.*"
)
READ = ("notebooks/", "environments/", "models/", "scripts/")
WORDS = {"A": "added", "D": "removed"}


def markdown(workspace: Workspace, span: Span, models: Sequence[Model], plots: Sequence[Plot]) -> str:
    """The review, at most LONGEST bytes of it: whole sections are left out, and said so."""
    notebooks = [path for path in sorted(span.paths) if path.startswith("notebooks/") and path.endswith(".ipynb")]
    judged = list(verdicts(workspace, span, [model.name for model in models if model.after]))
    keys = list(settings.compare(span))
    judging = list(rules.compare(span, keys))
    sections = {
        "Rules that this changes": _rules(judging),
        "Alarms that this silences": _table(acknowledgements.TITLES, acknowledgements.compare(span)),
        "Models": _models(workspace, models, judged, plots, span),
        "Notebooks": [part for path in notebooks for part in _notebook(path, span)],
        "Packages": _table(("package", "before", "after", ""), packages.compare(span)),
        "Settings": _table(("file", "key", "before", "after"), keys),
        "Other files": _others(span, {row[0] for row in judging}),
    }
    parts = [f"# {_title(span)}", *_summary(span, models, notebooks, judged)]
    for title, body in sections.items():
        if body:
            parts += [f"## {title}", *body]
    return _shortened(parts)


def _title(span: Span) -> str:
    return f"Review of {span.before[:12]}..{span.after[:12]}"


def _summary(span: Span, models: Sequence[Model], notebooks: Sequence[str], judged: Sequence[Verdict]) -> Iterator[str]:
    ahead, behind = span.counts()
    counts = {"commit": ahead, "file": len(span.paths), "model": len(models), "notebook": len(notebooks)}
    yield ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items() if count) or "Nothing."
    if behind:
        yield f"Its base has gone on by {behind} commit{'s' * (behind != 1)} that this branch lacks."
    refused = [f"{verdict.model} in {verdict.env}" for verdict in judged if verdict.problem]
    if refused:
        yield f"**The policy would refuse** {inert(', '.join(refused))}."


def _rules(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    first = "Decide on these first: they judge this change and all later ones."
    return [first, table(("file", "what", "decides"), rows)]


def _models(
    workspace: Workspace, models: Sequence[Model], judged: Sequence[Verdict], plots: Sequence[Plot], span: Span
) -> list[str]:
    parts: list[str] = []
    for model in models:
        parts += model_section.markdown(workspace, model, span)
        own = [verdict for verdict in judged if verdict.model == model.name]
        if own:
            parts.append("By the policy and the keys of the base:")
            rows = [(item.env, item.problem or "would be let in", item.mend) for item in own]
            parts.append(table(("environment", "verdict", "what mends it"), rows))
        parts += _plots([plot for plot in plots if plot.model == model.name])
    return parts


def _plots(plots: Sequence[Plot]) -> Iterator[str]:
    """A row for each image, with both sides."""
    names = sorted({plot.name for plot in plots})
    if not names:
        return
    lines = [f"| | {' | '.join(SIDES)} |", "|---|---|---|"]
    for name in names:
        files = {plot.side: plot.file for plot in plots if plot.name == name}
        images = [f"![{side}](<{files[side]}>)" if side in files else "" for side in SIDES]
        lines.append(f"| {inert(name)} | {' | '.join(images)} |")
    yield "\n".join(lines)


def _notebook(path: str, span: Span) -> Iterator[str]:
    return notebook_section.markdown(path, cells.compare(*span.contents(path)), span.paths[path])


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [table(titles, rows)] if rows else []


def _others(span: Span, judging: Collection[str]) -> list[str]:
    """The files that no other section has shown; those that runs read come first, whatever others are called."""
    rest = [path for path in span.paths if path not in judging and not SHOWN.fullmatch(path)]
    rows = sorted(rest, key=lambda path: (not path.startswith(READ), path))
    lines = [f"- {inert(path)}{_word(span.paths[path])}" for path in rows[:MOST_FILES]]
    if len(rows) > MOST_FILES:
        lines.append(f"- and {len(rows) - MOST_FILES} more")
    return ["\n".join(lines)] if lines else []


def _word(status: str) -> str:
    return f" ({WORDS[status]})" if status in WORDS else ""


def _shortened(parts: Sequence[str]) -> str:
    text, size = "", 0
    for number, part in enumerate(parts):
        size += len(part.encode()) + 2
        if size > LONGEST:
            return f"{text}\n{len(parts) - number} more parts would make this too long for a comment.\n"
        text += f"{part}\n\n"
    return f"{text.rstrip()}\n"
