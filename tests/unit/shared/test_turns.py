"""Which loops count as stuck."""

import pytest

from shared.turns import Turns


def test_without_loops_nothing_is_stuck() -> None:
    assert Turns().stuck(1e9) == ()


@pytest.mark.parametrize(("now_s", "stuck"), [(100.0, ()), (160.0, ()), (161.0, ("feed (61 s)",))])
def test_a_loop_is_stuck_beyond_its_limit(now_s: float, stuck: tuple[str, ...]) -> None:
    turns = Turns()
    turns.begin("feed", 60.0, 100.0)
    assert turns.stuck(now_s) == stuck


def test_a_loop_that_turned_is_judged_from_then() -> None:
    turns = Turns()
    turns.begin("feed", 60.0, 100.0).turned_s = 150.0
    assert turns.stuck(210.0) == ()
    assert turns.stuck(211.0) == ("feed (61 s)",)


def test_one_that_turns_does_not_hide_another_of_the_same_name() -> None:
    turns = Turns()
    turns.begin("email fresh", 60.0, 0.0).turned_s = 100.0
    turns.begin("email fresh", 60.0, 0.0)
    assert turns.stuck(100.0) == ("email fresh (100 s)",)


def test_a_loop_that_ended_is_forgotten() -> None:
    turns = Turns()
    turns.end(turns.begin("loading 1h", 60.0, 0.0))
    assert turns.stuck(1e6) == ()


def test_each_loop_has_a_limit_of_its_own() -> None:
    turns = Turns()
    turns.begin("short", 10.0, 0.0)
    turns.begin("long", 100.0, 0.0)
    assert turns.stuck(50.0) == ("short (50 s)",)
