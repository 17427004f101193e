"""Garbage: every kind breaks the frame that it is made of."""

import json
import math

import pytest

from sim.frames import kline_event
from sim.garbage import EVENTS, KINDS, MESSAGES, garbage
from sim.tape import Kline

TRUE = kline_event(
    "BTCUSDT",
    "1m",
    60_010,
    Kline(0, 59_999, 100.0, 110.0, 90.0, 105.0, 7.0, 735.0, 3, 1, 3),
    closed=True,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_differs_from_the_truth(kind: str) -> None:
    broken, is_event = garbage(kind, TRUE)
    assert is_event == (kind in EVENTS)
    if is_event:
        assert json.loads(broken) != json.loads(TRUE)
    else:
        assert broken == MESSAGES[kind]


def test_nan_is_bare_where_it_says_so() -> None:
    broken, _ = garbage("bare NaN", TRUE)
    assert math.isnan(json.loads(broken)["k"]["c"])


def test_there_is_no_other_garbage() -> None:
    with pytest.raises(ValueError, match="no garbage is called 'gold'"):
        garbage("gold", TRUE)
