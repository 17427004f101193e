"""Signals by notifiers that are killed to peers that fail: none lost, no repeat without excuse."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.timeout(240)


def soak(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "soak", "--keep", tmp_path / "run", *arguments]
    return subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=200
    )


def test_killed_notifiers_lose_nothing_and_repeat_nothing_without_excuse(tmp_path: Path) -> None:
    done = soak(
        tmp_path, "--signals", "100", "--replicas", "2", "--seconds-between-kills", "2",
        "--give-up-after", "180",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost: 0" in done.stdout
    assert "100 signals" in done.stdout
    found = re.search(r"(\d+) kills", done.stdout)
    assert found
    assert int(found[1]) >= 1
    for channel in ("email", "telegram"):
        told = re.search(rf"{channel}: (\d+) accepted, (\d+) repeats permitted.* 0 forbidden",
                         done.stdout)  # fmt: skip
        assert told, done.stdout
        assert int(told[1]) == 200 + int(told[2])
        assert re.search(rf"{channel} failed: .* \d+, .* \d+", done.stdout)


def test_a_soak_that_does_not_end_fails_and_says_so(tmp_path: Path) -> None:
    done = soak(tmp_path, "--signals", "100000", "--replicas", "1", "--give-up-after", "3")
    assert done.returncode == 1
    assert "VIOLATION: not all was delivered after 3 s" in done.stdout
