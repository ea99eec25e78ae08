"""Git: the patch of uncommitted changes, and the temporary checkout that is always removed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import CHECKOUT, PATIENCE

from samebook.core import git, head, text, uncommitted
from samebook.core.errors import UsageError

pytestmark = pytest.mark.host

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b.c")
HOLDING_PROGRAM = """
import sys, time
from pathlib import Path
from samebook.core import git, signals
with signals.as_errors(), git.worktree(Path(sys.argv[1]), "HEAD") as checkout:
    print(checkout, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one commit: a.txt holds `a`, everything under .samebook is ignored."""
    root = tmp_path / "repository"
    root.mkdir()
    (root / "a.txt").write_text("a\n")
    (root / ".gitignore").write_text("/.samebook/\n")
    git.git(root, "init", "--quiet")
    git.git(root, "add", "--all")
    git.git(root, *IDENTITY, "commit", "--quiet", "-m", "first")
    return root


def assert_untouched(root: Path) -> None:
    """The checkout is unchanged, and has no worktree beside it, on disk or in git's list."""
    assert git.git(root, "status", "--porcelain") == b""
    assert (root / "a.txt").read_text() == "a\n"
    assert git.git(root, "worktree", "list").count(b"\n") == 1
    assert list((root / ".samebook").glob("*")) == []


def test_worktree_is_the_commit(root: Path) -> None:
    """The worktree has the commit's files, whatever has changed since; it leaves nothing behind."""
    first = git.head(root)
    (root / "a.txt").write_text("b\n")
    git.git(root, *IDENTITY, "commit", "--quiet", "--all", "-m", "second")
    with git.worktree(root, first) as checkout:
        assert (checkout / "a.txt").read_text() == "a\n"
        assert git.head(checkout) == first
    assert not checkout.exists()
    assert (root / "a.txt").read_text() == "b\n"


@pytest.mark.parametrize("commit", ["0" * 40, "no-such-branch", ""])
def test_unknown_commit_is_refused(root: Path, commit: str) -> None:
    """A commit that is not in the repository is refused, with the command that fetches it."""
    with pytest.raises(UsageError, match="is not in this repository") as raised, git.worktree(root, commit):
        pass
    assert raised.value.mend == "git fetch --all"
    assert_untouched(root)


def test_worktree_ends_with_error(root: Path) -> None:
    """The worktree is removed when the block fails, also with files that nobody committed in it."""

    def fail() -> None:
        with git.worktree(root, "HEAD") as checkout:
            (checkout / "new.txt").write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert_untouched(root)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_worktree_ends_with_signal(root: Path, signum: int) -> None:
    """The worktree is removed after Ctrl-C and after SIGTERM."""
    command = [sys.executable, "-c", HOLDING_PROGRAM, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        checkout = Path(process.stdout.readline().strip())
        assert (checkout / "a.txt").is_file()
        os.kill(process.pid, signum)
        assert process.wait(PATIENCE) != 0
    assert_untouched(root)


def test_abandoned_worktree_is_removed(root: Path) -> None:
    """The worktree of a killed process is removed when the next one is made."""
    command = [sys.executable, "-c", HOLDING_PROGRAM, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert Path(process.stdout.readline().strip()).is_dir()
        process.kill()
    with git.worktree(root, "HEAD"):
        pass
    assert_untouched(root)


def test_patch_holds_all(root: Path) -> None:
    """The patch makes the worktree equal to the checkout: changed, new, removed, renamed and binary files."""
    (root / "a.txt").rename(root / "b.txt")
    (root / "new").mkdir()
    (root / "new" / "name with blanks.bin").write_bytes(bytes(range(256)))
    patch = uncommitted.changes(root).patch
    assert patch
    with git.worktree(root, "HEAD", patch) as checkout:
        files = {path.relative_to(checkout).as_posix() for path in checkout.rglob("*") if path.is_file()}
        assert files == {".git", ".gitignore", "b.txt", "new/name with blanks.bin"}
        assert (checkout / "new" / "name with blanks.bin").read_bytes() == bytes(range(256))


def test_patch_that_does_not_fit(root: Path) -> None:
    """A patch that does not fit the commit raises git's own error, and leaves nothing behind."""
    with pytest.raises(UsageError, match="git apply failed"), git.worktree(root, "HEAD", b"no patch"):
        pass
    assert_untouched(root)


def test_committed_has_no_patch(root: Path) -> None:
    """Where all is committed, the patch is empty; ignored files do not count."""
    (root / ".samebook").mkdir()
    (root / ".samebook" / "cache").write_text("x")
    assert uncommitted.changes(root).patch == b""


def test_no_repository(tmp_path: Path) -> None:
    """Outside a repository, the error has git's own message."""
    with pytest.raises(UsageError, match="git rev-parse failed: fatal: not a git repository"):
        git.head(tmp_path)


def test_patch_ignores_configuration(root: Path) -> None:
    """The patch holds all changes and applies, however the user has configured git."""
    settings = {
        "diff.noprefix": "true",
        "color.ui": "always",
        "status.showUntrackedFiles": "no",
        "diff.external": "false",
    }
    for name, value in {**settings, "apply.whitespace": "error", "diff.renames": "copies"}.items():
        git.git(root, "config", name, value)
    (root / "a.txt").write_text("a trailing blank \n")
    (root / "new.py").write_text("N = 1\n")
    patch = uncommitted.changes(root).patch
    assert patch
    with git.worktree(root, "HEAD", patch) as checkout:
        assert (checkout / "a.txt").read_text() == "a trailing blank \n"
        assert (checkout / "new.py").is_file()


def test_inner_repository_fits_no_patch(root: Path) -> None:
    """A repository inside the repository does not fit into a patch, and does not count as clean."""
    inner = root / "inner"
    inner.mkdir()
    git.git(inner, "init", "--quiet")
    (inner / "file.txt").write_text("inner")
    git.git(inner, "add", "--all")
    git.git(inner, *IDENTITY, "commit", "--quiet", "-m", "inner")
    assert uncommitted.changes(root).patch is None


def test_worktree_runs_no_hook(root: Path, tmp_path: Path) -> None:
    """The user's post-checkout hook does not run in the temporary checkout."""
    hook = root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    with git.worktree(root, "HEAD") as checkout:
        assert (checkout / "a.txt").is_file()
    assert not (tmp_path / "ran").exists()


SIGNING_PROGRAM = """#!/bin/sh
case "$*" in
  *--verify*) echo "gpg: Good signature" >&2; echo "[GNUPG:] GOODSIG 1 a" ;;
  *) cat >/dev/null; echo "[GNUPG:] SIG_CREATED D" >&2
     printf '%s\\n' '-----BEGIN PGP SIGNATURE-----' '' x '-----END PGP SIGNATURE-----' ;;
esac
"""


def test_contents_ignore_configuration(root: Path, tmp_path: Path) -> None:
    """Every content is listed, newest first, even where the user's git shows signatures or hides the first commit."""
    program = tmp_path / "gpg"
    program.write_text(SIGNING_PROGRAM)
    program.chmod(0o755)
    for name, value in {"gpg.program": str(program), "log.showSignature": "true", "log.showRoot": "false"}.items():
        git.git(root, "config", name, value)
    (root / "a.txt").write_text("b\n")
    git.git(root, *IDENTITY, "commit", "--quiet", "--all", "-S", "-m", "second")
    assert b"Good signature" in git.git(root, "log")
    assert list(git.contents(root, "a.txt")) == [b"b\n", b"a\n"]


@pytest.mark.forger
@pytest.mark.parametrize("has_git", [True, False], ids=["git", "image"])
@pytest.mark.parametrize("place", ["refs/heads/prod", "refs/remotes/origin/prod"])
def test_branch_before_tag(
    root: Path, place: str, has_git: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tag of a branch's name does not hide the branch, here or at origin, with git or without, and both are said; a
    hook's GIT_DIR changes nothing.
    """
    branch = git.head(root)
    git.git(root, "update-ref", place, branch)
    git.git(root, *IDENTITY, "commit", "--quiet", "--allow-empty", "-m", "more")
    for name in ("prod", "origin/prod", branch):
        git.git(root, "tag", name)
    git.git(root, "update-ref", f"refs/remotes/origin/{branch}", "HEAD")
    git.git(root, "update-ref", "refs/remotes/origin/HEAD", branch)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    tip = git.head(root)
    if not has_git:
        monkeypatch.setattr(git.shutil, "which", lambda _: None)
    text.warn.cache_clear()
    for _ in range(2):
        assert git.commit(root, "prod") == branch != tip
    said = f"warning: prod is a branch and a tag: taking the branch, {branch[:12]}; refs/tags/prod is the tag\n"
    assert capsys.readouterr().err == said
    assert git.commit(root, "refs/tags/prod") == git.commit(root, "HEAD") == tip
    assert git.commit(root, branch) == branch
    if has_git:
        assert git.commit(root, "HEAD~1") == git.commit(root, "@~1") == branch
    if place != "refs/heads/prod":
        assert git.commit(root, "origin/prod") == branch


def test_shallow_clone(root: Path, tmp_path: Path) -> None:
    """In a shallow clone, the error about an older commit names the command that fetches the history."""
    first = git.head(root)
    git.git(root, *IDENTITY, "commit", "--quiet", "--allow-empty", "-m", "second")
    shallow = tmp_path / "shallow"
    git.git(root, "clone", "--quiet", "--depth", "1", f"file://{root}", str(shallow))
    with pytest.raises(UsageError, match="no branch, tag or commit") as unknown:
        git.commit(shallow, first)
    with pytest.raises(UsageError, match="is not in this repository") as missing, git.worktree(shallow, first):
        pass
    assert unknown.value.mend == missing.value.mend == "git fetch --unshallow"


def test_data_keep_their_bytes(tmp_path: Path) -> None:
    """A data file that is put into git comes back with the same bytes, whatever its line ends; code gets LF."""
    (tmp_path / ".gitattributes").write_bytes((CHECKOUT / ".gitattributes").read_bytes())
    contents = {"notebooks/a.csv": b"x\r\n1\r\n", "notebooks/b.txt": b"a\r\nb\n", "datasets/c.json": b"{}\r\n"}
    for name, content in {**contents, "notebooks/work.py": b"x = 1\r\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    git.git(tmp_path, "init", "--quiet")
    git.git(tmp_path, "add", "--all")
    files = [*contents, "notebooks/work.py"]
    for name in files:
        (tmp_path / name).unlink()
    git.git(tmp_path, "-c", "core.autocrlf=true", "checkout", "--", *files)
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
    assert (tmp_path / "notebooks" / "work.py").read_bytes() == b"x = 1\n"


def test_checkout_of_a_folder(root: Path) -> None:
    """A workspace in a folder of a repository is checked out as that folder, with its changes; its names are found."""
    folder = root / "team" / "work"
    folder.mkdir(parents=True)
    (folder / "b.txt").write_text("b\n")
    git.git(root, "add", "--all")
    git.git(root, *IDENTITY, "commit", "--quiet", "--message", "folder")
    assert git.file_names(root / "team", "HEAD", "work", ".txt") == ["b"]
    (folder / "b.txt").write_text("changed\n")
    patch = uncommitted.changes(folder).patch
    assert patch is not None
    with git.worktree(folder, "HEAD", patch) as checkout:
        assert checkout.parts[-2:] == ("team", "work")
        assert (checkout / "b.txt").read_text() == "changed\n"
        assert (checkout.parents[1] / "a.txt").is_file()


def test_unborn_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first commit HEAD has no file and no past, also where git's program is missing."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    for program in (git.shutil.which("git"), None):
        monkeypatch.setattr(git.shutil, "which", lambda _, program=program: program)
        assert head.content(tmp_path, "environments/dev.yml") is None
        assert head.file_names(tmp_path, "environments") == []
        assert not git.is_ancestor(tmp_path, "0" * 40)


def test_shallow_without_git(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone without its history is known as one also where git's program is missing."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{root}", str(clone)], check=True)
    for path in (os.environ["PATH"], str(tmp_path)):
        monkeypatch.setenv("PATH", path)
        assert [git.is_shallow(folder) for folder in (root, clone)] == [False, True]


def test_versions_read_what_differs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The versions of a file are the same with git and without; without it only contents that differ are read."""
    from dulwich.repo import Repo

    folder = root / "folder"
    (folder / "models").mkdir(parents=True)
    path = folder / "models" / "b.json"
    for number in range(30):
        if number in (3, 9, 21):
            path.write_text(f"{number}\n")
        if number == 15:
            path.unlink()
        if number == 18:  # beside it
            (path.parent / "c.json").write_text("c\n")
        (root / "a.txt").write_text(f"{number}\n")
        git.git(root, "add", "--all")
        git.git(root, *IDENTITY, "commit", "--quiet", "-m", "more")
    found = list(head.versions(folder, "models/b.json"))
    assert [content for _, content in found] == [b"21\n", None, b"9\n", b"3\n"]
    reads, read = list[str](), Repo.__getitem__

    def counted(self: Repo, name: bytes) -> object:
        stored = read(self, name)
        reads.append(stored.type_name.decode())
        return stored

    monkeypatch.setattr(Repo, "__getitem__", counted)
    monkeypatch.setattr(git.shutil, "which", lambda _: None)
    assert list(head.versions(folder, "models/b.json")) == found
    assert list(head.versions(folder, "models/none.json")) == list(head.versions(folder, "a.txt/b")) == []
    reads.clear()
    assert list(head.versions(folder, "models/b.json")) == found
    assert reads.count("blob") == 3  # and not one for each commit


def test_folder_is_no_file_without_git(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path below a file, and a folder, are no files at HEAD, also where git's program is missing."""
    (root / "folder").mkdir()
    (root / "folder" / "b.txt").write_text("b")
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run(["git", *IDENTITY, "commit", "--quiet", "-m", "b"], cwd=root, check=True)
    for program in (git.shutil.which("git"), None):
        monkeypatch.setattr(git.shutil, "which", lambda _, program=program: program)
        assert [head.content(root, path) for path in ("folder", "a.txt/b", "folder/b.txt")] == [None, None, b"b"]
