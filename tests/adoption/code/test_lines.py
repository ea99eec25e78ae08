"""IPython's lines that no clean run can have become comments; all others stay."""

from samebook.adoption.code import lines


def test_lines() -> None:
    """Installations and missing extensions become comments, windows become inline pictures, the rest stays."""
    text = (
        "!pip install -q x\n%matplotlib notebook\n%load_ext autoreload\n%load_ext no_such\n%matplotlib inline\n"
        "if True:\n    !conda install -y y\n!ls\n%load_ext json"
    )
    mended, notes = lines.mended([text, "%%bash\npip install z"])
    assert mended[0] == (
        "# !pip install -q x\n%matplotlib inline\n# %load_ext autoreload\n# %load_ext no_such\n%matplotlib inline\n"
        "if True:\n    pass  # !conda install -y y\n!ls\n%load_ext json"
    )
    assert mended[1] == "%%bash\npip install z"
    assert [note.text.split("`")[1] for note in notes][1] == "%matplotlib notebook"
    assert len(notes) == 5


def test_other_magics() -> None:
    """Magics of extensions, and those that print times, become comments; IPython's own and Python's % stay."""
    text = "%watermark -v\n%timeit f(x)\nif x:\n    %time y = 1\n%who"
    mended, notes = lines.mended([text, "x = (7\n%divisor\n)", "%%prun -q\ny = 2", "%%timeit -n 3\nf(x)\n\ng(x)"])
    assert mended == [
        "# %watermark -v\n# %timeit f(x)\nif x:\n    y = 1\n%who",
        "x = (7\n%divisor\n)",
        "# %%prun -q\ny = 2",
        "# %%timeit -n 3\n# f(x)\n#\n# g(x)",
    ]
    assert [note.cell for note in notes] == [1, 1, 1, 3, 4]
