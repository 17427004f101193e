"""All checks run at once, and nobody who hangs holds up the rest or the end."""

import asyncio
import threading
from collections.abc import AsyncIterator

from cli.doctor.checks import Check, run_all
from cli.doctor.report import Finding, ok


def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    answers = threading.Event()

    async def asks() -> AsyncIterator[Finding]:
        yield ok("name", "before")
        await asyncio.get_running_loop().run_in_executor(None, answers.wait)
        raise AssertionError

    async def quick() -> AsyncIterator[Finding]:
        yield ok("quick", "well")

    checks = [Check("name", asks), Check("quick", quick)]
    found = asyncio.run(run_all(checks, each_s=0.05))  # would wait for the thread for ever
    assert not answers.is_set()
    answers.set()
    assert [(each.check, each.level) for each in found] == [
        ("name", "ok"), ("name", "fail"), ("quick", "ok"),
    ]  # fmt: skip


async def test_who_does_not_obey_is_left_out_with_a_line() -> None:
    released = asyncio.Event()

    async def stubborn() -> AsyncIterator[Finding]:
        yield ok("stubborn", "before")
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                released_later()

    def released_later() -> None:
        asyncio.get_running_loop().call_later(0.2, released.set)

    found = await run_all([Check("stubborn", stubborn)], each_s=0.05, all_s=0.1)
    assert [each.level for each in found] == ["ok", "fail"]
    assert "within 0.1 s" in found[1].what


async def test_checks_run_at_the_same_time_and_are_told_in_order() -> None:
    both = asyncio.Barrier(2)

    def meeting(name: str) -> Check:
        async def look() -> AsyncIterator[Finding]:
            await both.wait()  # for ever, if one came after the other
            yield ok(name, "met")

        return Check(name, look)

    found = await run_all([meeting("b"), meeting("a")])
    assert [each.what for each in found] == ["met", "met"]
    assert [each.check for each in found] == ["b", "a"]


async def test_a_crash_says_its_kind_and_nothing_that_it_held() -> None:
    async def look() -> AsyncIterator[Finding]:
        yield ok("x", "before")
        raise ValueError("hunter2")

    found = await run_all([Check("x", look)])
    assert [each.level for each in found] == ["ok", "fail"]
    assert "ValueError" in found[1].what
    assert "hunter2" not in repr(found)
