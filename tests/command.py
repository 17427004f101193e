"""A command of the operator, in a process of its own."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_command(
    *arguments: str | Path, seconds: float = 60, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m cli`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        cwd=ROOT, env=environ, check=False, capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
