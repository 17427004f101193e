"""Reading candle files, and longer timeframes from them."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.candles import MINUTE_MS, Candles, Malformed, aggregate, load_candles

DATA = Path(__file__).parents[3].parent / "shared" / "data"
OF_2019 = DATA / "btcusdt-1m-2019-10-16..2019-11-13.csv.gz"
START = 1_735_689_600_000

OURS = "open_time_ms,open,high,low,close,volume\n"


def archive_line(open_time: int, interval: int = MINUTE_MS) -> str:
    return f"{open_time},1.0,2.0,0.5,1.5,7.25,{open_time + interval - 1},9.0,3,1.0,2.0,0\n"


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.with_suffix(".csv").name, text)
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["c.csv", "c.csv.gz", "c.zip"])
def test_a_file_of_ours_is_read_by_its_column_names(tmp_path: Path, name: str) -> None:
    text = f"volume,close,low,high,open,open_time_ms,more\n7,4,1,5,2,{START},x\n"
    candles = load_candles(write(tmp_path / name, text))
    assert candles.open_time_ms.tolist() == [START]
    row = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    assert [float(column[0]) for column in row] == [2, 5, 1, 4, 7]


@pytest.mark.parametrize("header", ["", "open_time,open,high,low,close,volume,a,b,c,d,e,f\n"])
def test_an_archive_may_change_from_milliseconds_to_microseconds(
    tmp_path: Path, header: str
) -> None:
    text = header + archive_line(START - MINUTE_MS) + archive_line(START * 1000, MINUTE_MS * 1000)
    candles = load_candles(write(tmp_path / "BTCUSDT-1m-2025-01.zip", text))
    assert candles.open_time_ms.dtype == np.int64
    assert candles.open_time_ms.tolist() == [START - MINUTE_MS, START]
    assert candles.volume.tolist() == [7.25, 7.25]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (OURS, "no candles"),
        ("open_time_ms,open,high,low,close\n1,2,3,4,5\n", "line 1: no column volume"),
        ("1,2,3\n", "line 1: 3 columns"),
        (OURS + f"{START},1,2,1,2,3\n{START + MINUTE_MS},1,x,1,2,3\n", "line 3: high is 'x'"),
        (OURS + f"{START},1,2,1,2,3\n{START + MINUTE_MS},1,2\n", "line 3: only 3 columns"),
        (OURS + f"{START},1,2,1,nan,3\n", "line 2: a value is not finite"),
        (OURS + f"{START},0,2,0,1,3\n", "line 2: a price is not positive"),
        (OURS + f"{START},1,2,1,1,-3\n", "line 2: a price is not positive or a volume negative"),
        (OURS + f"{START},3,2,1,1,3\n", "line 2: high and low do not enclose"),
        (OURS + f"{START + 1},1,2,1,1,3\n", "line 2: the open time is not a whole minute"),
        (OURS + 2 * f"{START},1,2,1,1,3\n", "line 3: the open time is not after"),
        (
            OURS + f"{START},1,2,1,1,3\n{START + 5 * MINUTE_MS},1,2,1,1,3\n",
            "5 minutes apart; give 1m",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_line(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = write(tmp_path / "c.csv", text)
    with pytest.raises(Malformed) as error:
        load_candles(path)
    assert str(path) in str(error.value)
    assert complaint in str(error.value)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="no such file"):
        load_candles(tmp_path / "none.csv")
    (tmp_path / "bad.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(Malformed, match="cannot be read"):
        load_candles(tmp_path / "bad.csv.gz")
    (tmp_path / "bad.zip").write_bytes(b"not zip")
    with pytest.raises(Malformed, match="cannot be read"):
        load_candles(tmp_path / "bad.zip")


def resampled(candles: Candles, interval_ms: int) -> pd.DataFrame:
    frame = pd.DataFrame(
        {name: getattr(candles, name) for name in ("open", "high", "low", "close", "volume")},
        index=pd.to_datetime(candles.open_time_ms, unit="ms"),
    )
    rule = f"{interval_ms // MINUTE_MS}min"
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return frame.resample(rule, label="left", closed="left").agg(how).dropna(subset=["close"])


def assert_equals_pandas(candles: Candles, interval_ms: int) -> None:
    ours, theirs = aggregate(candles, interval_ms), resampled(candles, interval_ms)
    assert ours.open_time_ms.tolist() == theirs.index.as_unit("ms").asi8.tolist()
    for name in ("open", "high", "low", "close"):
        assert (getattr(ours, name) == theirs[name].to_numpy()).all()
    np.testing.assert_allclose(ours.volume, theirs.volume.to_numpy(), rtol=1e-12)


@pytest.mark.skipif(not OF_2019.exists(), reason=f"{OF_2019.name} is not here")
@pytest.mark.parametrize("minutes", [1, 3, 5, 15, 60, 240])
def test_real_history_aggregates_as_pandas_resamples_it(minutes: int) -> None:
    assert_equals_pandas(load_candles(OF_2019), minutes * MINUTE_MS)


@given(st.sets(st.integers(0, 500), min_size=1), st.sampled_from([5, 15, 60]))
def test_holes_never_yield_candles(minutes: set[int], length: int) -> None:
    times = START + MINUTE_MS * np.array(sorted(minutes), dtype=np.int64)
    price = 100.0 + np.arange(len(times), dtype=np.float64)
    candles = Candles(times, price, price + 2, price - 3, price + 1, price / 7)
    assert_equals_pandas(candles, length * MINUTE_MS)
