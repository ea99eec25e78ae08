"""Old code on arrays is written so that today's libraries take it as yesterday's did."""

import subprocess
import sys

import pytest

from samebook.adoption.code import renames


def mended(*texts: str) -> str:
    return "\n".join(renames.mend(texts)[0])


def printed(*texts: str) -> str:
    words = [sys.executable, "-c", mended(*texts)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_matrix() -> None:
    """A model gets the array of a matrix, as scikit-learn made one; what is no matrix stays."""
    code = "import numpy as np\nfrom sklearn.linear_model import LinearRegression\n"
    code += "X = np.matrix([[1.0], [2.0]])\ny = X * 2\nz = 3\nm = LinearRegression().fit(X, np.asarray(y))\n"
    assert printed(code, "print(m.predict(X).round(6).tolist(), m.get_params)").startswith("[[2.0], [4.0]]")
    assert "m.fit(z, y)" in mended(code, "m.fit(z, y)")


def test_texts_are_hashed_by_letters() -> None:
    """A hasher of texts takes a text as the list of its letters, and a list as it is."""
    code = (
        "from sklearn.feature_extraction import FeatureHasher\nh = FeatureHasher(n_features=8, input_type='string')\n"
    )
    texts = printed(code, "print(h.transform(['ab', 'c']).toarray().tolist())")
    assert texts == printed(code, "print(h.transform([['a', 'b'], ['c']]).toarray().tolist())")
    other = code.replace("input_type='string'", "input_type='dict'")
    assert mended(other, "h.transform(x)") == mended(other) + "\nh.transform(x)"


def test_predictions_are_scaled_back() -> None:
    """Predictions of one dimension are one column, and keep their shape; one of them goes into a text."""
    code = "import numpy as np\nfrom sklearn.preprocessing import StandardScaler\n"
    code += "class M:\n    def predict(self, x): return np.array(x)\n"
    code += "s, m = StandardScaler().fit([[1.0], [3.0]]), M()\np = m.predict([0.0])\nq = m.predict([[0.0], [1.0]])\n"
    code += "print('%.1f' % s.inverse_transform(p), '%d' % m.predict([7]), s.inverse_transform(q).tolist())"
    assert printed(code) == "2.0 7 [[2.0], [3.0]]\n"
    keras = "import keras, sklearn\np = m.predict(x)\ns.inverse_transform(p)"
    assert mended(keras) == keras


def test_fewer_labels_than_ticks() -> None:
    """Ticks without a label have an empty one; where there are as many, nothing changes."""
    code = "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\nnames = ['a', 'b']\n"
    labels = "\nprint([text.get_text() for text in plt.gca().get_xticklabels()])"
    assert printed(code + "plt.xticks(range(3), names)" + labels) == "['a', 'b', '']\n"
    assert printed(code + "plt.xticks(range(1), names)" + labels) == "['a']\n"
    equal = code + "plt.xticks(range(len(names)), names)\nplt.yticks([1, 2], names)"
    assert mended(equal) == equal


LIBLINEAR = "from sklearn.linear_model import LogisticRegression\n"


def test_liblinear() -> None:
    """A model of liblinear is wrapped, as its library says, and predicts."""
    code = LIBLINEAR + "from sklearn.datasets import load_iris\nX, y = load_iris(return_X_y=True)\n"
    code += "m = LogisticRegression(solver='liblinear')\nm.fit(X, y)\nprint(round((m.predict(X) == y).mean(), 2))"
    assert printed(code) == "0.96\n"
    assert renames.mend([mended(code)])[0] == [mended(code)]


def test_liblinear_of_one_against_the_rest() -> None:
    """A scheme that is named goes: the wrapper is that scheme. A weight of classes would be another one there."""
    (text,), _ = renames.mend([LIBLINEAR + "LogisticRegression(solver='liblinear', multi_class='ovr')"])
    assert text.endswith("OneVsRestClassifier(LogisticRegression(solver='liblinear'))")
    weighted = LIBLINEAR + "LogisticRegression(solver='liblinear', class_weight='balanced')"
    assert mended(weighted) == weighted


@pytest.mark.parametrize("use", ["m.coef_", "GridSearchCV(m, {'C': [1]})", "RFE(m)", "OneVsRestClassifier(m)"])
def test_liblinear_that_stays(use: str) -> None:
    """A model that is asked for what only it has stays."""
    code = LIBLINEAR + f"m = LogisticRegression(solver='liblinear')\n{use}"
    assert mended(code) == code


@pytest.mark.parametrize(
    ("code", "bins"),
    [
        ("n = max(x)\nm = 2", "n / m"),
        ("n = [1, 2]\nm = 2", ""),
        ("import numpy as np\nn = np.arange(3)\nm = 2", ""),
        ("def f(n): pass\nn = 3\nm = 2", ""),
    ],
)
def test_whole_bins(code: str, bins: str) -> None:
    """Of a quotient of numbers the whole part is the number of bins; a quotient of arrays stays."""
    new = f"int({bins})" if bins else "n / m"
    assert mended(f"{code}\nd.hist(bins=n / m)") == f"{code}\nd.hist(bins={new})"
