"""Files that come in: CSV and Parquet give the bytes that the warehouse would have given; what is wrong is refused."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from testbook.client import TestbookNotebookClient
from testbook.exceptions import TestbookRuntimeError

import flights
from samebook.data import dataset

DAY = date(2013, 7, 1)
type Start = Callable[[str, list[str]], TestbookNotebookClient]
type Ask = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def intake(notebook: Start) -> TestbookNotebookClient:
    return notebook("intake", ["parameters", "imports"])


def take(intake: TestbookNotebookClient, path: Path, name: str = "flights") -> Path:
    """Run the notebook's cells on a file; the partition that it wrote."""
    intake.inject(f"source, dataset, day = {str(path)!r}, {name!r}, date(2013, 7, 1)")
    intake.execute_cell(["read", "validate", "write"])
    intake.inject(f"written = samebook.output_path(f'{name}/day={DAY}/part-0.parquet')")
    return Path(intake.value("str(written)"))


def refused(intake: TestbookNotebookClient, path: Path) -> str:
    with pytest.raises(TestbookRuntimeError) as error:
        take(intake, path)
    assert "DataRejected" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["flights", "outcomes"])
def test_same_bytes_as_from_the_warehouse(name: str, intake: TestbookNotebookClient, ask: Ask, tmp_path: Path) -> None:
    """The order of rows and columns doesn't matter, nor whether it is CSV or Parquet."""
    rows = ask(name, DAY)
    schema = {"flights": flights.FLIGHTS, "outcomes": flights.OUTCOMES}[name]
    dataset.write(schema.validate(rows), tmp_path / "expected.parquet")
    mixed = rows.sample(frac=1, random_state=0)[sorted(rows)]
    mixed.to_csv(tmp_path / f"{name}-{DAY}.csv", index=False)
    mixed.to_parquet(tmp_path / f"{name}-{DAY}.parquet", index=False)
    for kind in ("csv", "parquet"):
        written = take(intake, tmp_path / f"{name}-{DAY}.{kind}", name)
        assert written.read_bytes() == (tmp_path / "expected.parquet").read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop(columns="carrier"), "columns missing: ['carrier']; not known: none"),
        (lambda rows: rows.assign(arr_delay=1), "columns missing: none; not known: ['arr_delay']"),
        (lambda rows: pd.concat([rows, rows.head(2)]), "column id: field_uniqueness fails in 4 rows"),
        (lambda rows: rows.assign(temp=900.0), "column temp: in_range(-40, 130) fails in 966 rows"),
        (lambda rows: rows.assign(id=rows["id"].str.replace("07-01", "07-02")), "966 flights of other days"),
        (lambda rows: rows.head(0), "no flights on 2013-07-01"),
        (lambda rows: rows.assign(distance="far"), "distance"),
        (lambda rows: rows.assign(distance=rows["distance"] + 0.5), "columns distance: fractions"),
        (lambda rows: rows.head(500), "not all flights from "),
        (lambda rows: rows.assign(departure=rows["departure"] + pd.Timedelta(days=3)), "departures on other days"),
    ],
)
def test_wrong_rows_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], said: str, intake: TestbookNotebookClient, ask: Ask, tmp_path: Path
) -> None:
    """Missing and unknown columns, doubles, impossible values, another day and no rows are refused, and named."""
    path = tmp_path / f"flights-{DAY}.csv"
    change(ask("flights", DAY)).to_csv(path, index=False)
    assert said in refused(intake, path)


def test_broken_files_refused(intake: TestbookNotebookClient, ask: Ask, tmp_path: Path) -> None:
    """A file that was cut off, or is in another encoding, is refused."""
    rows = ask("flights", DAY)
    rows.to_parquet(tmp_path / "flights-2013-07-01.parquet")
    whole = (tmp_path / "flights-2013-07-01.parquet").read_bytes()
    (tmp_path / "flights-2013-07-01.parquet").write_bytes(whole[:-100])
    assert "is not a whole parquet file" in refused(intake, tmp_path / "flights-2013-07-01.parquet")
    whole = rows.to_csv(index=False)
    (tmp_path / "flights-2013-07-01.csv").write_text(whole[:-3])
    assert "was cut off" in refused(intake, tmp_path / "flights-2013-07-01.csv")
    rows.assign(manufacturer="Älter").to_csv(tmp_path / "flights-2013-07-01.csv", index=False, encoding="latin-1")
    assert "is not a whole csv file in UTF-8" in refused(intake, tmp_path / "flights-2013-07-01.csv")
