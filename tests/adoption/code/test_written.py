"""Files that a notebook writes beside itself become outputs; what it reads back, it reads there."""

from pathlib import Path

import pytest

from samebook.adoption.code import written


def rewritten(*texts: str, folder: Path = Path()) -> list[str]:
    return written.outputs(texts, folder)[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('plt.savefig("images/roc.png")', 'plt.savefig(samebook.output_path("images/roc.png"))'),
        ('joblib.dump(model, "a.pkl")', 'joblib.dump(model, samebook.output_path("a.pkl"))'),
        ("df.to_csv('a.csv', index=False)", "df.to_csv(samebook.output_path('a.csv'), index=False)"),
        ('joblib.dump(model, "m.pkl")', 'joblib.dump(model, samebook.output_path("m.pkl"))'),
        ('df.to_excel(excel_writer="a.xlsx")', 'df.to_excel(excel_writer=samebook.output_path("a.xlsx"))'),
        ('f = open("a.txt", "w")', 'f = open(samebook.output_path("a.txt"), "w")'),
        ('cv2.imwrite("a.png", image)', 'cv2.imwrite(str(samebook.output_path("a.png")), image)'),
    ],
)
def test_written_file_is_an_output(before: str, after: str) -> None:
    """Each call that names a file to write gets a path among the outputs."""
    assert rewritten(before) == [f"import samebook\n{after}"]


@pytest.mark.parametrize(
    "text",
    [
        'open("a.txt")',
        'df.to_csv("/tmp/a.csv")',
        'df.to_csv("../a.csv")',
        "df.to_csv(path)",
        'df.to_json(orient="records")',
        'df.to_csv(f"a-{n}.csv")',
        'json.dump(value, open(name, "w"))',
        'np.save("values", array)',
        'df.to_csv("a.csv")\n!head a.csv',
        'f = open("a.txt", "a")',
        'df.to_csv("a.csv", mode="a", header=False)',
    ],
)
def test_rest_stays(text: str) -> None:
    """What is read, lies elsewhere, or is named by no literal with an ending stays as it is."""
    assert rewritten(text) == [text]


def test_reads_back() -> None:
    """A later cell reads the file where the earlier one has written it."""
    first, second = rewritten('df.to_csv("a.csv")', 'pd.read_csv("a.csv"); pd.read_csv("b.csv")')
    assert first == 'import samebook\ndf.to_csv(samebook.output_path("a.csv"))'
    assert second == 'import samebook\npd.read_csv(samebook.output_path("a.csv")); pd.read_csv("b.csv")'


def test_input_is_not_written_elsewhere(tmp_path: Path) -> None:
    """A file that is read before it is written is data: it stays, and a person hears of it."""
    texts = ['df = pd.read_csv("a.csv")', 'df.to_csv("a.csv")']
    (tmp_path / "a.csv").write_text("n\n1\n")
    changed, notes = written.outputs(texts, tmp_path)
    assert changed == texts
    assert [note.text for note in notes] == ["writes a.csv, which it reads before"]
