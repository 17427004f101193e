"""The log: its form, what it hides, and that it never stops what it reports on."""

import errno
import io
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.log import Console, Line, RotatingFile, Throttle, cleaned, file_of, set_up
from shared.settings import Logging

SECRET = "hunter2-hunter2"
FORM = re.compile(
    r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC\] \[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] "
    r"\[[a-z]+\] .*"
)
log = logging.getLogger("test")


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [h for h in root.handlers if isinstance(h, Console | RotatingFile)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)


def start(folder: Path, rotation: str = "daily", **more: object) -> Path:
    config = Logging(file=str(folder / "logs" / "scanner.log"), rotation=rotation)  # type: ignore[arg-type]
    set_up("ingest", config, **more)  # type: ignore[arg-type]
    return folder / "logs" / "scanner-ingest.log"


def file_handler() -> RotatingFile:
    return next(h for h in logging.getLogger().handlers if isinstance(h, RotatingFile))


# --- the line ---------------------------------------------------------------------------------


def line_of(message: str, *args: object, redact: tuple[str, ...] = (SECRET,)) -> str:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, message, args, None)
    record.created = 1_762_094_100.25
    return Line("ingest", redact).format(record)


def test_a_line_has_the_promised_form() -> None:
    assert line_of("Loaded 1m data: %d candles", 3) == (
        "[2025-11-02 14:35:00.250 UTC] [INFO] [ingest] Loaded 1m data: 3 candles"
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\n[2025-11-02 14:35:00.000 UTC] [ERROR] [x] forged", r"a\r\n[2025"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\x00b\x85c", r"a\x00b\x85c"),
        ("a\u2028b\u202ec", r"a\u2028b\u202ec"),
        ("lone \ud800", r"lone \ud800"),
        ("umlaut ä €", "umlaut ä €"),
    ],
)
def test_a_message_stays_on_its_line(message: str, shown: str) -> None:
    line = line_of("%s", message)
    assert shown in line
    assert len(line.splitlines()) == 1
    line.encode("utf-8")


@pytest.mark.parametrize(
    "message",
    [
        f"login with {SECRET}",
        f"https://api.telegram.org/bot{SECRET}/sendMessage",
        f"a\n{SECRET}\nb",
    ],
)
def test_a_known_secret_never_shows(message: str) -> None:
    assert SECRET not in line_of("%s", message)
    assert "********" in line_of(message)


def test_forms_of_secrets_are_hidden_even_if_unknown() -> None:
    assert "AAbc" not in line_of("POST https://h/bot123:AAbc-d_e/getMe")
    assert line_of("to redis://me:pw@h:1/0").endswith("to redis://me:********@h:1/0")


def test_of_secrets_within_secrets_the_longest_is_hidden() -> None:
    assert line_of("abcdefgh", redact=("abcd", "abcdefgh")).endswith("] ********")


def test_a_very_short_secret_does_not_blot_out_the_log() -> None:
    assert line_of("banana", redact=("a", "")).endswith("] banana")


def test_a_traceback_is_marked_and_hides_secrets_too() -> None:
    forged = f"no {SECRET}\n[2025-11-02 14:35:00.000 UTC] [INFO] [x] forged"

    def fail() -> None:
        raise ValueError(forged)

    try:
        fail()
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed", (), sys.exc_info())
    first, *rest = Line("ingest", [SECRET]).format(record).split("\n")
    assert first.endswith("[ERROR] [ingest] failed")
    assert rest[0] == "    | Traceback (most recent call last):"
    assert all(text.startswith("    | ") for text in rest)
    assert SECRET not in "".join(rest)


def test_wrong_arguments_are_a_line_and_not_an_error() -> None:
    assert "%d candles (arguments cannot be shown: TypeError)" in line_of("%d candles", "x")


# --- set up -----------------------------------------------------------------------------------


def test_lines_go_to_the_console_and_to_the_file_of_the_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = start(tmp_path)
    log.info("one")
    log.debug("not shown")
    assert path.read_text() == capsys.readouterr().out
    assert FORM.fullmatch(path.read_text().rstrip("\n"))


def test_set_up_again_replaces_and_does_not_double(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(tmp_path)
    path = start(tmp_path)
    log.warning("once")
    assert path.read_text().count("once") == capsys.readouterr().out.count("once") == 1


def test_without_a_file_only_the_console_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    set_up("ingest", Logging(file=""))
    log.info("here")
    assert "here" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_talkative_libraries_are_quiet(tmp_path: Path) -> None:
    path = start(tmp_path)
    logging.getLogger("websockets.client").info("frame")
    logging.getLogger("aiohttp.access").info("GET")
    logging.getLogger("aiogram.event").warning("flood")
    assert "frame" not in path.read_text()
    assert "GET" not in path.read_text()
    assert "flood" in path.read_text()


@pytest.mark.parametrize(
    ("configured", "own"),
    [
        ("logs/scanner.log", "logs/scanner-ingest.log"),
        ("/var/log/x", "/var/log/x-ingest"),
        ("a.b.log", "a.b-ingest.log"),
    ],
)
def test_each_service_has_a_file_of_its_own(configured: str, own: str) -> None:
    assert file_of("ingest", configured) == Path(own)


def test_a_service_name_leads_out_of_no_folder() -> None:
    assert file_of("../../x", "logs/s.log") == Path("logs/s--x.log")


# --- a file that cannot be written ------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("a file stands in the way")
    start(tmp_path)
    for number in range(50):
        log.info("line %d", number)
    out, err = capsys.readouterr()
    assert out.count("cannot be written: ") == 1
    assert "logging to the console only" in out
    assert out.count("line ") == 50
    assert err == ""


def test_a_full_disk_is_one_warning_and_heals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = start(tmp_path)
    log.info("before")
    handler = file_handler()
    handler._let_go()
    path.unlink()
    path.symlink_to("/dev/full")
    for number in range(5):
        log.info("lost %d", number)
    path.unlink()
    log.info("after")
    out, err = capsys.readouterr()
    assert out.count(os.strerror(errno.ENOSPC)) == 1
    assert "is written again; 5 lines are missing" in path.read_text()
    assert "after" in path.read_text()
    assert (out.count("lost"), err) == (5, "")


def test_without_console_the_warning_goes_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("")
    start(tmp_path, console=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot be written" in err


def test_a_console_that_is_gone_silences_and_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = io.StringIO()
    monkeypatch.setattr(sys, "stdout", gone)
    path = start(tmp_path)
    gone.close()
    log.info("still in the file")
    assert "still in the file" in path.read_text()


# --- rotation ---------------------------------------------------------------------------------


def let_a_day_pass(handler: RotatingFile, day: str) -> None:
    """The file was begun on ``day``; it is due for rotation."""
    begun = int(time.mktime(time.strptime(f"{day} UTC", "%Y-%m-%d %Z"))) - time.timezone
    handler.rolloverAt = begun + handler.interval


def test_a_new_file_begins_each_day_and_the_oldest_goes(tmp_path: Path) -> None:
    path = start(tmp_path)
    for day in range(1, 11):
        log.info("of day %d", day)
        let_a_day_pass(file_handler(), f"2025-11-{day:02d}")
    log.info("of today")
    names = sorted(p.name for p in path.parent.iterdir())
    assert names == [path.name, *(f"{path.name}.2025-11-{day:02d}" for day in range(4, 11))]
    assert "of day 4" in (path.parent / f"{path.name}.2025-11-04").read_text()
    assert path.read_text().count("\n") == 1


def test_a_rotated_file_is_never_overwritten(tmp_path: Path) -> None:
    path = start(tmp_path)
    for number in range(3):
        log.info("number %d", number)
        let_a_day_pass(file_handler(), "2025-11-02")
    log.info("last")
    texts = "".join(p.read_text() for p in path.parent.iterdir())
    assert all(f"number {number}" in texts for number in range(3))


def test_two_instances_of_a_service_rotate_once_and_lose_nothing(tmp_path: Path) -> None:
    path = start(tmp_path)
    other = RotatingFile(path, "daily", 7)
    other.setFormatter(Line("other"))
    second = logging.getLogger("second")
    second.addHandler(other)
    second.propagate = False
    try:
        log.info("a1")
        second.info("b1")
        for handler in (file_handler(), other):
            let_a_day_pass(handler, "2025-11-02")
        log.info("a2")
        second.info("b2")
        log.info("a3")
        second.info("b3")
    finally:
        second.removeHandler(other)
        other.close()
    old = path.with_name(f"{path.name}.2025-11-02")
    assert [line[-2:] for line in old.read_text().splitlines()] == ["a1", "b1"]
    assert [line[-2:] for line in path.read_text().splitlines()] == ["a2", "b2", "a3", "b3"]
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.parametrize(
    ("rotation", "when", "kept"), [("daily", "MIDNIGHT", 7), ("hourly", "H", 168)]
)
def test_rotation_and_retention_are_as_configured(
    tmp_path: Path, rotation: str, when: str, kept: int
) -> None:
    start(tmp_path, rotation)
    handler = file_handler()
    assert (handler.when, handler.backupCount, handler.utc) == (when, kept, True)
    if rotation == "daily":
        assert handler.rolloverAt % 86_400 == 0


def test_rotation_none_never_rotates(tmp_path: Path) -> None:
    path = start(tmp_path, "none")
    log.info("one")
    let_a_day_pass(file_handler(), "2025-11-02")
    log.info("two")
    assert [p.name for p in path.parent.iterdir()] == [path.name]


# --- once per kind and minute -----------------------------------------------------------------


def test_a_throttle_admits_once_per_kind_and_period_and_counts_the_rest() -> None:
    throttle = Throttle(60)
    assert throttle.admit("json", 0) == 0
    assert throttle.admit("symbol", 1) == 0
    assert [throttle.admit("json", now) for now in (1, 30, 59.9)] == [None, None, None]
    assert throttle.admit("json", 60) == 3
    assert throttle.admit("json", 121) == 0


def test_a_throttle_does_not_grow_with_what_comes_from_outside() -> None:
    throttle = Throttle(60)
    for number in range(5000):
        assert throttle.admit(number, 0) == 0
    assert len(throttle._kinds) == 1000


def test_an_error_shown_elsewhere_holds_no_secret_either() -> None:
    set_up("ingest", Logging(file=""), redact=[SECRET])
    record = logging.LogRecord("x", logging.ERROR, "", 0, "login %s\nfailed", (SECRET,), None)
    assert cleaned(record) == r"login ********\nfailed"


# --- the journal ------------------------------------------------------------------------------

TELL = """
import logging, os, sys
from shared.log import set_up
from shared.settings import Logging
if sys.argv[1] == "journal":
    out = os.fstat(1)
    os.environ["JOURNAL_STREAM"] = f"{out.st_dev}:{out.st_ino}"
elif sys.argv[1] == "inherited":
    os.environ["JOURNAL_STREAM"] = "1:2"
set_up("ingest", Logging(file="", level="DEBUG"))
log = logging.getLogger("test")
for level in (10, 20, 30, 40, 50):
    log.log(level, "at %d", level)
try:
    raise OSError("no")
except OSError:
    log.exception("with its traceback")
"""


def told(how: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", TELL, how],
        cwd=Path(__file__).parents[2],
        env={name: text for name, text in os.environ.items() if name != "JOURNAL_STREAM"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_each_line_to_the_journal_carries_its_level() -> None:
    lines = told("journal")
    assert [line[:3] for line in lines[:5]] == ["<7>", "<6>", "<4>", "<3>", "<2>"]
    assert len(lines) > 7
    assert {line[:3] for line in lines[5:]} == {"<3>"}  # the traceback, too
    assert all(FORM.fullmatch(line[3:]) for line in lines[:6])


@pytest.mark.parametrize("how", ["no journal", "inherited"])
def test_other_outputs_carry_no_levels(how: str) -> None:
    assert all(FORM.fullmatch(line) for line in told(how)[:6])


def test_a_refused_configuration_is_an_error_in_the_journal(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"exchange": {"symbol": "BTCUSDT", "symbl": 1}}')
    reader, writer = os.pipe()
    stream = os.fstat(writer)
    done = subprocess.run(
        [sys.executable, "-m", "services.detector", "--config", str(config)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"},
        stderr=writer,
        check=False,
    )
    os.close(writer)
    with os.fdopen(reader) as said:
        lines = said.read().splitlines()
    assert done.returncode == 78
    assert len(lines) == 3
    assert all(line.startswith("<3>") for line in lines)
