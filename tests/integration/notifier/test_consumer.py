"""The name under which a notifier reads."""

import subprocess
import sys
from pathlib import Path

from services.notifier import consumer
from services.notifier.consumer import consumer_name

URL = "redis://:pa55@127.0.0.1:6379/0"
ROOT = Path(__file__).parents[3]


def test_two_that_live_never_share_a_name_and_a_freed_one_is_used_again() -> None:
    with consumer_name(URL, "host", "1") as first:
        with consumer_name(URL, "host", "1") as second, consumer_name(URL, "host", "2") as other:
            assert (first, second, other) == ("host-1", "host-1-2", "host-2")
        with consumer_name("redis://elsewhere", "host", "1") as foreign:
            assert foreign == "host-1"
    with consumer_name(URL, "host", "1") as again:
        assert again == "host-1"


def test_the_file_lock_of_other_systems_does_the_same() -> None:
    name = "btc-scanner-notifier-test-of-the-file-lock"
    guard = consumer._hold_file(name)
    try:
        consumer._hold_file(name)
    except consumer._Taken:
        taken = True
    else:
        taken = False
    assert taken
    guard.close()
    consumer._hold_file(name).close()


def test_a_killed_process_frees_its_name_at_once() -> None:
    program = (
        "from services.notifier.consumer import consumer_name\n"
        f"with consumer_name({URL!r}, 'killed', '1') as name:\n"
        "    print(name, flush=True)\n"
        "    input()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "killed-1\n"
        with consumer_name(URL, "killed", "1") as beside:
            assert beside == "killed-1-2"
        holder.kill()
        holder.wait()
        with consumer_name(URL, "killed", "1") as name:
            assert name == "killed-1"
