"""``./btc-scanner`` with a real Python, a real venv and a real pip that has nothing to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from shared import VERSION

ROOT = Path(__file__).resolve().parents[3]


def test_a_fresh_copy_sets_itself_up_and_answers(tmp_path: Path) -> None:
    home = tmp_path / "fresh copy"
    home.mkdir()
    shutil.copy(ROOT / "btc-scanner", home)
    for package in ("cli", "shared"):
        (home / package).symlink_to(ROOT / package)
    (home / "requirements.txt").write_text("# nothing\n")
    # What lies where the caller stands must not be imported in place of ours.
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "cli").mkdir(parents=True)
    (elsewhere / "cli" / "__init__.py").write_text("raise SystemExit('not this one')\n")
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(elsewhere)}
    environment.pop("BTC_SCANNER_VENV", None)
    for said in ("setting up", ""):
        done = subprocess.run(
            [home / "btc-scanner", "version"],
            cwd=elsewhere, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"btc-scanner {VERSION} ")
        assert (said in done.stderr) if said else (done.stderr == "")
