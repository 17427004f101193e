"""Runs all checks at once, each within its time; one that crashes is a line of its own.

What a check has found before its time was over, or before it crashed, is kept.
"""

import asyncio
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.doctor.report import Finding, fail

EACH_S = 10.0
# What is still at work then is left behind.
ALL_S = 12.0
_LEAVE_S = 1.0
_OURS = str(Path(__file__).parents[1])


@dataclass(slots=True)
class Check:
    """One area: its name, how to look, and what was found."""

    name: str
    look: Callable[[], AsyncIterator[Finding]]
    found: list[Finding] = field(default_factory=list)


async def run_all(
    checks: Sequence[Check], *, each_s: float = EACH_S, all_s: float = ALL_S
) -> list[Finding]:
    """The findings of all checks, in the order of the checks."""
    asyncio.get_running_loop().set_default_executor(Unawaited())
    tasks = {asyncio.create_task(_run(check, each_s)): check for check in checks}
    try:
        _, late = await asyncio.wait(tasks, timeout=all_s)
        for task in late:
            tasks[task].found.append(_too_late(tasks[task].name, all_s))
        return [finding for check in checks for finding in tuple(check.found)]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_LEAVE_S)


async def _run(check: Check, seconds: float) -> None:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            async for finding in check.look():
                check.found.append(finding)
    except TimeoutError as error:
        ours = limit.expired()
        check.found.append(_too_late(check.name, seconds) if ours else crash(check.name, error))
    except Exception as error:  # noqa: BLE001 - told as a finding
        check.found.append(crash(check.name, error))


def _too_late(name: str, seconds: float) -> Finding:
    return fail(
        name,
        f"not all of it could be looked at within {seconds:g} s",
        "is this machine overloaded, or a disk or name server not answering? Try again",
    )


def crash(name: str, error: BaseException) -> Finding:
    """The line of a check that ended by ``error``, whose words may hold what nobody should see."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if each.filename.startswith(_OURS)] or frames
    place = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    kind = type(error).__name__
    if isinstance(error, ImportError) and error.name:
        return fail(
            name, f"not checked: the Python package {error.name} is missing",
            "see the line about packages",
        )  # fmt: skip
    return fail(name, f"this check itself ended with {kind}{place}", "that is a bug: report it")


class Unawaited(ThreadPoolExecutor):
    """A thread for each call, and none is waited for at the end.

    The name of a host is asked for in a thread, and a name server that does not answer holds it for
    longer than anybody wants to wait.
    """

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> "Future[Any]":
        """Run ``call`` at once."""
        outcome: Future[Any] = Future()

        def run() -> None:
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                outcome.set_result(call(*args, **options))
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                outcome.set_exception(error)

        threading.Thread(target=run, name="doctor", daemon=True).start()
        return outcome

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nobody."""
