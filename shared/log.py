"""The log: one format, on the console and in a rotating file, without secrets.

``set_up`` is called once by each process. Every service writes a file of its own, since rotation
by several writers of one file loses lines; several instances of one service share theirs, and
``RotatingFile`` takes care that only one of them rotates it. A log that cannot be written (disk
full, no permission) is reported on the console and never stops a service.
"""

import contextlib
import fcntl
import logging
import math
import os
import re
import sys
import time
from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import TextIO

from shared.settings import Logging

log = logging.getLogger(__name__)
MASK = "********"

# Libraries that log each request, or each reconnect that we report ourselves.
QUIET = ("aiogram", "aiohttp", "aiohttp.access", "aiosmtplib", "asyncio", "redis", "websockets")
# Shorter ones would blot out ordinary words.
MIN_SECRET = 4
# Beyond this many kinds a Throttle forgets the oldest: kinds may hold text from outside.
MAX_KINDS = 1000

# What would begin a new line, move the cursor or turn the text: C0 and C1 controls, line and
# paragraph separators, bidirectional overrides, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# Forms of secrets that show even when the secret itself is not known here.
_FORMS = (
    (re.compile(r"(/bot)[0-9]+:[A-Za-z0-9_-]+"), rf"\1{MASK}"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), rf"\1{MASK}@"),
)
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (-1, 7),
)
_TRACE_INDENT = "\n    | "


def set_up(
    service: str, config: Logging, *, console: bool = True, redact: Iterable[str] = ()
) -> None:
    """Send all logging of this process to the console and to the service's file.

    Called again, it replaces what it set up before.
    """
    root = logging.getLogger()
    for old in [
        handler for handler in root.handlers if isinstance(handler, Console | RotatingFile)
    ]:
        root.removeHandler(old)
        old.close()
    line = Line(service, redact)
    root.setLevel(config.level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    if console:
        out = Console()
        out.setFormatter(line)
        root.addHandler(out)
    if config.file:
        file = RotatingFile(file_of(service, config.file), config.rotation, config.retention_days)
        file.setFormatter(line)
        root.addHandler(file)
        file.try_open()


def file_of(service: str, configured: str) -> Path:
    """The service's own file: ``logs/scanner.log`` gives ``logs/scanner-ingest.log``."""
    path = Path(configured).expanduser()
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", service)
    return path.with_name(f"{path.stem}-{name}{path.suffix}")


class Line(logging.Formatter):
    """``[YYYY-MM-DD HH:MM:SS.mmm UTC] [LEVEL] [service] message``, secrets replaced.

    A message stays on its line whatever it contains; the lines of a traceback follow, indented
    and marked, so that no text from outside can pass for an entry of the log.
    """

    def __init__(self, service: str, redact: Iterable[str] = ()) -> None:
        super().__init__()
        self.service = service
        known = sorted({text for text in redact if len(text) >= MIN_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback below it where there is one."""
        moment = datetime.fromtimestamp(record.created, UTC)
        stamp = f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"
        head = f"[{stamp}] [{record.levelname}] [{self.service}] "
        parts = [head + self.clean(_message(record))]
        # Formatted here and not cached in the record: another formatter may not redact.
        trace = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        for block in (trace, record.stack_info):
            parts += [self.clean(text) for text in self.redact(block or "").split("\n") if text]
        return _TRACE_INDENT.join(parts)

    def redact(self, text: str) -> str:
        """The text without secrets."""
        if self._known:
            text = self._known.sub(MASK, text)
        for form, shown in _FORMS:
            text = form.sub(shown, text)
        return text

    def clean(self, text: str) -> str:
        """The text without secrets, on one line."""
        return _UNSAFE.sub(_escaped, self.redact(text))


def cleaned(record: logging.LogRecord) -> str:
    """The message as this process logs it, for showing it elsewhere: no secrets, on one line."""
    formatters = (handler.formatter for handler in logging.getLogger().handlers)
    line = next((each for each in formatters if isinstance(each, Line)), Line(""))
    return line.clean(_message(record))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  (wrong arguments, or a foreign __str__)
        text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        return f"{text} (arguments cannot be shown: {type(error).__name__})"


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    return _NAMED.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")


def for_journal(text: str, level: int, stream: TextIO) -> str:
    """The text; if ``stream`` leads to the journal each of its lines marked, see sd-daemon(3)."""
    if "JOURNAL_STREAM" not in os.environ or not is_journal(stream, os.environ):
        return text
    mark = f"<{_priority(level)}>"
    return "\n".join(mark + line for line in text.split("\n"))


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether ``stream`` is the one that systemd has connected with its journal.

    The variable alone says nothing: whoever is started by a service inherits it.
    """
    try:
        seen = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}"


def _priority(level: int) -> int:
    """The syslog priority of a level: 2 critical, 3 error, 4 warning, 6 info, 7 debug."""
    return next(priority for least, priority in _PRIORITIES if level >= least)


class Console(logging.StreamHandler[TextIO]):
    """Standard output; a terminal or pipe that is gone silences it and nothing more."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        super().__init__(sys.stdout)

    def format(self, record: logging.LogRecord) -> str:
        """The text; for the journal with its level."""
        return for_journal(super().format(record), record.levelno, self.stream)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nowhere is left to say it."""


class RotatingFile(TimedRotatingFileHandler):
    """A log file that begins anew at midnight UTC (or each hour) and never raises.

    Differs from its base in three ways. A failure to write is reported on the console, once per
    minute. A process that finds the file already rotated by another instance just opens the new
    one. A rotated file is never overwritten.
    """

    def __init__(self, path: Path, rotation: str, retention_days: int) -> None:
        self._rotates = rotation != "none"
        self._failures = Throttle(60.0)
        self._lost = 0
        self._reporting = False
        hourly = rotation == "hourly"
        super().__init__(
            path,
            when="H" if hourly else "MIDNIGHT",
            backupCount=retention_days * 24 if hourly else retention_days,
            encoding="utf-8",
            delay=True,
            utc=True,
        )

    def try_open(self) -> None:
        """Open the file now, so that a missing permission is reported at the start."""
        try:
            self.stream = self._open()
        except OSError as error:
            self._report(error)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, or count it as lost."""
        if self._reporting:
            return
        lost = self._lost
        super().emit(record)
        if lost and self._lost == lost:
            self._lost = 0
            log.warning("log file %s is written again; %d lines are missing", self.shown_path, lost)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Let go of the file, so that the next line opens it afresh, and report."""
        self._lost += 1
        self._let_go()
        error = sys.exc_info()[1]
        if error is not None:
            self._report(error)

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802
        """As the base says, unless rotation is off."""
        return self._rotates and bool(super().shouldRollover(record))

    def doRollover(self) -> None:  # noqa: N802
        """Rename the file, remove the oldest, begin a new one."""
        began = self.rolloverAt - self.interval
        try:
            if self._rename(began):
                for old in self.getFilesToDelete():
                    Path(old).unlink(missing_ok=True)
        except BlockingIOError:
            return  # another instance is at it; the next line looks again
        except OSError as error:
            self._report(error)
        self._let_go()
        self.rolloverAt = self.computeRollover(int(time.time()))

    @property
    def shown_path(self) -> str:
        """The path as it is shown."""
        return os.path.relpath(self.baseFilename)

    def _rename(self, began: float) -> bool:
        """Move the file aside, unless another instance has done so."""
        if self.stream is None:
            self.stream = self._open()
        fcntl.flock(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            path = Path(self.baseFilename)
            if not path.exists() or not os.path.samestat(
                path.stat(), os.fstat(self.stream.fileno())
            ):
                return False
            day = time.strftime(self.suffix, time.gmtime(began))
            names = (f"{path}.{day}{number}" for number in ("", *(f".{n}" for n in range(1, 1000))))
            path.rename(next(name for name in names if not os.path.lexists(name)))
            return True
        finally:
            fcntl.flock(self.stream, fcntl.LOCK_UN)

    def _let_go(self) -> None:
        stream, self.stream = self.stream, None
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.close()

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def _report(self, error: BaseException) -> None:
        if self._failures.admit("write", time.monotonic()) is None:
            return
        reason = getattr(error, "strerror", None) or type(error).__name__
        text = (
            f"log file {self.shown_path} cannot be written: {reason}; logging to the console only"
        )
        self._reporting = True
        try:
            log.warning("%s", text)
        finally:
            self._reporting = False
        if not any(isinstance(handler, Console) for handler in logging.getLogger().handlers):
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"{text}\n")


class Throttle:
    """Once per kind and period, and how often it happened meanwhile. Reads no clock."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds
        self._kinds: dict[Hashable, tuple[float, int]] = {}

    def admit(self, kind: Hashable, now: float) -> int | None:
        """How many of this kind were held back since the last one, or None to hold this back.

        ``now`` is in seconds and from a monotonic clock.
        """
        since, held = self._kinds.get(kind, (-math.inf, 0))
        if since <= now < since + self.seconds:
            self._kinds[kind] = (since, held + 1)
            return None
        self._kinds.pop(kind, None)
        if len(self._kinds) >= MAX_KINDS:
            self._kinds.pop(next(iter(self._kinds)))
        self._kinds[kind] = (now, 0)
        return held
