"""What counts as progress, seen from inside the loops that make it."""

import asyncio
from pathlib import Path

import pytest

from shared import progress
from shared.progress import Progress, held, pause, turned, watched
from shared.redis_access import RedisAccess
from tests.waiting import wait_until

LATER_S = 1e6


def stuck_names(reported: Progress, after_s: float) -> list[str]:
    now_s = asyncio.get_running_loop().time() + after_s
    return [text.partition(" (")[0] for text in reported.turns.stuck(now_s)]


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_loop_that_waits_for_what_never_comes_is_stuck() -> None:
    reported = progress.begin()
    task = asyncio.create_task(watched("candles", forever, limit_s=60))
    await asyncio.sleep(0)
    assert stuck_names(reported, 59) == []
    assert stuck_names(reported, 61) == ["candles"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stuck_names(reported, LATER_S) == []


async def test_work_that_ended_gives_what_it_gives_and_is_forgotten() -> None:
    async def work() -> str:
        return "done"

    reported = progress.begin()
    assert await watched("loading", work) == "done"
    assert stuck_names(reported, LATER_S) == []


async def test_a_child_task_turns_the_loop_that_started_it() -> None:
    reported = progress.begin()
    go = asyncio.Event()

    async def child() -> None:
        await go.wait()
        turned()

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(forever())

    task = asyncio.create_task(watched("feed 1m", work, limit_s=0.0))
    await wait_until(lambda: stuck_names(reported, 0.0), "the limit of nothing")
    before = next(iter(reported.turns._loops)).turned_s
    go.set()
    await wait_until(lambda: next(iter(reported.turns._loops)).turned_s > before, "a turn")
    task.cancel()


async def test_a_loop_turns_while_redis_is_away(tmp_path: Path) -> None:
    reported = progress.begin()
    access = RedisAccess(f"unix://{tmp_path}/none.sock", name="test")

    async def work() -> None:
        await access.ready()

    task = asyncio.create_task(watched("candles", work))
    await wait_until(lambda: access.trouble, "trouble")
    [loop] = reported.turns._loops
    for _ in range(3):
        seen = loop.turned_s
        await wait_until(lambda s=seen: loop.turned_s > s, "another try")
    task.cancel()
    await access.close()


async def test_a_loop_turns_while_it_pauses_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_NAP_S", 0.01)
    reported = progress.begin()
    task = asyncio.create_task(watched("feed 1m", lambda: pause(3600)))
    await wait_until(lambda: reported.turns._loops, "the loop")
    [loop] = reported.turns._loops
    for _ in range(3):
        seen = loop.turned_s
        await wait_until(lambda s=seen: loop.turned_s > s, "another turn")
    task.cancel()


async def test_a_loop_turns_while_it_queues_for_a_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_NAP_S", 0.01)
    reported = progress.begin()
    gate, entered = asyncio.Semaphore(1), asyncio.Event()
    await gate.acquire()

    async def work() -> None:
        async with held(gate):
            entered.set()

    task = asyncio.create_task(watched("feed 1m", work))
    await wait_until(lambda: reported.turns._loops, "the loop")
    [loop] = reported.turns._loops
    for _ in range(3):
        seen = loop.turned_s
        await wait_until(lambda s=seen: loop.turned_s > s, "another turn")
    assert not entered.is_set()
    gate.release()
    await task
    assert entered.is_set()
    assert gate._value == 1


async def test_without_a_supervisor_work_just_runs() -> None:
    async def work() -> str:
        turned()
        await pause(0)
        return "done"

    assert await watched("candles", work) == "done"
