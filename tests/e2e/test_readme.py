"""README.md followed by the letter: each command of its blocks is executed, most of them here."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.documented import Command, commands, mentions
from tests.e2e.conftest import ROOT
from tests.waiting import until

pytestmark = pytest.mark.timeout(240)

# What a clone has for those who run the scanner.
PROGRAM = ("cli", "services", "shared", "sim", "requirements.txt")
# Commands of the README that other runs execute, and which.
ELSEWHERE = {
    "make demo": "test_demo.py, shortened by ARGS",
    "make setup": "it has built the environment of this run",
    "make check": ".ci/run",
    "make test": "this run",
    "make test-deploy": "on a machine with a container engine",
    "make chaos": "test_chaos.py, as `replay --chaos`",
    "make soak": "test_soak.py, shortened by ARGS",
}
# The launcher takes the environment of this run, and builds none.
WITH_OUR_PACKAGES = {**os.environ, "BTC_SCANNER_VENV": sys.prefix}
# Enough to see that it works; the rest is a matter of time.
SHORTENED = {
    "make bench": 'make bench ARGS="--seconds 2 --days 1"',
    "make stops": 'make stops ARGS="--times 1"',
    # A seed that was tried for long: what is found by chance is for those who look for it.
    "make fuzz": 'make fuzz SECONDS=1 ARGS="--seed 7"',
}


@dataclass
class Clone:
    """A folder like a fresh clone, with the simulated outside in place of the world."""

    folder: Path
    outside: dict[str, Any]
    executed: list[Command] = field(default_factory=list)
    scanner: "subprocess.Popen[str] | None" = None

    def shell(self, text: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-O", "expand_aliases", "-c", text],
            cwd=self.folder, check=False, capture_output=True, text=True, timeout=120,
            env=WITH_OUR_PACKAGES,
        )  # fmt: skip

    def follow(self, command: Command) -> str:
        """Execute a line as it stands in the document."""
        self.executed.append(command)
        done = self.shell(command.text)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, up: str) -> None:
        """Execute a line that stays."""
        self.scanner = subprocess.Popen(
            ["bash", "-c", f"exec {up}"], cwd=self.folder, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=WITH_OUR_PACKAGES,
        )  # fmt: skip

    def stop(self) -> None:
        """End it in order."""
        assert self.scanner is not None
        self.scanner.send_signal(signal.SIGTERM)
        said, _ = self.scanner.communicate(timeout=60)
        assert self.scanner.returncode == 0, said

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.outside['control']}/state") as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("clone")
    for name in PROGRAM:
        (folder / name).symlink_to(ROOT / name)
    for name in ("btc-scanner", "config.example.json"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    outside = subprocess.Popen(
        [sys.executable, "-m", "sim", "--market", "7", "--days", "30", "--history-days", "5",
         "--speed", "600", "--weight-limit", "0", "--until-stdin-closes"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert outside.stdout is not None
    try:
        yield Clone(folder, json.loads(outside.stdout.readline()))
    finally:
        outside.terminate()
        outside.communicate()


def section(name: str) -> list[Command]:
    found = commands("README.md", name)
    assert found
    return found


def edit_as_the_readme_says(clone: Clone) -> None:
    """Fill in "smtp", and enable Telegram; the outside is simulated."""
    path, outside = clone.folder / "config.json", clone.outside
    config, smtp = json.loads(path.read_text()), outside["smtp"]
    config["smtp"] |= {
        "server": smtp["host"], "port": smtp["port"], "user": smtp["user"],
        "password": smtp["password"], "ca_file": smtp["ca_file"],
    }  # fmt: skip
    config["telegram"] = {
        "enabled": True, "bot_token": outside["bot_token"], "chat_id": str(outside["chat_id"]),
        "api_url": outside["bot_api"],
    }  # fmt: skip
    config["exchange"] |= {
        "rest_hosts": [outside["rest"]], "ws_hosts": [outside["ws"]],
        # Its clock is not ours, and runs faster.
        "max_clock_skew_seconds": None, "blind_after_seconds": 100_000,
    }  # fmt: skip
    path.write_text(json.dumps(config))


@pytest.fixture(scope="module")
def running(clone: Clone) -> Iterator[Clone]:
    """The scanner, as "Run it on the real market" has it started."""
    copy, check, up = section("Run it on the real market")
    clone.follow(copy)
    assert (clone.folder / "config.json").stat().st_mode & 0o777 == 0o600
    edit_as_the_readme_says(clone)
    assert "OK" in clone.follow(check)
    clone.executed.append(up)
    clone.start(up.text)
    try:
        yield clone
    finally:
        clone.stop()


def test_it_runs_and_delivers_by_both_channels(running: Clone) -> None:
    def both() -> bool:
        state = running.state()
        return bool(state["mails"] and state["telegrams"])

    until(both, "a mail and a Telegram message", seconds=90)
    until(lambda: running.shell("./btc-scanner status").returncode == 0, "healthy", seconds=60)


# What each command of the table must say, in the order in which a person would type them.
SAYS = {
    "./btc-scanner status": "HEALTHY",
    "./btc-scanner health ingest": "ingest",
    "./btc-scanner signals -n 3": "BTC/USDT",
    "./btc-scanner events -n 3": "",
    "./btc-scanner dead list": "No dead letters",
    "./btc-scanner test-alert": "email",
    "./btc-scanner mute 2h": "MUTED until",
    "./btc-scanner mute": "MUTED until",
    "./btc-scanner unmute": "",
    "./btc-scanner redis-acl": "user ingest on",
    "./btc-scanner config show": "rsi_min",
    "./btc-scanner version": "btc-scanner ",
}


def test_the_commands_of_the_table_work_on_it(running: Clone) -> None:
    for text, wanted in SAYS.items():
        done = running.shell(text)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        assert wanted in done.stdout, f"{text}\n{done.stdout}"
    doctor = json.loads(running.shell("./btc-scanner doctor --json").stdout)
    levels = {each["check"]: each["level"] for each in doctor["checks"]}
    assert levels["Redis"] == "ok"
    assert {name for name, level in levels.items() if level == "fail"} <= {"exchange clock"}


def test_each_recipe_for_redis_cli_shows_what_it_promises(running: Clone) -> None:
    alias, *recipes = section("Look inside")
    running.executed += [alias, *recipes]
    if shutil.which("redis-cli") is None:
        pytest.skip("no redis-cli here (apt install redis-tools)")
    for recipe in recipes:
        done = running.shell(f"{alias.text}\n{recipe.text}")
        assert done.returncode == 0, f"{recipe}\n{done.stderr}"
        assert "ERR" not in done.stdout, f"{recipe}\n{done.stdout}"
        empty = any(key in recipe.text for key in ("dead:", "XPENDING", "events:"))
        assert done.stdout.strip() or empty, recipe


def test_a_second_notifier_joins_as_the_delivery_page_says(running: Clone) -> None:
    export, *starts = commands("docs/delivery.md", "Several notifiers")
    assert len(starts) == 3
    for start in starts:
        name = start.text.split("--instance ")[1].split()[0]
        other = subprocess.Popen(
            ["bash", "-c", f"{export.text}\nexec {start.text}"], cwd=running.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            asked = f"./btc-scanner health notifier --instance {name}"
            until(lambda a=asked: running.shell(a).returncode == 0, f"{name} to be well")
        finally:
            other.terminate()
            assert other.wait(timeout=30) == 0


def signal_ids(clone: Clone) -> set[str]:
    listed = json.loads(clone.shell("./btc-scanner signals -n 1000 --json").stdout)
    return {each["id"] for each in listed["signals"]}


def test_what_was_backed_up_by_hand_is_there_after_a_restore(running: Clone) -> None:
    [pack], [unpack] = mentions("README.md", "(umask"), mentions("README.md", "tar")
    kept = signal_ids(running)
    assert kept
    running.stop()
    running.follow(pack)
    assert (running.folder / "backup.tgz").stat().st_mode & 0o777 == 0o600  # it holds secrets
    shutil.rmtree(running.folder / "run")
    (running.folder / "config.json").unlink()
    running.follow(unpack)
    running.start("./btc-scanner up")
    until(lambda: running.shell("./btc-scanner status").returncode == 0, "healthy", seconds=60)
    assert kept <= signal_ids(running)


@pytest.mark.parametrize("command", SHORTENED)
def test_the_tools_of_developers_run(command: str) -> None:
    done = subprocess.run(
        ["bash", "-c", SHORTENED[command]], cwd=ROOT, check=False, capture_output=True, text=True,
        timeout=200, env=WITH_OUR_PACKAGES,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_command_of_the_readme_is_left(running: Clone) -> None:
    followed = {each.text for each in running.executed}
    everything = {each.text for each in commands("README.md")}
    assert everything - followed == {*ELSEWHERE, *SHORTENED}
