"""Uncommitted changes: no file of a run differs from the commit's without a patch, a name or an error."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import PATIENCE

from samebook.core import git, uncommitted
from samebook.core.errors import UsageError
from samebook.core.uncommitted import Changes
from samebook.core.workspace import Workspace
from samebook.environment import machine
from samebook.records import source, source_files

pytestmark = [pytest.mark.host, pytest.mark.forger]

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always")
CLEAN = Changes(b"")
HOST = Path(__file__).parents[2] / "environments" / "host"
INSTALL = Path(__file__).parents[2] / "environments" / "image" / "install"
READING = "import sys; from pathlib import Path; from samebook.core import uncommitted as u; "
READING += "assert u.changes(Path(sys.argv[1])).patch"


def commit(root: Path, *options: str) -> None:
    git.git(root, "add", "--all")
    git.git(root, *IDENTITY, "commit", "--quiet", "--all", "-m", "work", *options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a workspace in one commit: a notebook and a module beside it."""
    root = tmp_path / "repository"
    (root / "notebooks").mkdir(parents=True)
    (root / "environments").mkdir()
    (root / "environments" / "runtime.txt").write_text("")
    (root / "notebooks" / "tiny.ipynb").write_text("{}\n")
    (root / "notebooks" / "module.py").write_text("N = 1\n")
    (root / ".gitignore").write_text("/runs/\n/store/\n/data/\n*.secret.*\nlocal.yml\n__pycache__/\n")
    git.git(root, "init", "--quiet")
    commit(root)
    return root


def edit(root: Path) -> None:
    (root / "notebooks" / "module.py").write_text("N = 2\n")


def assume_unchanged(root: Path) -> None:
    git.git(root, "update-index", "--assume-unchanged", "notebooks/module.py")
    edit(root)


def skip_worktree(root: Path) -> None:
    git.git(root, "update-index", "--skip-worktree", "notebooks/module.py")
    edit(root)


def clean_filter(root: Path) -> None:
    (root / ".git" / "info" / "attributes").write_text("*.py filter=hide\n")
    git.git(root, "config", "filter.hide.clean", "sed s/2/1/")
    edit(root)


def replaced_blob(root: Path) -> None:
    edit(root)
    blob = git.git(root, "hash-object", "-w", "notebooks/module.py").decode().strip()
    git.git(root, "replace", "HEAD:notebooks/module.py", blob)


def replaced_commit(root: Path) -> None:
    first = git.head(root)
    edit(root)
    commit(root)
    second = git.head(root)
    git.git(root, "reset", "--quiet", first)
    git.git(root, "replace", first, second)


def missing_filter(root: Path) -> None:
    (root / ".git" / "info" / "attributes").write_text("*.py filter=gone\n")
    git.git(root, "config", "filter.gone.clean", "/gone/bin/python -m nbstripout")
    git.git(root, "config", "filter.gone.required", "true")
    edit(root)


def safecrlf(root: Path) -> None:
    git.git(root, "config", "core.autocrlf", "true")
    git.git(root, "config", "core.safecrlf", "true")
    (root / "notebooks" / "module.py").write_bytes(b"a\r\nb\n")


def note_on_submodules(root: Path) -> None:
    (root / "notebooks" / "note.md").write_text("# create mode 160000 is what git says of a submodule\n")


def read_only(root: Path) -> None:
    edit(root)
    for path in (root / ".git" / "objects", root / ".git"):
        path.chmod(0o555)


HIDDEN: tuple[Callable[[Path], None], ...] = (edit, assume_unchanged, skip_worktree, clean_filter, replaced_blob)
HIDDEN += (replaced_commit, missing_filter, safecrlf, note_on_submodules, read_only)


@pytest.mark.parametrize("change", HIDDEN, ids=lambda change: change.__name__)
def test_changed_file_is_in_patch(root: Path, change: Callable[[Path], None]) -> None:
    """A changed file is in the patch, byte for byte, whatever git was told to see; the repository does not grow."""
    change(root)
    before = {path for path in (root / ".git").rglob("*") if path.is_file()}
    patch = uncommitted.changes(root).patch
    assert {path for path in (root / ".git").rglob("*") if path.is_file()} == before
    (root / ".git").chmod(0o755)
    (root / ".git" / "objects").chmod(0o755)
    (root / ".git" / "info" / "attributes").unlink(missing_ok=True)
    git.git(root, "config", "core.autocrlf", "false")
    assert patch
    with git.worktree(root, "HEAD", patch) as checkout:
        for path in (root / "notebooks").iterdir():
            assert (checkout / "notebooks" / path.name).read_bytes() == path.read_bytes()


def test_ignored_sources_are_named(root: Path) -> None:
    """A module, a file of data or settings that git ignores are named; what Python writes beside them is not."""
    (root / "notebooks" / "__pycache__").mkdir()
    (root / "notebooks" / "__pycache__" / "module.pyc").write_text("")
    assert uncommitted.changes(root) == CLEAN
    (root / "notebooks" / "my.secret.py").write_text("N = 2\n")
    (root / "notebooks" / "my.secret.csv").write_text("n\n2\n")
    (root / "environments" / "local.yml").write_text("")
    changes = uncommitted.changes(root)
    assert changes.patch is None
    assert {line.partition(":")[0] for line in changes.unpatched} == {
        "notebooks/my.secret.py",
        "notebooks/my.secret.csv",
        "environments/local.yml",
    }


def test_links_of_results_are_clean(root: Path, tmp_path: Path) -> None:
    """A link in the place of runs, store or data is not a change; one among the sources is."""
    (tmp_path / "big").mkdir()
    for name in ("runs", "store", "data"):
        (root / name).symlink_to(tmp_path / "big")
    results = [root / name for name in ("runs", "store", "data")]
    assert uncommitted.changes(root, results) == CLEAN
    (root / "notebooks" / "link").symlink_to(tmp_path / "big")
    assert b"notebooks/link" in (uncommitted.changes(root, results).patch or b"")


def test_inner_repository_is_named(root: Path) -> None:
    """A repository inside the repository is named, though it has no commit; the commit is not lost for it."""
    git.git(root, "init", "--quiet", "scratch")
    read = source.read(Workspace(root), root / "notebooks" / "tiny.ipynb")
    assert (read.commit, read.patch) == (git.head(root), None)
    assert read.unpatched == ("scratch/: a repository of its own",)


def test_large_changes_are_named(root: Path) -> None:
    """Changes above the limit are in no patch, and the largest file is named with the limit."""
    (root / "notebooks" / "big.csv").write_bytes(b"0" * 2_000_000)
    (line,) = uncommitted.changes(root, limit=1).unpatched
    assert line == "notebooks/big.csv: 2 MB of changes, more than the 1 MB of a patch"


def test_large_file_by_pointer_is_clean(root: Path) -> None:
    """A file of git-lfs is the commit's where the pointer in the commit has its hash, and else in the patch."""
    path = root / "notebooks" / "big.bin"
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of x
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 1\n")
    commit(root)
    path.write_text("x")
    assert uncommitted.changes(root) == CLEAN
    path.write_text("y")
    assert b"notebooks/big.bin" in (uncommitted.changes(root).patch or b"")


def test_submodule_comes_along(root: Path) -> None:
    """A submodule is clean with Python's caches in it, is in the checkout aside, and is named where it was edited."""
    vendor = submodule(root)
    (vendor / "__pycache__").mkdir()
    (vendor / "__pycache__" / "mylib.pyc").write_text("")
    assert uncommitted.changes(root) == CLEAN
    with git.worktree(root, "HEAD") as checkout:
        assert (checkout / "notebooks" / "vendor" / "mylib.py").read_text() == "N = 1\n"
        assert uncommitted.changes(checkout) == CLEAN
    (vendor / "mylib.py").write_text("N = 2\n")
    assert uncommitted.changes(root) == Changes(None, ("notebooks/vendor/: changes in a submodule",))


def test_two_at_once(root: Path) -> None:
    """Several patches are made at once, while git itself holds the lock of the index."""
    edit(root)
    (root / ".git" / "index.lock").write_text("")
    programs = [subprocess.Popen([sys.executable, "-c", READING, str(root)]) for _ in range(4)]
    assert [program.wait(PATIENCE) for program in programs] == [0] * 4


def test_git_error_is_an_error(root: Path) -> None:
    """A repository that git can't read stops the run with git's words; without a commit there is nothing to lose."""
    path = root / "notebooks" / "tiny.ipynb"
    (root / ".git" / "HEAD").write_text("nothing\n")
    with pytest.raises(UsageError, match=r"can't be read: git .* failed"):
        source.read(Workspace(root), path)
    subprocess.run(["rm", "-rf", root / ".git"], check=True)
    assert source.read(Workspace(root), path).commit == ""
    git.git(root, "init", "--quiet")
    assert source.read(Workspace(root), path).commit == ""


def handed(root: Path, monkeypatch: pytest.MonkeyPatch) -> source.Source:
    """The source as a container reads it: make hands it the commit and the patch."""
    subprocess.run([HOST, "uncommitted", ".samebook/patches/1.patch"], cwd=root, check=True)
    monkeypatch.setenv("SAMEBOOK_COMMIT", git.head(root))
    monkeypatch.setenv("SAMEBOOK_PATCH", ".samebook/patches/1.patch")
    return source.read(Workspace(root), root / "notebooks" / "tiny.ipynb")


def test_make_hands_over_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patch for a container is samebook's own; what no patch can hold, and a patch that is gone, are named."""
    (root / ".git" / "info" / "exclude").write_text("/.samebook/\n")
    assert handed(root, monkeypatch).patch == b""
    clean_filter(root)
    (root / ".git" / "index.lock").write_text("")
    assert handed(root, monkeypatch).patch == uncommitted.changes(root).patch != b""
    git.git(root, "init", "--quiet", "scratch")
    assert handed(root, monkeypatch).unpatched == uncommitted.changes(root).unpatched
    (root / ".samebook" / "patches" / "1.patch").unlink()
    for path in (".samebook/patches/1.patch", ""):
        monkeypatch.setenv("SAMEBOOK_PATCH", path)
        assert source.read(Workspace(root), root / "notebooks" / "tiny.ipynb").patch is None


def large_file(root: Path) -> None:
    """A file of git-lfs, whose pointer is in the commit, beside another change."""
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of x
    for name in ("big.bin", "other big.bin"):
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 1\n"
        (root / "notebooks" / name).write_text(pointer)
    (root / ".gitattributes").write_text("*.bin filter=lfs\n")
    commit(root)
    (root / "notebooks" / "big.bin").write_text("x")
    (root / "notebooks" / "other big.bin").write_text("y")


def submodule(root: Path) -> Path:
    library = root.parent / "library"
    library.mkdir()
    (library / "mylib.py").write_text("N = 1\n")
    git.git(library, "init", "--quiet")
    commit(library)
    git.git(root, *IDENTITY, "submodule", "--quiet", "add", str(library), "notebooks/vendor")
    commit(root)
    return root / "notebooks" / "vendor"


def hidden_in_submodule(root: Path) -> None:
    vendor = submodule(root)
    git.git(vendor, "update-index", "--assume-unchanged", "mylib.py")
    (vendor / "mylib.py").write_text("N = 2\n")


def submodule_elsewhere(root: Path) -> None:
    vendor = submodule(root)
    (vendor / "mylib.py").write_text("N = 2\n")
    commit(vendor)


def in_place_of_submodule(root: Path) -> None:
    vendor = submodule(root)
    git.git(root, "submodule", "--quiet", "deinit", "--force", "--all")
    (vendor / "mylib.py").write_text("N = 2\n")


HANDED = (*HIDDEN, large_file, submodule, hidden_in_submodule, submodule_elsewhere, in_place_of_submodule)


@pytest.mark.parametrize("change", HANDED, ids=lambda change: change.__name__)
def test_no_cheat_is_handed_over(root: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]) -> None:
    """Whatever git was told to see, a container gets the same patch as a run beside it, or is told as well of changes
    that no patch can hold.
    """
    (root / ".git" / "info" / "exclude").write_text("/.samebook/\n")
    change(root)
    seen = uncommitted.changes(root)
    source_there = handed(root, monkeypatch)
    assert source_there.patch == seen.patch
    assert bool(source_there.unpatched) == bool(seen.unpatched)


def test_folder_is_handed_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a workspace in a folder of a larger repository a container gets the same patch as a run beside it."""
    inner = root / "team" / "churn"
    inner.mkdir(parents=True)
    for name in ("notebooks", "environments", ".gitignore"):
        (root / name).rename(inner / name)
    (root / "top.txt").write_text("1\n")
    commit(root)
    (root / ".git" / "info" / "exclude").write_text("/team/churn/.samebook/\n")
    (root / "elsewhere").mkdir()
    (inner / "data").symlink_to(root / "elsewhere")
    results = [inner / name for name in ("runs", "store", "data")]
    assert handed(inner, monkeypatch).patch == uncommitted.changes(inner, results).patch == b""
    (root / "top.txt").write_text("2\n")
    (inner / "notebooks" / "module.py").write_text("N = 2\n")
    patch = handed(inner, monkeypatch).patch
    assert patch == uncommitted.changes(inner, results).patch
    assert patch
    assert b"team/churn/notebooks/module.py" in patch
    (inner / "notebooks" / "my.secret.py").write_text("N = 2\n")
    assert handed(inner, monkeypatch).unpatched == uncommitted.changes(inner, results).unpatched


def test_release_image_knows_its_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the release image a file that was mounted over the commit's, or beside it, is named."""
    (root / ".python-version").touch()
    for folder in ("models", "scripts"):
        (root / folder).mkdir()
    listing, path = root / "commit.sha256", root / "notebooks" / "tiny.ipynb"
    monkeypatch.setenv("SAMEBOOK_COMMIT", git.head(root))
    monkeypatch.delenv("SAMEBOOK_PATCH", raising=False)
    monkeypatch.setattr(machine, "LISTING", listing)
    assert source.read(Workspace(root), path).unpatched == ("nothing here shows which files are the commit's",)
    listing.write_bytes(subprocess.run([INSTALL, "listing"], cwd=root, check=True, capture_output=True).stdout)
    assert source.read(Workspace(root), path).patch == b""
    edit(root)
    (root / "notebooks" / "mounted.csv").touch()
    mounted = ("notebooks/module.py: is not the commit's", "notebooks/mounted.csv: is not the commit's")
    assert source.read(Workspace(root), path).unpatched == mounted


def test_container_outlives_its_patch(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Edits after make has handed the patch over, as under a watcher, are named."""
    (root / ".git" / "info" / "exclude").write_text("/.samebook/\n")
    assert handed(root, monkeypatch).patch == b""
    edit(root)
    later = source.read(Workspace(root), root / "notebooks" / "tiny.ipynb")
    assert later.patch is None
    assert later.unpatched == ("notebooks/module.py: edited after make has started this container",)


def test_edit_during_a_run(root: Path) -> None:
    """A file that is edited while a run is under way is named, even where it is as before at the end.

    The run's own notebook was read before, and another one matters only where the notebook names it.
    """
    path, other = root / "notebooks" / "tiny.ipynb", root / "notebooks" / "other.ipynb"
    started = source.read(Workspace(root), path)
    for edited in (path, other):
        edited.write_text("{ }\n")
    assert source.after_run(Workspace(root), started, path, "%run module.py") == started
    assert source.after_run(Workspace(root), started, path, "%run other.ipynb").patch is None
    (root / "notebooks" / "module.py").write_text("N = 1\n")
    ended = source.after_run(Workspace(root), started, path, "")
    assert (ended.patch, ended.unpatched) == (None, ("notebooks/module.py: edited during the run",))


def test_links_around_end(root: Path) -> None:
    """Links from a folder to itself, two and more, let the search for edits end; each file is looked at once.

    In a release image, where a link may be mounted, the files behind one are named.
    """
    for name in ("a", "b", "c"):
        (root / "notebooks" / name).symlink_to(".")
    names = [name for name in source_files.states(root) if name.endswith("module.py")]
    assert names == ["notebooks/module.py"]
    (root / "mounted").mkdir()
    (root / "mounted" / "helper.py").touch()
    (root / "notebooks" / "large").symlink_to(root / "mounted")
    names = [name for name, _ in source_files._files(root, follows_links=True)]
    assert [name for name in names if name.endswith(("module.py", "helper.py"))] == [
        *("notebooks/module.py", "notebooks/large/helper.py")
    ]


def test_linked_folder_is_not_searched(root: Path) -> None:
    """A folder that a link leads to, which may be huge, costs a run nothing: what is read there is hashed as it is."""
    (root.parent / "huge").mkdir()
    (root.parent / "huge" / "row.csv").touch()
    (root / "notebooks" / "huge").symlink_to(root.parent / "huge")
    before = source_files.states(root)
    (root.parent / "huge" / "more.csv").touch()
    assert source_files.states(root) == before
    assert "notebooks/huge/row.csv" not in before


def test_limit_is_a_setting(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the setting's, for the size of what is changed, here and where make hands the patch over."""
    (root / ".git" / "info" / "exclude").write_text("/.samebook/\n")
    (root / "notebooks" / "large.bin").write_bytes(bytes(1_100_000))
    (root / "environments" / "prod.yml").write_text("patch_limit: 1  # MB\n")
    assert source.read(Workspace(root), root / "notebooks" / "tiny.ipynb").patch
    monkeypatch.setenv("ENV", "prod")
    assert handed(root, monkeypatch).unpatched == ("changes of more than 1 MB",)
    monkeypatch.setenv("SAMEBOOK_PATCH_LIMIT", "2")
    assert handed(root, monkeypatch).patch


def test_ignored_module_of_the_path(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that git ignores beside samebook, where a notebook can import it, is named; an installation is not."""
    (root / "scripts").mkdir()
    (root / "scripts" / "pyproject.toml").touch()
    commit(root)
    (root / ".git" / "info" / "exclude").write_text("/.samebook/\n/scripts/helper.py\n/scripts/*.egg-info/\n")
    for name in ("samebook.egg-info/PKG-INFO", "__pycache__/helper.pyc", "helper.py"):
        (root / "scripts" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "scripts" / name).touch()
    named = ("scripts/helper.py: git ignores it",)
    assert uncommitted.changes(root).unpatched == handed(root, monkeypatch).unpatched == named
