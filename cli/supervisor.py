"""Keeps child processes running: starts them, restarts the one that dies, ends them in order.

A service runs in a session of its own, so Ctrl-C in the terminal reaches only the supervisor,
which then asks each service with SIGTERM. If the supervisor itself is killed, the kernel asks
them (``cli.processes``). One that hangs is ended, so that it is started again. A service that
refuses its configuration is not started again: it would refuse for ever.
"""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cli import EXIT_STOPPED, EXIT_USAGE, CommandError
from cli.hang_watch import end_if_hung
from cli.processes import bound
from shared.health_address import door_of

SERVICES = ("ingest", "indicators", "detector", "notifier")
ROOT = Path(__file__).resolve().parent.parent
EX_CONFIG = 78  # sysexits.h; what a service ends with when its configuration is wrong

GRACE_S = 5.0
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
# Whoever lived this long was well: its next death starts with the shortest delay again.
HEALTHY_S = 60.0


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One process to keep running."""

    name: str
    """Unique among the services of a supervisor."""
    command: tuple[str, ...]
    log: Path | None = None
    """Where its output is appended; None leaves it on the console."""
    door: str = ""
    """Where it can be asked whether it is well; one that hangs is ended. Empty = nowhere."""


class ServiceRefused(CommandError):
    """A service ended in a way that starting it again cannot change."""


def services(
    config: Path | None,
    *,
    names: Sequence[str] = SERVICES,
    instance: str = "1",
    log_directory: Path | None = None,
) -> list[ServiceSpec]:
    """The services of the scanner; with a log directory, each writes ``<name>.log`` there."""
    options = ["--instance", instance]
    if config is not None:
        options += ["--config", str(config.absolute())]
    return [
        ServiceSpec(
            name,
            # -P: a folder named like one of ours, lying where the operator stands, is not ours.
            (sys.executable, "-P", "-m", f"services.{name}", *options),
            log_directory / f"{name}.log" if log_directory else None,
            door_of(name, instance, config),
        )
        for name in names
    ]


def delays(first_s: float = FIRST_DELAY_S, longest_s: float = LONGEST_DELAY_S) -> Iterator[float]:
    """Seconds before each restart in a row: doubling up to the longest."""
    delay_s = first_s
    while True:
        yield delay_s
        delay_s = min(longest_s, delay_s * 2)


class Supervisor:
    """``async with Supervisor(...)``: all services run inside the block, and none after it.

    The block is cancelled, and ``ServiceRefused`` raised in its place, when a service cannot run.
    """

    def __init__(
        self,
        services: Sequence[ServiceSpec],
        *,
        environment: Mapping[str, str] | None = None,
        say: Callable[[str], None] = print,
        grace_s: float = GRACE_S,
        first_delay_s: float = FIRST_DELAY_S,
        longest_delay_s: float = LONGEST_DELAY_S,
        healthy_s: float = HEALTHY_S,
    ) -> None:
        """Prepare; nothing starts before the block.

        Args:
            services: What to run.
            environment: Variables added to our own for every service.
            say: Told in one line about each death and restart.
            grace_s: Seconds between SIGTERM and SIGKILL.
            first_delay_s: Seconds before the first restart; doubled for each further one.
            longest_delay_s: Where the doubling ends.
            healthy_s: Seconds of life after which the delay is the first again.
        """
        self._specs = tuple(services)
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        self._say = say
        self._grace_s = grace_s
        self._first_delay_s, self._longest_delay_s = first_delay_s, longest_delay_s
        self._healthy_s = healthy_s
        self._processes: dict[str, Process] = {}
        self._restarts = {spec.name: 0 for spec in self._specs}
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def restarts(self) -> Mapping[str, int]:
        """How often each service had to be started again."""
        return dict(self._restarts)

    def pid(self, service: str) -> int | None:
        """The process of a service; None while it waits for its restart."""
        process = self._processes.get(service)
        return process.pid if process is not None and process.returncode is None else None

    def kill(self, service: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a service; nothing happens while it is not running."""
        process = self._processes.get(service)
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    async def __aenter__(self) -> Self:
        """Start the services; ``pid`` knows each of them afterwards."""
        await self._group.__aenter__()
        try:
            for spec in self._specs:
                started = asyncio.Event()
                self._tasks.append(self._group.create_task(self._keep(spec, started)))
                await started.wait()
        except BaseException:
            await self.__aexit__(*sys.exc_info())
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the services: SIGTERM to all at once, SIGKILL to those that stay."""
        for task in self._tasks:
            task.cancel()
        try:
            await self._group.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            refusal = next((e for e in group.exceptions if isinstance(e, ServiceRefused)), None)
            if refusal is not None:
                raise refusal from refusal.__cause__
            if group.exceptions != (error,):
                raise
            # The block's own error: it goes on as it was raised.

    async def _keep(self, spec: ServiceSpec, started: asyncio.Event) -> None:
        waits = delays(self._first_delay_s, self._longest_delay_s)
        while True:
            born = time.monotonic()
            code = await self._run(spec, started)
            if code in (EX_CONFIG, EXIT_USAGE):
                raise ServiceRefused(
                    f"{spec.name} refuses to run (exit code {code}); {_its_words(spec)}",
                    exit_code=EXIT_USAGE,
                )
            if time.monotonic() - born >= self._healthy_s:
                waits = delays(self._first_delay_s, self._longest_delay_s)
            delay_s = next(waits)
            self._restarts[spec.name] += 1
            self._say(f"{spec.name} {how_it_ended(code)}; starting it again in {delay_s:g} s")
            await asyncio.sleep(delay_s)

    async def _run(self, spec: ServiceSpec, started: asyncio.Event) -> int:
        process = await self._start(spec)
        self._processes[spec.name] = process
        started.set()
        watching = asyncio.ensure_future(self._watch(spec, process))
        try:
            return await process.wait()
        finally:
            watching.cancel()
            await self._end(process)

    async def _watch(self, spec: ServiceSpec, process: Process) -> None:
        if spec.door:
            await end_if_hung(spec.name, spec.door, process, self._say)

    async def _start(self, spec: ServiceSpec) -> Process:
        log = None
        try:
            if spec.log is not None:
                spec.log.parent.mkdir(parents=True, exist_ok=True)
                log = spec.log.open("ab")
            return await asyncio.create_subprocess_exec(
                *bound(spec.command),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceRefused(f"{spec.name} cannot be started: {error}") from error
        finally:
            if log is not None:
                log.close()

    async def _end(self, process: Process) -> None:
        if process.returncode is not None:
            return
        try:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._grace_s):
                    await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def how_it_ended(code: int) -> str:
    """``was ended by SIGKILL``; a signal's number is negative."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _its_words(spec: ServiceSpec) -> str:
    if spec.log is None:
        return "its message is above"
    with suppress(OSError):
        lines = spec.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        return "\n".join([f"it says (see {spec.log}):", *(f"  {line}" for line in lines)])
    return f"see {spec.log}"


def run_until_signalled(main: Coroutine[None, None, int], *, stopped: int = EXIT_STOPPED) -> int:
    """Run to the end, or until SIGINT, SIGTERM or SIGHUP cancels it.

    Args:
        main: What to run; a second signal cancels also what it does on its way out.
        stopped: The exit code after a signal: 0 where being stopped is the only end there is.

    Returns:
        What ``main`` returned, or ``stopped``.
    """
    return asyncio.run(_until_signalled(main, stopped))


async def _until_signalled(main: Coroutine[None, None, int], stopped: int) -> int:
    loop = asyncio.get_running_loop()
    asked = False
    code = stopped

    async def run() -> None:
        nonlocal code
        code = await main

    def stop(task: asyncio.Task[None]) -> None:
        nonlocal asked
        asked = True
        task.cancel()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup a closed terminal is to be ignored.
            if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN):
                loop.add_signal_handler(number, stop, task)
    # A task cancelled in a group is no failure of the group; other errors have been raised by now.
    if task.cancelled() and not asked:
        raise asyncio.CancelledError
    return code
