"""What all deployment tests use: the engine's client, patience, and fresh clones of this tree."""

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import waiting

ROOT = Path(__file__).parents[2]


def docker(*arguments: str) -> str:
    """Run the engine's client."""
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"docker {shlex.join(arguments)}: {done.stdout}"
    return done.stdout.strip()


def until(what: str, holds: Callable[[], Any], seconds: float = 240) -> Any:
    """Wait for a condition of a container."""
    return waiting.until(holds, what, seconds, pause=0.5)


def say(what: str) -> None:
    """Something to know, for who runs with -s."""
    sys.stdout.write(f"\n{what}\n")


def timed(what: str, action: Callable[[], Any]) -> None:
    """Do it, and say how long it took."""
    began = time.monotonic()
    action()
    say(f"{what}: {time.monotonic() - began:.0f} s")


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder, as somebody."""
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def tree_names() -> list[str]:
    """What git would have of this working tree, without what tests and tools leave."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    return [name for name in listed.decode().split("\0") if name and (ROOT / name).exists()]


def origin(folder: Path) -> Path:
    """A repository of this working tree, in one commit."""
    for name in tree_names():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "the version of today")
    return folder


def clone(source: Path, target: Path) -> Path:
    """A clone of ``source``, which ``git pull`` updates from it."""
    subprocess.run(["git", "clone", "-q", str(source), str(target)], check=True)
    return target
