"""The jobs of a forge: one table for both, what each may and gets, and the files that are made of it."""

import json
import re
from typing import Any

import pytest
import yaml
from tiny import CHECKOUT

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.forge import github, gitlab, rules
from samebook.forge.job import Project
from samebook.verbs.ci import CiRequest, ci

pytestmark = [pytest.mark.fast, pytest.mark.host]

TEMPLATE = CHECKOUT / "scripts" / "samebook" / "projects" / "template" / "project"
PROJECT = Project("prod", ("S3_KEY", "S3_TEXT"), ("dev", "preprod", "prod"))
WORKFLOWS = github.files(PROJECT)
# The jobs of GitHub's workflows, and GitLab's.
GITHUB = {name: job for text in WORKFLOWS.values() for name, job in yaml.safe_load(text)["jobs"].items()}
GITLAB = {name: job for name, job in yaml.safe_load(gitlab.files(PROJECT)[gitlab.FILE]).items() if "script" in job}
# A secret of a step on GitHub, by its name.
SECRET = re.compile(r"\$\{\{ secrets\.(\w+) \}\}")


def commands(text: str) -> set[str]:
    """The calls of make in a script, without the words of a forge."""
    lines = re.split(r"\n|&& ", text)
    found = (re.sub(r"\$\{\{.*?\}\}|\$\w+", "…", line.strip()) for line in lines)
    return {line.strip() for line in found if line.startswith("make ")}


def test_files_are_of_the_table() -> None:
    """This repository's jobs and those of a new project are what the table gives: make ci AS=github writes them."""
    files = ci(Workspace(CHECKOUT), CiRequest("github"))
    for name in (f"{github.FOLDER}/reproduce.yml", f"{github.FOLDER}/publish.yml"):
        assert (CHECKOUT / name).read_text() == files[name], name
    own = (CHECKOUT / github.FOLDER / "ci.yml").read_text()
    part = files[f"{github.FOLDER}/ci.yml"]
    assert own.endswith(part[part.index("  review:\n") :])
    assert (TEMPLATE / github.FOLDER / "ci.yml").read_text() == part
    assert (CHECKOUT / rules.RULESET).read_text() == rules.ruleset("samebook", ("all", "review"))


def test_both_forges_do_the_same() -> None:
    """Each job is on GitHub and on GitLab, with the same calls of make, by the same branch; the comment is GitHub's."""
    assert GITHUB.keys() - GITLAB.keys() == {"comment"}
    assert GITLAB.keys() <= GITHUB.keys()
    for name, job in GITLAB.items():
        other = GITHUB[name]
        assert commands("\n".join(job["script"])) == commands("\n".join(step.get("run", "") for step in other["steps"]))
        assert set(job.get("needs", ())) == set(other.get("needs", ()))
    assert commands("\n".join(GITLAB["publish-dev"]["script"])) == {'make publish ENV=dev REGISTRY="…" ENGINE=docker'}


@pytest.mark.parametrize("env", ["dev", "preprod", "prod"])
def test_branches(env: str) -> None:
    """What publishes or deploys runs for a push to its environment's own branch alone, where a variable asks for it."""
    branch = {"dev": "main"}.get(env, env)
    for name, switch in {f"{job}-{env}": "REGISTRY" for job in ("publish", "verify", "propose")}.items():
        assert GITHUB[name]["if"] == f"github.ref_name == '{branch}' && vars.{switch} != ''"
        rule = f'$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "{branch}" && ${switch}'
        assert GITLAB[name]["rules"] == [{"if": rule}]
    deployed = GITHUB[f"deploy-{env}"]
    assert (deployed["environment"], deployed["runs-on"]) == (env, ["self-hosted", f"samebook-{env}"])
    assert GITLAB[f"deploy-{env}"]["environment"] == {"name": env}
    assert GITLAB[f"deploy-{env}"]["rules"][0]["if"].endswith("&& $DEPLOY")
    triggers: Any = yaml.safe_load(WORKFLOWS[f"{github.FOLDER}/publish.yml"])[True]  # YAML 1.1 reads `on`
    assert triggers == {"push": {"branches": ["main", "preprod", "prod"]}}


def test_rights() -> None:
    """Reading is what a job may, but for a comment and a proposal, which run no code of the repository; an action is
    one of GitHub's own, by its commit; no workflow has the rights of the base and the code of a stranger.
    """
    for text in WORKFLOWS.values():
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
        assert "pull_request_target" not in text
        assert "workflow_run" not in text
    writing = {name for name, job in GITHUB.items() if "permissions" in job}
    assert writing == {"comment", *(f"propose-{env}" for env in PROJECT.envs)}
    fork = "github.event.pull_request.head.repo.full_name == github.repository"
    assert GITHUB["comment"]["if"] == fork
    for name in writing:
        lines = "\n".join(step.get("run", "") for step in GITHUB[name]["steps"])
        assert not re.search(r"^(make|samebook|python|\./)", lines, re.MULTILINE)
    actions = {step["uses"] for job in GITHUB.values() for step in job["steps"] if "uses" in step}
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action in actions)


def test_secrets() -> None:
    """A secret is a step's, never a job's; a pull request gets none but the key and the store's, each by a step of its
    own; the key is in no variable where make is called.
    """
    names = {name: set(SECRET.findall(str(job))) for name, job in GITHUB.items()}
    registry = {"REGISTRY_USER", "REGISTRY_PASSWORD"}
    of_registry = {f"{job}-{env}": registry for job in ("publish", "verify") for env in PROJECT.envs}
    expected = of_registry | {"reproduce": {"REPRODUCTION_KEY", "S3_KEY", "S3_TEXT"}}
    assert {name: found for name, found in names.items() if found} == expected
    assert not any(SECRET.search(str(job.get("env", ""))) for job in GITHUB.values())
    for job in GITHUB.values():
        for step in job["steps"]:
            if {"REPRODUCTION_KEY", *registry} & {*step.get("env", ())}:
                assert "make " not in step["run"]
    assert GITHUB["reproduce"]["environment"] == GITLAB["reproduce"]["environment"]["name"] == "reproduction"
    # No SECRETS=: make would hand them to the notebook.
    assert "SECRETS=" not in str(GITHUB["reproduce"]) + str(GITLAB["reproduce"])


def test_judged_by_the_base() -> None:
    """What judges a pull request checks its base out, and names the branch's commit as an argument alone. Only a base
    that nobody may push to judges: a branch of the author's own would give the key to its own code.
    """
    for name in ("ci", "reproduce"):
        triggers: Any = yaml.safe_load(WORKFLOWS[f"{github.FOLDER}/{name}.yml"])[True]
        assert triggers["pull_request"]["branches"] == ["main", "preprod", "prod"]
    own: Any = yaml.safe_load((CHECKOUT / github.FOLDER / "ci.yml").read_text())[True]
    assert own["pull_request"]["branches"] == ["main", "preprod", "prod"]
    content = yaml.safe_load(gitlab.files(PROJECT)[gitlab.FILE])
    rules_of = [content["workflow"]["rules"], *(job["rules"] for job in GITLAB.values())]
    requests = [rule["if"] for each in rules_of for rule in each if "merge_request" in rule["if"]]
    assert len(requests) == 4
    assert all(rule.endswith('&& $CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED == "true"') for rule in requests)
    for name in ("review", "reproduce"):
        assert "checkout --quiet -B base FETCH_HEAD^1" in GITHUB[name]["steps"][0]["run"]
        assert GITLAB[name]["script"][0].endswith("git checkout --quiet -B base FETCH_HEAD")
        assert 'RANGE="HEAD..$CI_COMMIT_SHA"' in GITLAB[name]["script"][-1]


def test_rules_of_branches() -> None:
    """Rules wait for checks that exist, with one approval, for administrators too; owners approve models."""
    files = ci(Workspace(CHECKOUT), CiRequest("github", owners=("@ada", "@team/models")))
    content = json.loads(files[rules.RULESET])
    parameters = {rule["type"]: rule.get("parameters", {}) for rule in content["rules"]}
    checks = {check["context"] for check in parameters["required_status_checks"]["required_status_checks"]}
    legs = {f"test ({engine})" for engine in GITHUB["test"]["strategy"]["matrix"]["engine"]}
    assert checks == {*legs, "review"}
    assert parameters["pull_request"]["required_approving_review_count"] == 1
    assert parameters["pull_request"]["require_code_owner_review"]
    assert content["bypass_actors"] == []
    for path in ("/models/", "/notebooks/gate.ipynb", "/Makefile", "/scripts/", "/samebook-*.gitlab-ci.yml"):
        assert f"{path} @ada @team/models\n" in files[".github/CODEOWNERS"]
    assert ".gitlab/CODEOWNERS" in ci(Workspace(CHECKOUT), CiRequest("gitlab", owners=("@ada",)))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (CiRequest("github", envs=("staging",)), "no branch is that of 'staging'"),
        (CiRequest("github", env="staging"), "staging"),
        (CiRequest("github", owners=("ada",)), "'ada' is not a person or a group"),
        (CiRequest("gitlab", owners=("@ada\n* @eve",)), "is not a person or a group"),
    ],
)
def test_refused(request_: CiRequest, message: str) -> None:
    """An environment without settings or branch, and an owner that is nobody's name, are refused."""
    with pytest.raises(UsageError, match=re.escape(message)):
        ci(Workspace(CHECKOUT), request_)


def test_schedules_are_included() -> None:
    """GitLab's file includes the schedules that are there, and their jobs are none of a push."""
    content = yaml.safe_load(gitlab.files(Project(), ["samebook-prod.gitlab-ci.yml"])[gitlab.FILE])
    assert content["include"] == [{"local": "/samebook-prod.gitlab-ci.yml"}]
    assert {"if": '$CI_PIPELINE_SOURCE == "schedule"'} in content["workflow"]["rules"]
    assert not any("schedule" in str(job["rules"]) for job in GITLAB.values())
