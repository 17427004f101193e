"""What the command line accepts, and how it fails: in words, with a code, without a traceback."""

import asyncio
import os
from pathlib import Path

import pytest

from cli import CommandError, up_command
from cli.arguments import parse
from cli.command_line import main
from shared.config_errors import ConfigError, Fault
from tests.command import run_command

COMMANDS = [
    "demo",
    "up",
    "replay",
    "doctor",
    "status",
    "signals",
    "events",
    "dead",
    "mute",
    "unmute",
    "test-alert",
    "config",
    "health",
    "redis-acl",
    "version",
]
CALLS = [
    *([command] for command in COMMANDS if command not in ("replay", "dead", "config", "health")),
    ["health", "ingest"],
    ["replay", "candles.csv", "--out", "here"],
    ["dead", "list", "email"],
    ["dead", "show", "email:1-0"],
    ["dead", "replay", "email:1-0", "telegram:2-0"],
    ["dead", "drop", "--all"],
    ["mute", "2h"],
    ["test-alert", "--channel", "email", "--timeout", "5"],
    ["config", "check"],
    ["config", "show"],
]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["config", "check"]])
def test_every_command_explains_itself(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(" ".join(["usage: btc-scanner", *command]))
    assert "--config PATH" in text


def test_the_help_of_all_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    text = capsys.readouterr().err
    assert all(f"\n    {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_options_of_every_command_stand_before_or_after_it(call: list[str]) -> None:
    assert parse(call).config is None
    assert parse(["--config", "a.json", "--debug", *call]).config == Path("a.json")
    after = parse(["--debug", *call, "--config", "a.json"])
    assert (after.config, after.debug) == (Path("a.json"), True)


def test_numbers_are_read_as_meant() -> None:
    demo = parse(["demo", "--seconds", "5", "--seed", "7", "--speed", "120"])
    assert (demo.seconds, demo.seed, demo.speed) == (5.0, 7, 120.0)
    replay = ["replay", "candles.csv", "--out", "here"]
    assert parse(replay).speed is None
    assert parse([*replay, "--speed", "max"]).speed is None
    assert parse([*replay, "--speed", "1.5"]).speed == 1.5
    assert parse(["signals", "-n", "3"]).count == 3
    assert parse(["events", "-n", "4", "--json"]).count == 4
    assert parse(["signals", "-n", "9" * 5000]).count == 1_000_000_000  # what Redis takes


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (["dance"], "invalid choice: 'dance'"),
        (["demo", "--seconds", "0"], "'0' is not a number above 0"),
        (["demo", "--speed", "nan"], "'nan' is not a number above 0"),
        (["replay", "x.csv"], "--out"),
        (["replay", "x.csv", "--out", "y", "--speed", "fast"], "'fast' is not a number above 0"),
        (["signals", "-n", "-1"], "'-1' is not a whole number above 0"),
        (["test-alert", "--channel", "pigeon"], "invalid choice: 'pigeon'"),
        (["test-alert", "--timeout", "0"], "'0' is not a number above 0"),
        (["config"], "COMMAND"),
        (["dead"], "COMMAND"),
        (["dead", "list", "pigeon"], "invalid choice: 'pigeon'"),
        (["dead", "replay"], "NAME --all"),
        (["dead", "drop", "email:1-0", "--all"], "not allowed with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_told_with_code_2(
    call: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(call)
    assert end.value.code == 2
    assert why in capsys.readouterr().err


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith("btc-scanner 0.")


FAULT = Fault("smtp.port", "is not a number")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (CommandError("no market"), 1, "btc-scanner: no market\n"),
        (CommandError("bad", exit_code=2), 2, "btc-scanner: bad\n"),
        (ConfigError([FAULT], "c.json"), 2, "btc-scanner: c.json: 1 fault\n"),
        (FileNotFoundError(2, "No such file", "x.csv"), 1, "btc-scanner: x.csv: No such file\n"),
        (ConnectionRefusedError(111, "Refused"), 1, "btc-scanner: Refused\n"),
        (KeyboardInterrupt(), 130, "btc-scanner: interrupted\n"),
        (
            ExceptionGroup("two", [CommandError("a"), ExceptionGroup("", [CommandError("b")])]),
            1,
            "btc-scanner: a\nbtc-scanner: b\n",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_expected_error_is_a_line_and_a_code(
    error: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _main_raising(error, monkeypatch) == code
    told = capsys.readouterr().err
    assert told.startswith(text)
    assert "Traceback" not in told


@pytest.mark.parametrize("error", [KeyError("x"), asyncio.CancelledError()], ids=repr)
def test_an_unexpected_error_leaves_its_traceback_in_a_file(
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert _main_raising(error, monkeypatch) == 1
    told = capsys.readouterr().err
    (file,) = tmp_path.iterdir()
    assert str(file) in told
    assert "Traceback" not in told
    assert "Traceback" in file.read_text()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BrokenPipeError(32, "Broken pipe"), 141),
        (
            ExceptionGroup(
                "", [BrokenPipeError(32, "Broken pipe"), BrokenPipeError(32, "Broken pipe")]
            ),
            141,
        ),
        (ExceptionGroup("", [BrokenPipeError(32, "Broken pipe"), CommandError("no market")]), 1),
    ],
    ids=repr,
)
def test_whoever_reads_no_more_is_told_nothing_but_other_errors(
    error: Exception,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert _main_raising(error, monkeypatch) == code
    told = capfd.readouterr().err
    assert told == "" if code == 141 else "btc-scanner: no market" in told


# Whoever imports the module that is named gets a Ctrl-C.
INTERRUPTING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    "module",
    ["cli.command_line", "cli.arguments", "cli.status", "redis.asyncio", "shared.settings"],
)
def test_ctrl_c_while_modules_are_loaded_is_told_in_a_line(module: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "INTERRUPTED_AT": module}
    done = run_command("status", "--config", tmp_path / "none.json", environ=environ)
    assert (done.returncode, done.stderr) == (130, "btc-scanner: interrupted\n")


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert _main_raising(CommandError("odd"), monkeypatch, "--debug") == 1
    assert "Traceback" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def _main_raising(error: BaseException, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(up_command, "run", fail)
    monkeypatch.setattr("shared.configuration.find_config", lambda *_: None)
    return main([*options, "up"])
