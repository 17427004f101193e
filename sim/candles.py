"""Candles as columns: read from files, aggregated to longer timeframes.

A minute without a row is a minute without a candle: nothing here ever fills a hole. Archive files
of 2025 and later count in microseconds, older ones in milliseconds, so the unit is judged row by
row.
"""

import csv
import gzip
import io
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MINUTE_MS = 60_000
COLUMNS = ("open_time_ms", "open", "high", "low", "close", "volume")

# Times of this size are microseconds: as milliseconds they would lie in the year 33658.
MICROSECONDS_FROM = 1e15


class Malformed(ValueError):
    """A candle file cannot be read; says which file and line, and what to do."""


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles of one timeframe: columns of shape [n], ascending by open time, no duplicates."""

    open_time_ms: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.open_time_ms)

    def __getitem__(self, rows: slice | NDArray[np.bool_]) -> "Candles":
        return Candles(
            self.open_time_ms[rows],
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.volume[rows],
        )


def load_candles(path: str | Path) -> Candles:
    """Read 1m candles from our CSV (named columns, maybe gzipped) or an archive CSV or zip.

    Raises:
        Malformed: with file, line and remedy.
    """
    path = Path(path)
    text = _text(path)
    first = text.split("\n", 1)[0].strip()
    columns, header_lines = _columns(first, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty file is reported below
            table = np.loadtxt(
                io.StringIO(text), delimiter=",", skiprows=header_lines, usecols=columns, ndmin=2
            )
    except (ValueError, IndexError):
        raise _first_bad_line(text, columns, header_lines, path) from None
    if not len(table):
        raise Malformed(f"{path}: no candles in it; give a file with at least one row")
    stamps = table[:, 0]
    times = np.where(stamps >= MICROSECONDS_FROM, stamps // 1000, stamps).astype(np.int64)
    opened, high, low, close, volume = (np.ascontiguousarray(table[:, i]) for i in range(1, 6))
    candles = Candles(times, opened, high, low, close, volume)
    _check(candles, path, header_lines)
    return candles


def write_candles(candles: Candles, path: Path) -> None:
    """Write our CSV, which ``load_candles`` reads."""
    columns = [getattr(candles, name).tolist() for name in COLUMNS]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(*columns, strict=True))


def without(candles: Candles, from_ms: int, to_ms: int) -> Candles:
    """The candles that do not open in this range (end exclusive)."""
    times = candles.open_time_ms
    return candles[(times < from_ms) | (times >= to_ms)]


def aggregate(candles: Candles, interval_ms: int) -> Candles:
    """Candles of ``interval_ms``, aligned to the epoch, each over the rows that exist in it.

    An interval without rows yields no candle; one with some of its rows yields a candle of those.
    """
    if not len(candles):
        return candles
    starts = boundaries_of_groups(candles, interval_ms)
    ends = np.append(starts[1:], len(candles))
    opened = candles.open_time_ms[starts]
    return Candles(
        opened - opened % interval_ms,
        candles.open[starts],
        np.maximum.reduceat(candles.high, starts),
        np.minimum.reduceat(candles.low, starts),
        candles.close[ends - 1],
        np.add.reduceat(candles.volume, starts),
    )


def boundaries_of_groups(candles: Candles, interval_ms: int) -> NDArray[np.intp]:
    """Index of the first row of each interval that has rows, ascending."""
    groups = candles.open_time_ms // interval_ms
    return np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))


def _text(path: Path) -> str:
    """The CSV text in ``path``, unpacked."""
    try:
        if path.suffix == ".zip":
            return _unzip(path)
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as file:
                return file.read()
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Malformed(f"{path}: there is no such file; check the path") from None
    except (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise Malformed(f"{path}: cannot be read ({error}); fetch the file again") from error


def _unzip(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".csv")]
        if len(names) != 1:
            raise Malformed(
                f"{path}: {len(names)} CSV files inside; give an archive that holds exactly one"
            )
        return archive.read(names[0]).decode()


def _columns(first: str, path: Path) -> tuple[list[int], int]:
    """Positions of our six columns, and how many header lines to skip."""
    fields = [field.strip() for field in first.split(",")]
    if COLUMNS[0] in fields:
        missing = [name for name in COLUMNS if name not in fields]
        if missing:
            raise Malformed(
                f"{path}, line 1: no column {', '.join(missing)}; "
                f"the header must name {','.join(COLUMNS)}"
            )
        return [fields.index(name) for name in COLUMNS], 1
    if len(fields) < len(COLUMNS) and any(fields):
        raise Malformed(
            f"{path}, line 1: {len(fields)} columns; expected the header {','.join(COLUMNS)} "
            "or the exchange's 12 archive columns"
        )
    return list(range(6)), 0 if _is_number(fields[0]) else 1


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _first_bad_line(text: str, columns: list[int], header_lines: int, path: Path) -> Malformed:
    """Find the line that the fast parser stumbled over."""
    for number, fields in enumerate(csv.reader(text.splitlines()), start=1):
        if number <= header_lines or not fields:
            continue
        for column, name in zip(columns, COLUMNS, strict=True):
            if column >= len(fields):
                return Malformed(
                    f"{path}, line {number}: only {len(fields)} columns, {name} is missing; "
                    "repair or remove the line"
                )
            if not _is_number(fields[column]):
                return Malformed(
                    f"{path}, line {number}: {name} is {fields[column]!r}, not a number; "
                    "repair or remove the line"
                )
    return Malformed(f"{path}: not a table of numbers; fetch the file again")


def _check(candles: Candles, path: Path, header_lines: int) -> None:
    """Refuse rows that no exchange would send."""
    times = candles.open_time_ms
    prices = (candles.open, candles.high, candles.low, candles.close)
    steps = np.diff(times)
    rules: Iterable[tuple[Any, str]] = (
        (
            ~np.isfinite(np.vstack((*prices, candles.volume))).all(axis=0),
            "a value is not finite; repair or remove the line",
        ),
        (
            (np.vstack(prices) <= 0).any(axis=0) | (candles.volume < 0),
            "a price is not positive or a volume negative; repair or remove the line",
        ),
        (
            (candles.high < np.maximum(candles.open, candles.close))
            | (candles.low > np.minimum(candles.open, candles.close)),
            "high and low do not enclose open and close; check the order of the columns",
        ),
        (
            times % MINUTE_MS != 0,
            "the open time is not a whole minute in milliseconds; give 1m candles",
        ),
        (
            np.concatenate(([False], steps <= 0)),
            "the open time is not after the previous one; sort the file and drop duplicates",
        ),
    )
    for broken, remedy in rules:
        if broken.any():
            line = int(np.argmax(broken)) + 1 + header_lines
            raise Malformed(f"{path}, line {line}: {remedy}")
    if len(steps) and steps.min() > MINUTE_MS:
        minutes = int(steps.min()) // MINUTE_MS
        raise Malformed(f"{path}: the candles are {minutes} minutes apart; give 1m candles")
