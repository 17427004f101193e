"""A candle is missing only when a later one is known, well past, and when asked again."""

import pytest

from services.ingest.holes import (
    MOST_DOUBTS,
    Absent,
    Confirm,
    Take,
    Wait,
    next_step,
    second_look,
)
from services.ingest.pages import Page, Row

MINUTE = 60_000
START = 1_762_094_040_000
PATIENCE = 30_000


def at(minute: int) -> int:
    return START + minute * MINUTE


def rows(*minutes: int, open_from: int = 10_000) -> tuple[Row, ...]:
    return tuple(Row(at(m), 2, 3, 1, 2, 5, m < open_from) for m in minutes)


def taken(step: object) -> list[int]:
    assert isinstance(step, Take)
    return [(row.open_ms - START) // MINUTE for row in step.rows]


def step(found: tuple[Row, ...], server_ms: int) -> Take | Confirm | Wait:
    return next_step(found, START, MINUTE, server_ms, PATIENCE)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (rows(0, 1, 2), [0, 1, 2]),
        (rows(0, 1, 3, 4), [0, 1]),
        (rows(0, 1, 2, open_from=2), [0, 1]),
        (rows(0, 1, 3, open_from=3), [0, 1]),
    ],
    ids=["all", "up to a hole", "up to the open one", "hole before the open one"],
)
def test_what_comes_next_is_taken(found: tuple[Row, ...], expected: list[int]) -> None:
    assert taken(step(found, at(9))) == expected


def test_nothing_proves_nothing() -> None:
    assert step((), at(500)) == Wait()


def test_the_open_candle_is_waited_for() -> None:
    assert step(rows(0, open_from=0), at(1)) == Wait()


@pytest.mark.parametrize("later_is_open", [True, False])
def test_a_hole_counts_well_past_its_last_boundary(later_is_open: bool) -> None:
    found = rows(3, open_from=3 if later_is_open else 9)
    assert step(found, at(3) + PATIENCE - 1) == Wait()
    assert step(found, at(3) + PATIENCE) == Confirm(at(0), at(2))


HOLE = Confirm(at(0), at(3))


def look(page: Page, doubts: int = 0) -> Take | Confirm | Absent | Wait:
    return second_look(page, HOLE, MINUTE, doubts)


def test_an_empty_second_look_proves_absence() -> None:
    assert look(Page((), ())) == Absent(at(0), at(3))


def test_candles_in_the_second_look_are_taken() -> None:
    assert taken(look(Page(rows(0, 1, 3), ()))) == [0, 1]


def test_a_second_look_that_finds_a_later_one_narrows_the_hole() -> None:
    # Otherwise a page that always leaves out what the range shows would stop the feed for ever.
    assert look(Page(rows(2), ())) == Confirm(at(0), at(1))


def test_unusable_rows_are_no_absence_until_nothing_better_comes() -> None:
    damaged = Page((), ("row of 1: high is below low",))
    assert look(damaged) == Wait()
    assert look(damaged, MOST_DOUBTS - 1) == Wait()
    assert look(damaged, MOST_DOUBTS) == Absent(at(0), at(3))
