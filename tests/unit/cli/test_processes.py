"""What is read of a process in /proc, and what is answered when there is none."""

import os
import subprocess
import sys

import pytest

from cli import processes

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
ABSENT_PID = 2**22 + 1  # above the largest that Linux gives


@linux
def test_memory_and_time_of_ourselves() -> None:
    pss = processes.pss_bytes(os.getpid())
    assert pss is not None
    assert 1_000_000 < pss < 10_000_000_000
    spent = processes.cpu_seconds(os.getpid())
    assert spent == pytest.approx(sum(os.times()[:2]), abs=0.1)


def test_a_process_that_is_not_there_has_no_figures() -> None:
    assert processes.pss_bytes(ABSENT_PID) is None
    assert processes.cpu_seconds(ABSENT_PID) is None


def test_a_bound_command_runs_as_itself() -> None:
    done = subprocess.run(
        processes.bound(["sh", "-c", 'echo "$0 $1"; exit 3', "a b", ""]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "a b \n")


def test_a_bound_command_that_cannot_start_says_why() -> None:
    done = subprocess.run(
        processes.bound(["/absent/program"]), capture_output=True, text=True, check=False
    )
    assert done.returncode == processes.EXIT_CANNOT_START
    assert done.stderr == "/absent/program: No such file or directory\n"
