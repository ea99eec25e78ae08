"""Every generator of an adopted notebook has a seed with MEND=1, and none that has one gets another."""

import pytest

from samebook.adoption.code import seeds

NUMPY = "import numpy as np\nnp.random.seed(0)\n"


@pytest.mark.parametrize(
    ("code", "mended"),
    [
        ("import numpy as np\nnp.random.rand(3)", NUMPY + "import numpy as np\nnp.random.rand(3)"),
        ("from numpy import random as r\nr.normal()", NUMPY + "from numpy import random as r\nr.normal()"),
        ("import pandas as pd\nd.sample(3)", NUMPY + "import pandas as pd\nd.sample(3)"),
        ("from sklearn.cluster import KMeans\nKMeans(3)", NUMPY + "from sklearn.cluster import KMeans\nKMeans(3)"),
        ("import random\nrandom.choice(x)", "import random\nrandom.seed(0)\nimport random\nrandom.choice(x)"),
        ("import numpy as np\ng = np.random.default_rng()", "import numpy as np\ng = np.random.default_rng(0)"),
        (
            "%%time\nrandom.random()\nimport random",
            "%%time\nimport random\nrandom.seed(0)\nrandom.random()\nimport random",
        ),
    ],
)
def test_seed_is_given(code: str, mended: str) -> None:
    """The generators of numpy and of `random` get a seed at the top, those of their own as an argument."""
    texts, notes = seeds.mended(["", code])
    assert texts == ["", mended]
    assert len(notes) == 1


def test_plots_that_resample() -> None:
    """A plot whose interval seaborn draws by a generator of its own has a seed, but where the code may give one."""
    code = "import seaborn as sns\nsns.barplot(x=a)\nsns.lineplot(x=a, seed=3)\nsns.regplot(**options)\nsns.heatmap(a)"
    (text,), changes = seeds.mended([code])
    assert text == NUMPY + code.replace("barplot(x=a)", "barplot(x=a, seed=0)")
    assert [change.rule.old for change in changes] == ["seed=None", "no seed"]


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np\nnp.random.seed(3)\nnp.random.rand(3)",
        "import random\nrandom.seed('a')\nrandom.choice(x)",
        "import numpy as np\ng = np.random.default_rng(7)\ng.normal()",
        "import numpy as np\nnp.mean([1])",
    ],
)
def test_seeded_code_stays(code: str) -> None:
    """Code with a seed, or without any drawing, is left as it is."""
    assert seeds.mended([code]) == ([code], [])
