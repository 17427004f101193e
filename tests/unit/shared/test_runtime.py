"""The step that must not be cut, and the exit codes of a service."""

import asyncio
import contextlib
import logging
import os
import signal
import threading

import pytest

from shared.runtime import EX_CONFIG, WrongConfiguration, finish, run
from tests.waiting import wait_until


class Step:
    """A step that waits to be let go."""

    def __init__(self) -> None:
        self.began, self.go, self.ended = asyncio.Event(), asyncio.Event(), False

    async def run(self, error: Exception | None = None) -> str:
        self.began.set()
        await self.go.wait()
        self.ended = True
        if error is not None:
            raise error
        return "recorded"


async def test_finish_gives_what_the_step_gives() -> None:
    step = Step()
    step.go.set()
    assert await finish(step.run()) == "recorded"


async def test_finish_raises_what_the_step_raises() -> None:
    step = Step()
    step.go.set()
    with pytest.raises(ConnectionError, match="refused"):
        await finish(step.run(ConnectionError("refused")))


@pytest.mark.parametrize("cancellations", [1, 3])
@pytest.mark.parametrize("error", [None, ConnectionError("refused")])
async def test_a_cancellation_waits_for_the_end_of_the_step_and_is_then_obeyed(
    cancellations: int, error: Exception | None
) -> None:
    step = Step()
    task = asyncio.create_task(finish(step.run(error)))
    await step.began.wait()
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    step.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert step.ended


async def test_a_step_that_is_cancelled_itself_counts_as_cancelled() -> None:
    inner = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(finish(inner))
    await asyncio.sleep(0)
    inner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
def _quiet_handlers() -> object:
    """``run`` installs signal handlers on its own loop, which is closed behind it."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])


@pytest.mark.usefixtures("_quiet_handlers")
class TestRun:
    async def _fail(self, error: Exception) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.Event().wait())
            group.create_task(self._raise(error))

    async def _raise(self, error: Exception) -> None:
        raise error

    def test_a_main_that_ends_by_itself_ends_with_zero(self) -> None:
        assert run(asyncio.sleep(0)) == 0

    def test_an_error_nobody_expected_is_logged_with_its_place(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert run(self._fail(ZeroDivisionError("seven"))) == 1
        assert "ended by an error that nobody expected" in caplog.text
        assert "ZeroDivisionError: seven" in caplog.text
        assert "in _raise" in caplog.text

    def test_a_wrong_configuration_is_told_in_one_line_however_deep(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert run(self._fail(WrongConfiguration("no market BTC/USTD"))) == EX_CONFIG == 78
        assert [record.getMessage() for record in caplog.records] == ["no market BTC/USTD"]
        assert caplog.records[0].exc_info is None

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_with_zero_after_its_clean_up(self, number: int) -> None:
        cleaned: list[str] = []

        async def main() -> None:
            try:
                os.kill(os.getpid(), number)
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned.append("yes")

        assert run(main()) == 0
        assert cleaned == ["yes"]

    def test_a_failure_while_stopping_does_not_count(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            raise ConnectionError("gone")

        with caplog.at_level(logging.INFO):
            assert run(main()) == 0
        assert [record.getMessage() for record in caplog.records] == [
            "stopping",
            "gone while stopping",
            "stopped",
        ]

    def test_after_a_clean_end_nothing_ends_the_process_by_force(self) -> None:
        async def main() -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

        assert run(main()) == 0
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                assert thread.finished.is_set()

    def test_a_cancellation_that_somebody_swallowed_is_repeated(self) -> None:
        swallowed: list[str] = []

        async def main() -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append("once")
            await wait_until(lambda: False, seconds=30)

        assert run(main()) == 0
        assert swallowed == ["once"]
