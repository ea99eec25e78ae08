"""A/B tests in batch: the experiment of the settings, and the variant of each entity."""

from collections.abc import Iterable
from hashlib import sha256

from samebook.api import context
from samebook.environment.model_sections import AbTest

CHAMPION, CHALLENGER = "champion", "challenger"
BYTES = 8


def assign(entities: Iterable[object], *, salt: str, share: float) -> list[str]:
    """The variant of each entity, "champion" or "challenger"; `share` from 0 to 1 is the challenger's.

    The first 8 bytes of sha256("salt/entity"), as a number from 0 to 1, are compared with the share: nothing is kept, a
    larger share only moves entities to the challenger, and another salt assigns anew. A missing value is the entity "".
    """
    import pandas as pd

    limit = share * 2 ** (8 * BYTES)  # exact: a product with a power of two
    texts = ("" if pd.isna(entity) else str(entity) for entity in pd.Series(list(entities), dtype=object))
    return [CHALLENGER if _place(salt, text) < limit else CHAMPION for text in texts]


def _place(salt: str, entity: str) -> int:
    return int.from_bytes(sha256(f"{salt}/{entity}".encode()).digest()[:BYTES])


def ab_test() -> AbTest | None:
    """The experiment of this environment's settings, recorded as an input, or None."""
    values = context.recorded_settings("ab_test")
    return AbTest.model_validate(values) if values else None
