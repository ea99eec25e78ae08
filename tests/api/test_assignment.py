"""Experiments: who is assigned to what, and that settings which change later change no reproduction."""

import json
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import promoting
import pytest
from promoting import stderr_of
from tiny import Tiny, git

import samebook
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import settings

IDS = [f"2013-07-{n % 31 + 1:02}-UA-{n}-EWR-IAH-0515" for n in range(20_000)]
AB_TEST = """
ab_test:
  {{experiment: deeper, salt: s, challenger: {challenger}, share: 0.5, start: 2013-07-01, end: 2013-07-14}}
"""
PARAMETERS = """
from datetime import date
from samebook import Model
day: date = date(2013, 7, 1)
model: Model | None = None
"""
ASK = """
import samebook
found = samebook.ab_test()
samebook.output_path("found.txt").write_text(found.experiment if found else "none")
"""


def challengers(share: float, salt: str = "s") -> set[str]:
    variants = samebook.assign(IDS, salt=salt, share=share)
    return {entity for entity, variant in zip(IDS, variants, strict=True) if variant == "challenger"}


def test_larger_share_keeps() -> None:
    """A larger share moves some to the challenger, and nobody back to the champion."""
    shares = sorted((0.0, 0.001, 1.0, *np.random.default_rng(1).random(30)))
    groups = [challengers(share) for share in shares]
    assert all(smaller <= larger for smaller, larger in pairwise(groups))


def test_share_is_met() -> None:
    """Shares 0 and 1 are exact; others are met as chance meets them."""
    assert (len(challengers(0)), len(challengers(1))) == (0, len(IDS))
    for share in (0.01, 0.2, 0.5, 0.9):
        spread = (share * (1 - share) / len(IDS)) ** 0.5
        assert abs(len(challengers(share)) / len(IDS) - share) < 4 * spread


def test_salts_are_independent() -> None:
    """Under another salt the challenger's half holds half of each group of before."""
    first, second = challengers(0.5, "one"), challengers(0.5, "two")
    assert abs(len(first & second) / len(IDS) - 0.25) < 0.015
    assert challengers(0.5, "one") == first


def test_others_can_compute_it() -> None:
    """The place is the first 16 hex digits of sha256("salt/entity"), for a query or another program to compute."""
    places = [int(sha256(f"s/{entity}".encode()).hexdigest()[:16], 16) / 16**16 for entity in IDS[:500]]
    expected = ["challenger" if place < 0.3 else "champion" for place in places]
    assert samebook.assign(IDS[:500], salt="s", share=0.3) == expected


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_missing_is_one_entity(share: float) -> None:
    """What has no value, of whatever kind, is one entity; a number is what it is as text."""
    missing = samebook.assign([None, float("nan"), pd.NA, pd.NaT, ""], salt="s", share=share)
    assert len(set(missing)) == 1
    assert samebook.assign([7, "7"], salt="s", share=share) in (["champion"] * 2, ["challenger"] * 2)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("share: 1.5", "ab_test.share: found 1.5; "),
        ("share: -0.1", "ab_test.share: found -0.1; "),
        ("end: 2013-06-30", "start 2013-07-01 is after end 2013-06-30"),
        ("end: tomorrow", "ab_test.end: found 'tomorrow'; "),
        ("challenger: ../delay", "ab_test.challenger: found '../delay'; "),
        ("metric: f1", "ab_test.metric: found 'f1'; "),
        ("salt: ''", "ab_test.salt: found ''; "),
        ("entitiy: id", "unknown setting 'ab_test.entitiy'; did you mean entity?"),
    ],
)
def test_setting_refused(change: str, expected: str, tmp_path: Path) -> None:
    """An experiment that can't be is refused, with the setting's name and what was found."""
    name = change.split(":")[0]
    lines = {"experiment": "deeper", "salt": "s", "challenger": "delay@x", "share": "0.5"}
    lines |= {"start": "2013-07-01", "end": "2013-07-14", name: change.split(": ")[1]}
    text = "ab_test: {" + ", ".join(f"{key}: {value}" for key, value in lines.items()) + "}"
    with pytest.raises(UsageError) as refused:
        settings.load(Workspace(Tiny.create(tmp_path / "workspace", text).root), "dev")
    assert expected in str(refused.value)


def configure(tiny: Tiny, challenger: str) -> None:
    (tiny.root / "environments" / "dev.yml").write_text(promoting.DEV + AB_TEST.format(challenger=challenger))


@pytest.mark.parametrize("before", ["delay@x", ""])
def test_reproduction_sees_same(before: str, tiny: Tiny) -> None:
    """A run's experiment, or that there was none, is what its reproduction sees, whatever the settings say by then."""
    tiny.notebook("ask", work=ASK)
    (tiny.root / "environments" / "dev.yml").write_text(AB_TEST.format(challenger=before) if before else "")
    assert tiny.samebook("run", "ask").code == 0
    (tiny.root / "environments" / "dev.yml").write_text("" if before else AB_TEST.format(challenger="delay@x"))
    receipt = tiny.last / "receipt.json"
    assert "settings ab_test" in receipt.read_text()
    for arguments in (["run", "--receipt", str(receipt)], ["run", "ask"]):
        assert tiny.samebook(*arguments).code == 0
    first, again, now = ((run / "outputs" / "found.txt").read_text() for run in sorted_by_end(tiny))
    assert first == again != now


def sorted_by_end(tiny: Tiny) -> list[Path]:
    return sorted(tiny.runs, key=lambda run: (run / "receipt.json").stat().st_mtime_ns)


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A model promoted on main, another on the branch `better`, and none on `empty`."""
    tiny = promoting.create(tmp_path_factory.mktemp("promoted") / "workspace", 3, 5)
    git(tiny, "branch", "empty")
    promoting.promote(tiny, 3)
    git(tiny, "switch", "--quiet", "--create", "better")
    promoting.promote(tiny, 5)
    git(tiny, "switch", "--quiet", "main")
    tiny.notebook("predict", parameters=PARAMETERS, work="import samebook\nsamebook.ab_test()")
    return tiny


@pytest.mark.host
@pytest.mark.parametrize(
    ("challenger", "expected"),
    [
        ("delay@nowhere", "no branch, tag or commit 'nowhere' in this repository"),
        ("delay@empty", "there is no models/delay.json at empty"),
        ("dealy", "no model 'dealy' is promoted here; did you mean delay?"),
        ("train", "no model 'train' is promoted here"),
    ],
)
def test_challenger_must_be_promoted(challenger: str, expected: str, promoted: Tiny) -> None:
    """A variant that isn't promoted, or whose branch isn't there, is refused before a kernel starts."""
    configure(promoted, challenger)
    before = promoted.runs
    assert expected in stderr_of(promoted.samebook("run", "predict"), 2)
    assert promoted.runs == before


@pytest.mark.host
def test_challenger_checked_in_time(promoted: Tiny) -> None:
    """Only what scores on one of the experiment's days needs its variants: the day after, they may be gone."""
    configure(promoted, "delay@nowhere")
    assert promoted.samebook("run", "predict", "-p", "day=2013-07-15", "--dry-run").code == 0
    assert promoted.samebook("run", "score", "--dry-run").code == 0
    configure(promoted, "delay@better")
    assert promoted.samebook("run", "predict", "-p", "day=2013-07-14", "--dry-run").code == 0


@pytest.mark.host
def test_damaged_challenger_found(promoted: Tiny, tmp_path: Path) -> None:
    """A challenger whose file isn't in the store is found before a kernel starts, with the command that mends it."""
    tiny = promoting.copy(promoted, tmp_path / "workspace")
    configure(tiny, "delay@better")
    bundle = json.loads(git(tiny, "show", "better:models/delay.json"))
    digest = bundle["artifacts"]["outputs/model.txt"]["sha256"]
    next((tiny.root / "store").rglob(digest)).unlink()
    assert "-> make models MODEL=delay@better" in stderr_of(tiny.samebook("run", "predict"), 2)
