"""Notifiers that are born fast: forked from a process that has imported all they need.

A notifier takes more than a second to import its libraries. Where one is killed each second, the
machine would do nothing else, and hardly any kill would meet one at work. What is forked runs the
same ``main`` as ``python -m services.notifier``, from reading its configuration on.
"""

import asyncio
import ctypes
import importlib
import json
import os
import select
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from cli.processes import PR_SET_PDEATHSIG, bound
from cli.supervisor import ROOT

_IMPORTED_S = 60.0


class Child:
    """A process from the nursery; the interface is that of ``asyncio.subprocess.Process``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        """None while it lives; −9 after SIGKILL."""
        return self._ended.result() if self._ended.done() else None

    def end(self, code: int) -> None:
        """Note that it has ended."""
        self._ended.set_result(code)

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """SIGKILL."""
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self._send(signal.SIGTERM)

    def _send(self, number: int) -> None:
        if not self._ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Nursery:
    """Lets notifiers be born."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._births: asyncio.Queue[int] = asyncio.Queue()
        self._children: dict[int, Child] = {}

    async def birth(self, arguments: list[str], log: Path) -> Child:
        """A notifier with these arguments, whose output goes to the end of ``log``."""
        if self._process.stdin is None:
            raise AssertionError("opened with a pipe")
        order = {"arguments": arguments, "log": str(log)}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        child = Child(await self._births.get())
        self._children[child.pid] = child
        return child

    async def listen(self) -> None:
        """Hear of births and deaths until the nursery ends."""
        if self._process.stdout is None:
            raise AssertionError("opened with a pipe")
        async for line in self._process.stdout:
            told = json.loads(line)
            if "born" in told:
                self._births.put_nowait(told["born"])
            elif (child := self._children.pop(told["dead"], None)) is not None:
                child.end(told["code"])


@asynccontextmanager
async def open_nursery() -> AsyncIterator[Nursery]:
    """A nursery whose children end with it."""
    process = await asyncio.create_subprocess_exec(
        *bound([sys.executable, "-P", "-m", "soak.nursery"]),
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    if process.stdout is None:
        raise AssertionError("opened with a pipe")
    async with asyncio.timeout(_IMPORTED_S):
        await process.stdout.readline()
    nursery = Nursery(process)
    listening = asyncio.create_task(nursery.listen())
    try:
        yield nursery
    finally:
        process.kill()
        await process.wait()
        listening.cancel()
        await asyncio.wait({listening})


# --- in the process of the nursery --------------------------------------------------------------


def main() -> None:
    """Import, and then fork whenever a line asks for it, until the input ends."""
    for name in ("services.notifier.__main__", "services.notifier.channels.email_channel",
                 "services.notifier.channels.telegram_channel"):  # fmt: skip
        importlib.import_module(name)
    waker, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _tell(ready=True)
    orders = sys.stdin.buffer
    os.set_blocking(orders.fileno(), False)
    rest = b""
    while True:
        readable, _, _ = select.select([orders, waker], [], [])
        if waker in readable:
            os.read(waker, 1000)
            _tell_deaths()
        if orders in readable:
            read = _read(orders)
            if not read:
                return
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                _fork(json.loads(line))


def _read(orders: BinaryIO) -> bytes:
    return os.read(orders.fileno(), 65_536)


def _tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _tell_deaths() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell(dead=pid, code=os.waitstatus_to_exitcode(status))


def _fork(order: dict[str, Any]) -> None:
    pid = os.fork()
    if pid:
        _tell(born=pid)
        return
    code = 1
    try:
        code = _live(order)
    finally:
        os._exit(code)  # nothing of the nursery's is to be cleaned up here


def _live(order: dict[str, Any]) -> int:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    sys.argv = ["notifier", *order["arguments"]]
    notifier: Any = importlib.import_module("services.notifier.__main__")
    try:
        return int(notifier.start_service("notifier", notifier.serve, extend=notifier.extend))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main()
