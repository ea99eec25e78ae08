"""Files that code only mentions come along where they lie beside it; others do not."""

from pathlib import Path

from samebook.adoption import mentions
from samebook.adoption.data_files import Beside
from samebook.adoption.imports import Helper


def mentioned(folder: Path, *texts: str, helpers: tuple[Path, ...] = ()) -> list[str]:
    beside = Beside(folder, folder)
    modules = [Helper(path, (path,)) for path in helpers]
    return [copy.target for copy in mentions.copies(texts, modules, beside, folder.parent / "here" / "notebooks", [])]


def test_mentioned_files_come(tmp_path: Path) -> None:
    """A file in a list, as a default, joined of its parts, or in a module that comes along, is copied to its place."""
    folder = tmp_path / "foreign"
    (folder / "in").mkdir(parents=True)
    for name in ("a.csv", "in/b.csv", "c.dat.gz", "d.csv", "out.csv", "other.csv"):
        (folder / name).write_text(name)
    (folder / "helper.py").write_text("def read(name='c.dat.gz'):\n    return open(name)\n")
    code = "names = ['a.csv', 'helper.py', 'gone.csv']\nos.path.join('in', 'b.csv')\ndef f(name='d.csv'): pass"
    writes = "frame.to_csv('out.csv')"
    targets = mentioned(folder, code, writes, helpers=(folder / "helper.py",))
    assert sorted(targets) == [f"notebooks/{name}" for name in ("a.csv", "c.dat.gz", "d.csv", "in/b.csv")]


def test_words_of_the_shell(tmp_path: Path) -> None:
    """A file that a line of IPython's names comes along: data, and a script that it runs."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    for name in ("a.csv", "b.py", "c.csv"):
        (folder / name).write_text(name)
    assert sorted(mentioned(folder, "!head -n 2 'a.csv'\n%run b.py\nx % c.csv")) == [
        "notebooks/a.csv",
        "notebooks/b.py",
    ]


def test_nothing_from_outside(tmp_path: Path) -> None:
    """A file above the folder, an absolute one, and a link out of it do not come."""
    (tmp_path / "key.txt").write_text("secret")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "link.txt").symlink_to(tmp_path / "key.txt")
    assert mentioned(tmp_path / "foreign", f"x = ['../key.txt', '{tmp_path}/key.txt', 'link.txt']") == []
