"""What waits is in order, bounded, and never dropped before it must be."""

import asyncio

from services.ingest.inbox import MOST_WAITING, Inbox
from shared.candle import Candle


def candle(boundary: int, close: float = 2.0) -> Candle:
    return Candle(boundary, 2, 3, 1, close, 5, "ws", 0, 0)


def filled(*boundaries: int) -> Inbox:
    inbox = Inbox()
    for boundary in boundaries:
        inbox.put(candle(boundary))
    return inbox


def order(inbox: Inbox) -> list[int]:
    return [each.boundary_ms for each in inbox.first(10_000)]


def test_candles_are_in_the_order_of_their_boundaries() -> None:
    assert order(filled(3, 1, 2, 5, 4)) == [1, 2, 3, 4, 5]


def test_of_two_for_one_boundary_the_first_stays_and_is_told() -> None:
    inbox = filled(1, 3)
    assert inbox.put(candle(2)) is None
    assert inbox.put(candle(1, close=2.5)) == candle(1)
    assert inbox.put(candle(3)) == candle(3)
    assert [each.close for each in inbox.first(9)] == [2.0, 2.0, 2.0]


def test_what_waits_without_a_gap_after_the_end_of_the_stream_is_seen() -> None:
    assert filled(20, 30, 40, 60).through(10, 10) == 40
    assert filled(30, 40).through(10, 10) == 10
    assert filled().through(10, 10) == 10
    assert filled(5, 10, 20).through(10, 10) == 20


def test_looking_takes_nothing_away() -> None:
    inbox = filled(1, 2, 3)
    assert len(inbox.first(2)) == 2
    assert (len(inbox), inbox.oldest_ms, inbox.newest_ms) == (3, 1, 3)


def test_what_is_published_is_forgotten() -> None:
    inbox = filled(1, 2, 3)
    inbox.forget_through(2)
    assert order(inbox) == [3]


def test_the_future_is_forgotten_but_not_what_came_since() -> None:
    inbox = filled(1, 9, 12)
    assert inbox.forget_after(5, through_ms=9) == 1
    assert order(inbox) == [1, 12]


async def test_room_is_waited_for() -> None:
    inbox = filled(*range(1, MOST_WAITING + 1))
    assert inbox.crowded
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(inbox.room(5.0))
        await asyncio.sleep(0)
        inbox.forget_through(10)
    assert waiting.result() == 0
    assert len(inbox) == MOST_WAITING - 10


async def test_without_room_in_time_all_is_left_to_rest() -> None:
    inbox = filled(*range(1, MOST_WAITING + 1))
    assert await inbox.room(0.01) == MOST_WAITING
    assert len(inbox) == 0
    assert await inbox.room(0.01) == 0


async def test_news_come_once() -> None:
    inbox = filled(1)
    await inbox.news()
    try:
        async with asyncio.timeout(0.01):
            await inbox.news()
    except TimeoutError:
        pass
    else:
        raise AssertionError("news without anything new")
    inbox.wake()
    await inbox.news()
