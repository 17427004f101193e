"""By how much the clock of Redis was set forward of late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.server_clock import ServerClock

WINDOW_S = 60.0


def looked(clock: ServerClock, at_s: float, ahead_s: float, took_s: float = 0.0) -> float:
    """What is doubted after a look, when Redis's clock is ahead of ours by so much."""
    clock.saw(at_s - took_s, at_s + ahead_s, at_s)
    return clock.set_forward_s


def test_clocks_that_merely_differ_are_doubted_only_for_what_a_question_took() -> None:
    clock = ServerClock(WINDOW_S)
    for second in range(1000):
        assert looked(clock, second, 1e9, took_s=0.002) <= 0.0021


def test_a_step_forward_is_doubted_for_as_long_as_an_entry_may_be_held() -> None:
    clock = ServerClock(WINDOW_S)
    assert looked(clock, 0, 5) == 0
    doubts = [looked(clock, second, 125) for second in range(1, 100)]
    assert doubts[:61] == [120] * 61
    assert doubts[61:] == [0] * 38


def test_what_was_seen_last_before_a_long_silence_still_counts() -> None:
    clock = ServerClock(WINDOW_S)
    looked(clock, 0, 5)
    assert looked(clock, 1000, 125) == 120
    assert looked(clock, 1060, 125) == 120
    assert looked(clock, 1061, 125) == 0


def test_several_steps_add_up() -> None:
    clock = ServerClock(WINDOW_S)
    assert [looked(clock, second, second * 4.0) for second in range(11)][-1] == 40


@pytest.mark.parametrize("back_s", [10.0, 3600.0])
def test_a_step_back_takes_nothing_from_idle_times(back_s: float) -> None:
    clock = ServerClock(WINDOW_S)
    looked(clock, 0, 0)
    assert looked(clock, 1, -back_s) == 0


STEPS = st.lists(
    st.tuples(st.integers(1, 30), st.integers(-200, 200), st.integers(0, 2)), min_size=2
)


@given(STEPS, st.data())
def test_an_entry_never_seems_to_have_lain_longer_than_it_did(
    steps: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """Whatever the clock does between looks; of entries not held longer than the window."""
    clock, now_s, ahead_s = ServerClock(WINDOW_S), 0.0, 0.0
    seen: list[tuple[float, float]] = []
    for pause_s, step_s, took_s in steps:
        now_s, ahead_s = now_s + pause_s + took_s, ahead_s + step_s
        looked(clock, now_s, ahead_s, took_s)
        seen.append((now_s, ahead_s))
    given_s, ahead_then_s = data.draw(st.sampled_from(seen))
    idle_s = (now_s + ahead_s) - (given_s + ahead_then_s)
    if now_s - given_s <= WINDOW_S:
        assert idle_s - clock.set_forward_s <= now_s - given_s
