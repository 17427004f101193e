"""What a newcomer types first."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.timeout(120)

COMMAND = [sys.executable, "-u", "-m", "cli", "demo", "--seed", "3"]


def children(parent: int) -> set[int]:
    """All processes that descend from ``parent`` now."""
    found, parents = set(), {parent}
    while parents:
        born = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) in parents:
                born.add(int(folder.name))
        parents = born - found
        found |= born
    return found


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_the_demo_shows_delivered_alerts_and_a_summary_and_ends_by_itself() -> None:
    done = subprocess.run(
        [*COMMAND, "--seconds", "15"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "🔴 BTC/USD Scalping Signal Detected" in done.stdout
    assert "🔴 email    SHORT BTC/USDT 1m at 64,455.00" in done.stdout
    assert "🔴 telegram SHORT BTC/USDT 1m at 64,455.00" in done.stdout
    summary = done.stdout.partition("Summary")[2]
    assert "0 lost, 0 repeated" in summary
    assert "memory (MB)" in summary
    assert done.stderr == ""


def redis_of(demo: int) -> int:
    """The Redis of a demo, by the title of the process."""
    for pid in children(demo):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"redis.sock" in command and b"python" not in command:
            return pid
    raise AssertionError("there is no Redis")


def test_alerts_go_on_after_the_redis_of_the_demo_was_killed() -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--seconds", "20"], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("market time"):
            break
    os.kill(redis_of(demo.pid), signal.SIGKILL)
    rest, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, rest + errors
    assert "Redis was ended by SIGKILL; starting it again in 0.2 s" in rest
    assert "telegram" in rest.partition("Redis runs again")[2].partition("Summary")[0]
    assert "0 lost" in rest
    assert "Traceback" not in errors


def test_ctrl_c_ends_the_demo_and_leaves_no_process_behind() -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--seconds", "60"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("market time"):
            break
    family = children(demo.pid)
    assert len(family) >= 6  # Redis, the outside, four services
    demo.send_signal(signal.SIGINT)
    _, errors = demo.communicate(timeout=30)
    assert demo.returncode in {0, 130}
    assert "Traceback" not in errors
    assert not [pid for pid in family if alive(pid)]


def test_a_demo_that_nobody_reads_any_more_ends_quietly_and_leaves_no_process_behind() -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--seconds", "60"], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert demo.stdout is not None
    assert demo.stderr is not None
    for line in demo.stdout:
        if line.startswith("market time"):
            break
    family = children(demo.pid)
    assert len(family) >= 6
    demo.stdout.close()
    assert demo.wait(timeout=60) == 141
    assert demo.stderr.read() == ""
    demo.stderr.close()
    assert not [pid for pid in family if alive(pid)]
