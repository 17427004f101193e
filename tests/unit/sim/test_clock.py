"""Market time against a wall clock that the test moves."""

import asyncio

import pytest

from sim.clock import Clock


class Wall:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def test_it_stands_until_it_runs() -> None:
    wall = Wall()
    clock = Clock(5000, 10, wall)
    wall.s += 3
    assert clock.now_ms == 5000
    clock.run()
    wall.s += 2
    clock.run()
    assert clock.now_ms == 5000 + 20_000
    assert clock.wall_seconds_until(5000 + 50_000) == pytest.approx(3)
    assert clock.wall_seconds_until(0) == 0


def test_it_stops_for_good() -> None:
    wall = Wall()
    clock = Clock(0, 10, wall)
    clock.run()
    wall.s += 2
    clock.stand_at(21_000)
    wall.s += 2
    clock.run()
    assert clock.now_ms == 21_000


async def test_an_unpaced_clock_jumps_and_never_goes_back() -> None:
    clock = Clock(1000, None)
    clock.run()
    await clock.reach(70_000)
    await clock.reach(60_000)
    assert clock.now_ms == 70_000


async def test_a_paced_clock_is_waited_for() -> None:
    clock = Clock(0, 1000)
    clock.run()
    await clock.reach(20_000)
    assert clock.now_ms >= 20_000


def test_a_skewed_clock_leaps_ahead_or_stands_until_it_is_behind() -> None:
    wall = Wall()
    clock = Clock(0, 1, wall)
    clock.run()
    wall.s += 5
    clock.skew(10_000)
    assert clock.now_ms == 15_000
    clock.skew(-13_000)
    assert clock.now_ms == 15_000
    assert clock.wall_seconds_until(16_000) == pytest.approx(14)
    wall.s += 13
    assert clock.now_ms == 15_000
    wall.s += 1
    assert clock.now_ms == 16_000
    assert clock.skew_ms == -3000


def test_a_clock_without_pace_has_no_skew() -> None:
    clock = Clock(0, None)
    clock.skew(10_000)
    assert (clock.now_ms, clock.skew_ms) == (0, 0)


async def test_a_nudge_wakes_whoever_waits() -> None:
    clock = Clock(0, 1)
    clock.run()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(clock.approach(3_600_000))
        await asyncio.sleep(0.01)
        clock.nudge()


async def test_a_leap_is_not_overslept() -> None:
    clock = Clock(0, 1)
    clock.run()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(clock.reach(9000))
        await asyncio.sleep(0.01)
        clock.skew(10_000)
