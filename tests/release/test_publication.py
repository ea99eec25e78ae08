"""Published images in settings: the text that names them, their commit, and what a policy makes of them."""

import os
import subprocess
from pathlib import Path

import pytest
from published import IMAGES, Checkout, of
from tiny import CHECKOUT

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import machine, settings
from samebook.models import published_image
from samebook.release import docker, publication
from samebook.verbs import doctor, verify_image
from samebook.verbs.publish import own_registry

TEXT = """# What people rely on.
promotion:
  pinned_image: true  # by its digest
published: {commit: x}
cell_timeout: 3600
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_text_keeps_the_rest() -> None:
    """Only the published images change in the text of settings; comments and order stay, and twice is as once."""
    images = of("0" * 40)
    text = publication.written(TEXT.encode(), images, Path("prod.yml"))
    assert text.decode() == TEXT.replace("published: {commit: x}\n", "") + (
        f'published:\n  commit: "{"0" * 40}"\n  runtime: "{IMAGES[0]}"\n'
    )
    assert publication.written(text, images, Path("prod.yml")) == text
    assert publication.written(b"a: 1", images, Path("prod.yml")).startswith(b"a: 1\npublished:\n")


@pytest.mark.parametrize("text", ["{promotion: {}, published: {}}\n", "'published': {commit: x}\n", "--- {}\n"])
def test_text_that_can_not_be_changed(text: str) -> None:
    """Settings of another form are left alone, rather than written wrongly."""
    with pytest.raises(UsageError, match="published"):
        publication.written(text.encode(), of("0" * 40), Path("prod.yml"))


@pytest.mark.parametrize("hidden", ["ignored", "flagged"])
def test_what_git_does_not_see_is_not_published(checkout: Checkout, hidden: str) -> None:
    """A settings file that git ignores, or is told to take as unchanged, holds what nobody has committed."""
    name = f"environments/{'mine' if hidden == 'ignored' else 'prod'}.yml"
    path = checkout.root / name
    if hidden == "ignored":
        (checkout.root / ".git" / "info" / "exclude").write_text("mine.yml\n")
    else:
        assert publication.committed(checkout.workspace, path) == path.read_bytes()
        checkout.git("update-index", "--skip-worktree", name)
    checkout.write(name, "cell_timeout: 7  # a word for me alone\n")
    assert checkout.git("status", "--porcelain") == ""
    with pytest.raises(UsageError, match=f"{name} is not as it is committed") as error:
        publication.committed(checkout.workspace, path)
    assert "a word" not in str(error.value)


def test_mirror_with_a_password(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a Debian mirror stands in the history of an image with Debian packages: without a password."""
    monkeypatch.setenv("DEBIAN_MIRROR", "https://ci:secret@debian.example.com")
    publication.check_mirror(checkout.workspace, checkout.first)  # no image has a step for them
    checkout.write("environments/apt.lock", "")
    with pytest.raises(UsageError, match="DEBIAN_MIRROR has a user or a password") as error:
        publication.check_mirror(checkout.workspace, checkout.commit())
    assert "secret" not in str(error.value)


def test_wrong_at_head(checkout: Checkout) -> None:
    """What is published wrongly in the settings of any environment at HEAD is an error that names the file."""
    checkout.write("environments/preprod.yml", "published: {runtime: churn}\n")
    checkout.commit()
    with pytest.raises(UsageError, match=r"environments/preprod\.yml at HEAD"):
        publication.source(checkout.workspace)


def test_image_writes_no_verdict(checkout: Checkout) -> None:
    """The base that an image claims makes no line of its own, which could say another verdict."""
    base, note = verify_image._base(checkout.workspace, checkout.first, "x\nIDENTICAL: it is")
    assert (base, note.count("\n")) == ("", 0)


def test_digests_make_no_new_image(checkout: Checkout) -> None:
    """After a publication the next environment gets the same commit's image; after anything else, HEAD's."""
    assert publication.source(checkout.workspace) == checkout.first
    checkout.publish("preprod", of(checkout.first))
    checkout.publish("prod", of(checkout.first, IMAGES[1]))
    assert publication.source(checkout.workspace) == checkout.first
    checkout.write("environments/prod.yml", (checkout.root / "environments/prod.yml").read_text() + "cell_timeout: 5\n")
    second = checkout.commit()
    assert publication.source(checkout.workspace) == second
    checkout.write("environments/new.yml", "cell_timeout: 5\n")
    checkout.publish("prod", of(second))
    assert publication.source(checkout.workspace) == checkout.git("rev-parse", "HEAD") != second


def test_policy_means_what_was_published(checkout: Checkout) -> None:
    """A run counts in an image that its environment has published, now or before; of another one, not."""
    workspace, (old, new, other) = checkout.workspace, IMAGES
    assert published_image.problem(workspace, "prod", other) == ""
    checkout.publish("prod", of(checkout.first, old))
    checkout.publish("prod", of(checkout.first, new))
    for image in (old, new, f"mirror/churn@{new.rpartition('@')[2]}", new.rpartition("@")[2]):
        assert published_image.problem(workspace, "prod", image) == ""
    for image in (other, None, f"sha256:{'d' * 64}"):
        assert published_image.problem(workspace, "prod", image).endswith(f"was never published for prod, as {new} is")
    assert published_image.problem(workspace, "preprod", other) == ""
    checkout.git("revert", "--no-edit", "HEAD")
    assert published_image.names(workspace, "prod") == [old]
    assert published_image.problem(workspace, "prod", new) == ""


def test_policy_is_that_of_the_line(checkout: Checkout) -> None:
    """An edit that is not committed publishes nothing, and neither does a commit of a branch that was not merged."""
    checkout.publish("prod", of(checkout.first))
    checkout.git("switch", "--quiet", "--create", "other")
    checkout.publish("prod", of(checkout.first, IMAGES[1]))
    checkout.git("switch", "--quiet", "main")
    checkout.write("environments/prod.yml", f"published: {{commit: {checkout.first}, runtime: '{IMAGES[2]}'}}\n")
    for image in IMAGES[1:]:
        assert published_image.problem(checkout.workspace, "prod", image)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (f"{{commit: {'f' * 40}, runtime: churn:latest}}", "published.runtime"),
        (f"{{commit: main, runtime: '{IMAGES[0]}'}}", "published.commit"),
        (f"{{runtime: '{IMAGES[0]}'}}", "published.commit: not set"),
        (f"{{commit: {'f' * 40}, runtime: '{IMAGES[0]}', labb: '{IMAGES[0]}'}}", "did you mean lab"),
    ],
)
def test_wrong_setting(checkout: Checkout, section: str, message: str) -> None:
    """An image without a digest, a commit that is a branch, and a mistyped key are refused."""
    checkout.write("environments/prod.yml", f"published: {section}\n")
    with pytest.raises(UsageError, match=message):
        settings.load(checkout.workspace, "prod")


@pytest.mark.parametrize(
    "registry", ["", "https://r.example.com", "ci:secret@r.example.com", "r.example.com/Team", "-x"]
)
def test_wrong_registry(registry: str) -> None:
    """A registry's name is a host and a place; a password in it is not repeated."""
    with pytest.raises(UsageError, match="expected one like registry") as error:
        publication.check_registry(registry)
    assert "secret" not in str(error.value)


def test_registry_of_an_image() -> None:
    """The registry to log in at is the first part of a name that is a host; Docker's own has none."""
    hosts = {"localhost/a": "localhost", "localhost:1/a/b": "localhost:1", "r.io/a": "r.io", "team/a": "", "a": ""}
    assert {name: docker.host(name) for name in hosts} == hosts


@pytest.mark.parametrize(
    ("text", "image"),
    [
        (
            f"published:\n  commit: x\n  runtime: {IMAGES[0]}  # now\n  lab: {IMAGES[1]}\nwatch: {{runtime: no}}\n",
            IMAGES[0],
        ),
        (f"published: {{lab: {IMAGES[1]}, runtime: '{IMAGES[0]}'}}\n", IMAGES[0]),
        (f"# published: {{runtime: {IMAGES[0]}}}\nnumerics: fast\n  runtime: no\n", ""),
        ("published:\n  runtime: $(touch f)\n", "$(touch"),
    ],
)
def test_make_reads_it(tmp_path: Path, text: str, image: str) -> None:
    """make reads the image without Python, from either form of YAML, and runs nothing of what it finds."""
    (tmp_path / "prod.yml").write_text(text)
    command = (CHECKOUT / "environments" / "host", "published", "prod.yml")
    for names in ({}, {"POSIXLY_CORRECT": "1"}):  # and with the tools of other systems, whose sed knows no \\t
        env = {**os.environ, **names}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == image
    assert not (tmp_path / "f").exists()


def test_doctor_compares(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor says which image an environment has, whether it is this one, and what HEAD has otherwise."""
    checkout.publish("prod", of(checkout.first))
    (finding,) = doctor._published(checkout.workspace)
    assert (finding.what, finding.ok) == ("image for prod", True)
    assert finding.found == f"pulled by its runs, of {checkout.first[:12]}"
    monkeypatch.setenv("SAMEBOOK_IMAGE", IMAGES[0])  # which only a container has
    monkeypatch.setattr(machine, "is_image", lambda: True)
    checkout.write("environments/runtime.txt", "numpy==2\n")
    checkout.commit()
    (finding,) = doctor._published(checkout.workspace)
    assert not finding.ok
    assert finding.found.startswith("this container's, of ")
    assert finding.found.endswith(", with another environments/runtime.txt than HEAD")
    checkout.publish("prod", of("f" * 40))
    (finding,) = doctor._published(checkout.workspace)
    assert finding.found.endswith("which is not here")


def test_registry_of_the_project(tmp_path: Path) -> None:
    """Without REGISTRY images go to the one that the project was made with; without one it is asked for."""
    workspace = Workspace(tmp_path)
    assert own_registry(workspace) == ""
    answers = "_commit: 0.1.0\nname: churn\nexample: tiny\nregistry: registry.example.com/team\n"
    (tmp_path / ".copier-answers.yml").write_text(answers)
    assert own_registry(workspace) == "registry.example.com/team"
    with pytest.raises(UsageError, match="REGISTRY is not a registry"):
        publication.check_registry("")
