"""What a run must show before its model is promoted: one function a condition, each with what mends it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from samebook import bundle, comparison, evidence, gating, git, receipt, reproduction, settings, signing
from samebook.digest import sha256
from samebook.errors import PolicyRefused, SamebookError, UsageError
from samebook.receipt import Json
from samebook.workspace import Workspace


@dataclass(frozen=True)
class Candidate:
    """A finished run that is to be promoted as `model`, under the policy of an environment.

    `champion` is the bundle of that name on this branch; `gate` is the finished comparison of the two.
    """

    here: Workspace
    model: str
    path: Path
    statement: Json
    policy: settings.Promotion
    attestations: tuple[tuple[Path, Json], ...]
    champion: bundle.Bundle | None
    gate: bundle.Gate | None

    @property
    def run(self) -> str:
        return self.path.parent.name

    @property
    def commit(self) -> Json:
        return receipt.dependency(self.statement, receipt.COMMIT) or {"digest": {"gitCommit": ""}}


@dataclass(frozen=True)
class Unmet:
    """A condition that does not hold: what was found, and the command that mends it."""

    what: str
    mend: str


def unmet(candidate: Candidate) -> list[Unmet]:
    """Every condition of the policy that the candidate does not meet."""
    return [found for condition in CONDITIONS if (found := condition(candidate))]


def _whole(candidate: Candidate) -> Unmet | None:
    wrong = evidence.wrong(evidence.files(candidate.here, candidate.path, candidate.statement))
    what = f"its files are not what its receipt says: {'; '.join(wrong)}"
    return Unmet(what, "run it again") if wrong else None


def _undrifted(candidate: Candidate) -> Unmet | None:
    drift = candidate.statement["predicate"]["buildDefinition"]["internalParameters"].get("drift")
    what = f"it ran in an environment that is not the lock's: {', '.join(drift or ())}"
    return Unmet(what, "run it again without --allow-drift") if drift else None


def _clean_commit(candidate: Candidate) -> Unmet | None:
    again = f"git commit, then {_again(candidate)}"
    name = candidate.commit["digest"]["gitCommit"]
    if candidate.policy.clean_commit and candidate.commit.get("annotations", {}).get("dirty", True):
        return Unmet("it ran on changes that are not committed", again)
    try:
        known = git.commit(candidate.here.root, name) == name
    except UsageError:
        known = False
    return None if known else Unmet(f"its commit {name[:12] or 'is not named'} is not in this repository", "git fetch")


def _pinned_image(candidate: Candidate) -> Unmet | None:
    if not candidate.policy.pinned_image:
        return None
    found = {name: (receipt.dependency(candidate.statement, name) or {}).get("uri") for name in ("image", "base image")}
    loose = [f"{name} {uri or 'none'}" for name, uri in found.items() if "sha256:" not in (uri or "")]
    what = f"it did not run in an image whose base is pinned by digest: {', '.join(loose)}"
    return Unmet(what, _again(candidate, "ENGINE=docker")) if loose else None


def _reproduced(candidate: Candidate) -> Unmet | None:
    if not candidate.policy.reproduced:
        return None
    author = candidate.statement["predicate"]["runDetails"]["builder"]["id"]
    told = [each["predicate"] for _, each in candidate.attestations]
    same = [each for each in told if each["verdict"] == comparison.Verdict.IDENTICAL]
    if any(each["reproducer"]["builder"] != author for each in same):
        return None
    found = f"only by {author}, who made it" if same else f"{len(told)} times, never IDENTICAL" if told else "by nobody"
    mend = f"on another machine, or in CI: make reproduce RUN={candidate.run}, and bring reproduction-<n>.json here"
    return Unmet(f"it was reproduced {found}", mend)


def _signed(candidate: Candidate) -> Unmet | None:
    if not candidate.policy.signed:
        return None
    for path in (candidate.path, *(path for path, _ in candidate.attestations)):
        try:
            signers = signing.signers(candidate.here, path)
        except SamebookError as error:
            return Unmet(f"{path.name}: {error}", error.mend or "sign it")
        if not signers:
            return Unmet(f"{path.name} is not signed by a trusted key", "SIGNING_KEY=me.pem make run …")
    return None


def _gate(candidate: Candidate) -> Unmet | None:
    gate = candidate.policy.gate
    if gate is None:
        return None
    if candidate.gate is None:
        champion = f" champion={candidate.model}" if candidate.champion else ""
        compare = f"make run NOTEBOOK={gate.notebook} PARAMS='candidate={candidate.run}{champion}'"
        return Unmet("it was not compared with the champion and the baseline yet", f"{compare}; a promotion does it")
    worse = list(gating.behind(gate, candidate.gate.metrics))
    return Unmet("; ".join(worse), "train a better one, or change promotion.gate in the settings") if worse else None


def _again(candidate: Candidate, *more: str) -> str:
    return " ".join((f"make run NOTEBOOK={Path(receipt.external(candidate.statement)['notebook']).stem}", *more))


CONDITIONS: tuple[Callable[[Candidate], Unmet | None], ...] = (
    *(_whole, _undrifted, _clean_commit, _pinned_image, _reproduced, _signed, _gate),
)


def enforce(candidate: Candidate, env: str) -> None:
    """Raise PolicyRefused with every unmet condition, each with what mends it."""
    found = unmet(candidate)
    if found:
        lines = (f"  - {each.what}\n    -> {each.mend}" for each in found)
        raise PolicyRefused(
            "\n".join((f"{candidate.run} can't be promoted as {candidate.model} in {env}:", *lines)),
            mend="see what the policy asks: make settings ENV=" + env,
        )


def attestations(path: Path) -> tuple[tuple[Path, Json], ...]:
    """The reproductions beside a receipt that speak of this very receipt, oldest first."""
    found = ((each, reproduction.read(each)) for each in sorted(path.parent.glob("reproduction-*.json")))
    digest = sha256(path)
    return tuple((each, told) for each, told in found if told and told["predicate"]["receipt"]["sha256"] == digest)
