"""The data-quality stamp: what did not come in time is counted, for as long as it matters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.candle import Candle, missing_candle
from shared.quality import Quality, WarmUp, read_quality

LATE_MS = 3000


def candle(source: str, lag_ms: int) -> Candle:
    return Candle(60_000, 2, 3, 1, 2, 5, source, lag_ms, 0)


IN_TIME, LATE = candle("ws", LATE_MS), candle("ws", LATE_MS + 1)
BY_REST, MISSING = candle("rest", 0), missing_candle(60_000, 0, 0)
CAME = {
    (0, 0, 0): IN_TIME,
    (1, 0, 0): BY_REST,
    (0, 1, 0): LATE,
    (0, 0, 1): MISSING,
}


@pytest.mark.parametrize(("counts", "came"), CAME.items(), ids=["time", "rest", "late", "missing"])
def test_each_candle_counts_as_one_thing(counts: tuple[int, int, int], came: Candle) -> None:
    warm_up = WarmUp(5, LATE_MS)
    warm_up.add(came)
    assert warm_up.quality == Quality(1, *counts)
    assert warm_up.quality.complete == (came is IN_TIME)


@pytest.mark.parametrize(
    ("quality", "text"),
    [
        (Quality(), "unknown"),
        (Quality(500), "complete"),
        (Quality(500, 3, 1, 2), "3 by REST, 1 late, 2 missing of the last 500 candles"),
        (Quality(250, missing=2), "2 missing of the last 250 candles"),
    ],
)
def test_it_is_told_in_words(quality: Quality, text: str) -> None:
    assert quality.text == text
    flat = quality.fields()
    assert flat[:2] == (["quality", text] if quality.candles else [])
    assert read_quality(dict(zip(flat[::2], flat[1::2], strict=True))) == quality


def test_two_timeframes_add_up() -> None:
    assert Quality(250, 1, 2, 3) + Quality(50, 10, 20, 30) == Quality(300, 11, 22, 33)


@given(st.lists(st.sampled_from(list(CAME)), max_size=40), st.integers(1, 10))
def test_only_the_last_ones_count_also_after_a_restart(
    kinds: list[tuple[int, int, int]], length: int
) -> None:
    warm_up = WarmUp(length, LATE_MS)
    for counts in kinds:
        warm_up.add(CAME[counts])
    last = kinds[-length:]
    assert warm_up.quality == Quality(len(last), *(sum(n) for n in zip(*last, strict=True)))
    again = WarmUp(length, LATE_MS)
    again.restore(warm_up.state())
    assert again.quality == warm_up.quality
    again.forget()
    assert again.quality == Quality()


@pytest.mark.parametrize("state", [b"\x04", b"\0" * 6, [0], None, "", 0])
def test_a_spoilt_state_is_refused(state: object) -> None:
    with pytest.raises(ValueError, match="warm-up"):
        WarmUp(5, LATE_MS).restore(state)


def test_an_entry_without_a_stamp_is_unknown_and_a_spoilt_one_refused() -> None:
    assert read_quality({}) == Quality()
    flat = Quality(5).fields()
    stamp = dict(zip(flat[::2], flat[1::2], strict=True))
    for text in ("-1", "6", "x", ""):
        with pytest.raises(ValueError, match=r"counts of the warm-up|invalid"):
            read_quality(stamp | {"warm_up_late": text})
    with pytest.raises(KeyError, match="warm_up_late"):
        read_quality({name: text for name, text in stamp.items() if name != "warm_up_late"})
