"""How a service starts and ends: one entry, one cancellation, an end within five seconds.

Cancellation is the only stop signal. SIGTERM and SIGINT cancel the main task; should a library
swallow that (see ``redis_access``), the cancellation is repeated, and at last the process leaves
without ceremony, which is safe because nothing is acknowledged before it is done.
"""

import argparse
import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TypeVar

from shared.alarm import alarmed, kind_of
from shared.checkup import verdict
from shared.configuration import ConfigError, load_settings
from shared.health_address import default_instance
from shared.health_door import open_door
from shared.leaves import leaves
from shared.log import for_journal, set_up
from shared.progress import begin
from shared.sd_notify import Supervisor
from shared.settings import Settings
from shared.watchdog import keep_telling

log = logging.getLogger(__name__)

T = TypeVar("T")

EX_CONFIG = 78
# The others need no secret of a mail server or a bot.
_WITH_CHANNELS = ("notifier",)
_REPEAT_CANCEL_S = 1.5
_GIVE_UP_S = 4.5  # below the five seconds that are promised, and below a supervisor's grace


class WrongConfiguration(Exception):
    """What only running can show to be wrong in the configuration; ends the service for good."""


Serve = Callable[[Settings, str], Coroutine[None, None, None]]


def start_service(service: str, serve: Serve, *, extend: Callable[..., None] | None = None) -> int:
    """Parse arguments, load the configuration, set up logging, and serve until stopped.

    Args:
        service: Its name in logs and heartbeats.
        serve: Called with the settings and the instance name; runs until cancelled.
        extend: Adds the service's own arguments to the parser; its ``serve`` reads them itself.

    Returns:
        The exit code: 0 after a signal, 78 for a wrong configuration, 1 after a failure.
    """
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}")
    parser.add_argument("--config", type=Path, help="configuration file (JSON)")
    parser.add_argument(
        "--instance",
        default=default_instance(os.environ),
        help="name among several of this service",
    )
    if extend is not None:
        extend(parser)
    arguments = parser.parse_args()
    try:
        settings = load_settings(arguments.config, channels=service in _WITH_CHANNELS)
    except ConfigError as error:
        sys.stderr.write(f"{for_journal(str(error), logging.ERROR, sys.stderr)}\n")
        return EX_CONFIG
    set_up(service, settings.logging, redact=settings.secrets())
    faulthandler.enable()  # a supervisor's SIGABRT then shows in the log where it hung
    gc.freeze()  # what is loaded now stays: a collection in the middle of a candle need not walk it

    async def answering() -> None:
        async with open_door(service, arguments.instance, arguments.config, verdict):
            await _alarmed(service, serve, settings, arguments.instance)

    return run(answering())


async def _alarmed(service: str, serve: Serve, settings: Settings, instance: str) -> None:
    """Serve, and let people know of what is CRITICAL and of an error that ends the service."""
    async with alarmed(service, instance, settings) as alarm:
        try:
            await serve(settings, instance)
        except Exception as error:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():  # else it is being stopped
                alarm.put(*_last_words(error))
            raise


def run(main: Coroutine[None, None, None]) -> int:
    """Run ``main`` until it ends or SIGTERM or SIGINT arrives; return the exit code."""
    last_resort = threading.Timer(_GIVE_UP_S, os._exit, (1,))
    last_resort.daemon = True
    try:
        return asyncio.run(_until_signalled(main, last_resort))
    except KeyboardInterrupt:
        return 0
    finally:
        last_resort.cancel()


async def _until_signalled(main: Coroutine[None, None, None], last_resort: threading.Timer) -> int:
    loop = asyncio.get_running_loop()
    supervisor, progress = Supervisor(), begin()
    task = asyncio.ensure_future(main)
    telling = asyncio.ensure_future(keep_telling(supervisor, progress))
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            log.info("stopping")
            telling.cancel()
            supervisor.stopping()
            last_resort.start()
        task.cancel()
        loop.call_later(_REPEAT_CANCEL_S, stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    supervisor.ready()
    try:
        await task
    except asyncio.CancelledError:
        if not stopping:
            raise
    except Exception as error:  # noqa: BLE001 - logged, and told by the exit code
        code = _judge(error, stopping)
        if code != 0:
            return code
    finally:
        telling.cancel()
    log.info("stopped")
    return 0


def _judge(error: Exception, stopping: bool) -> int:
    """Log what ended a service, and say with which code it ends."""
    causes = list(leaves(error))
    wrong = [cause for cause in causes if isinstance(cause, WrongConfiguration)]
    if wrong:
        log.error("%s", wrong[0])
        return EX_CONFIG
    if not stopping:
        log.error("ended by an error that nobody expected", exc_info=error)
        return 1
    log.warning("%s while stopping", causes[0])
    return 0


def _last_words(error: Exception) -> tuple[str, str]:
    """The kind of the error that ends a service, and what people are told of it.

    The words of an error that nobody expected may hold a secret; its type and place do not.
    """
    causes = list(leaves(error))
    wrong = next((cause for cause in causes if isinstance(cause, WrongConfiguration)), None)
    if wrong is not None:
        return kind_of(__name__, "wrong configuration"), f"ended for good: {wrong}"
    trace, name = causes[0].__traceback__, type(causes[0]).__name__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else "?"
    words = f"ended by an error that nobody expected, {name} at {place}; its log has the traceback"
    return kind_of(place, name), words


async def finish(step: Awaitable[T]) -> T:
    """Let a step end that must not be cut (deliver, then record), then obey a cancellation.

    A cancellation that arrives meanwhile is raised after the step has ended.
    """
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.done():
                break
            cancelled = error
        except Exception:  # noqa: BLE001 - it is the step's own, raised by task.result() below
            break
    if cancelled is not None:
        raise cancelled
    return task.result()
