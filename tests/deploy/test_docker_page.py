"""docs/docker.md followed by the letter, in a clone that bears the names of this test."""

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.deploy.lab import git, until
from tests.deploy.stacks import Stack
from tests.documented import Page, commands, mentions

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def page(engine: None) -> Page:
    return Page("docs/docker.md")


def shell(stack: Stack, text: str, *, may_fail: bool = False) -> str:
    """Execute a line as it stands in the document; only the project has another name here."""
    return stack.run("bash", "-c", ours(stack, text), may_fail=may_fail)


def ours(stack: Stack, text: str) -> str:
    return re.sub(r"\bbtc-scanner([-_])", rf"{stack.project}\1", text)


def watched(stack: Stack, text: str, wanted: str, *, seconds: float = 300) -> None:
    """Execute a line that stays, until it says what it shall; then press Ctrl-C."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {ours(stack, text)}"], cwd=stack.folder, env=stack.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    said: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=said.extend, args=[process.stdout])
    reader.start()
    try:
        until(f"{text!r} to say {wanted!r}", lambda: any(wanted in line for line in said), seconds)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
        reader.join()
        process.stdout.close()


def states(stack: Stack) -> dict[str, str]:
    """Health of each container, as `docker compose ps` tells it."""
    lines = stack.compose("ps", "--format", "json").splitlines()
    return {each["Service"]: each["Health"] for each in map(json.loads, lines)}


def stored(stack: Stack) -> int:
    return int(stack.redis("redis-1", "XLEN", "signals"))


def test_the_demo_is_seen_to_work_and_taken_away(stack: Stack, page: Page) -> None:
    up, logs, down = page.section("See it work")
    process = subprocess.Popen(
        ["bash", "-c", f"exec {up}"], cwd=stack.folder, env=stack.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        until("six containers", lambda: len(states(stack)) == 6)
        until("all healthy", lambda: set(states(stack).values()) == {"healthy"})
        watched(stack, logs, "Telegram to 4242:")
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
    until("all stopped", lambda: not stack.inspected())
    shell(stack, down)
    assert stack.inspected(all_states=True) == {}
    assert stack.run("docker", "volume", "ls", "-q", "-f", f"name={stack.project}_") == ""


@pytest.fixture(scope="module")
def live(stack: Stack, page: Page) -> Stack:
    """The scanner on the real market, whose outside is the demo's."""
    stack.override()
    stack.compose("--profile", "demo", "up", "-d", "--wait", "demo-outside")
    copy, folder, files, rights, build, check, up = page.section("Run it on the real market")
    os.umask(0o077)  # as strict as somebody may have it
    for line in (copy, folder, files):
        shell(stack, line)
    assert (stack.folder / "secrets").stat().st_mode & 0o777 == 0o700
    stack.settle_on_the_real_market()
    shell(stack, rights)
    shell(stack, build)
    assert "OK" in shell(stack, check)
    shell(stack, up)
    assert set(states(stack).values()) == {"healthy"}
    return stack


def test_the_real_one_delivers(live: Stack) -> None:
    until("a mail and a Telegram message", lambda: live.delivered() and live.telegrams())


def test_it_can_be_looked_at(live: Stack, page: Page) -> None:
    ps, logs, status, health, redis = page.section("Look at it")
    assert shell(live, ps).count("(healthy)") >= 5
    watched(live, logs, "notifier")
    until("HEALTHY", lambda: "\nHEALTHY " in f"\n{shell(live, status, may_fail=True)}")
    assert shell(live, health).startswith("ingest")
    assert "BTC/USDT" in shell(live, redis)


def test_notifiers_are_scaled(live: Stack, page: Page) -> None:
    [scale] = page.section("More of one service")
    shell(live, scale)
    assert {f"notifier-{n}" for n in (1, 2, 3)} < set(live.inspected())


def test_new_passwords_are_made(live: Stack, page: Page) -> None:
    ask = ["cat", "/run/passwords/operator/redis_password"]
    before, kept = live.inside("redis-1", *ask), stored(live)
    for line in page.section("Who may do what"):
        shell(live, line)
    assert live.inside("redis-1", *ask) != before
    assert stored(live) >= kept
    assert set(states(live).values()) == {"healthy"}


def test_an_upgrade_is_pulled_and_built(live: Stack, page: Page, repository: Path) -> None:
    pull, up = page.section("Upgrade")
    with (repository / "shared/__init__.py").open("a", encoding="utf-8") as file:
        file.write("# the version of tomorrow\n")
    git(repository, "commit", "-qam", "the version of tomorrow")
    kept = stored(live)
    shell(live, pull)
    shell(live, up)
    assert "of tomorrow" in live.inside("detector-1", "tail", "-1", "/app/shared/__init__.py")
    assert set(states(live).values()) == {"healthy"}
    assert stored(live) >= kept


def test_what_was_backed_up_is_there_after_a_restore(live: Stack, page: Page) -> None:
    *backup, stop, restore, start = page.section("Back up and restore")
    assert len(backup) == 3
    for line in backup:
        shell(live, line)
    until("Redis", lambda: live.health("redis-1") == "healthy")
    first = live.redis("redis-1", "XRANGE", "signals", "-", "+", "COUNT", "1").splitlines()[0]
    shell(live, stop)
    volume = f"{live.project}_redis-data:/data"
    wipe = ["docker", "run", "--rm", "--user", "0", "--entrypoint", "sh", "-v", volume]
    live.run(*wipe, "redis:7.4-alpine", "-c", "rm -rf /data/*")
    shell(live, restore)
    shell(live, start)
    until("Redis", lambda: live.health("redis-1") == "healthy")
    found = live.redis("redis-1", "XRANGE", "signals", "-", "+", "COUNT", "1").splitlines()
    assert found[0] == first
    until("all healthy", lambda: set(states(live).values()) == {"healthy"})
    before = len(live.delivered())
    until("one more signal", lambda: len(live.delivered()) > before)


def test_what_the_troubleshooting_says_can_be_typed(live: Stack) -> None:
    for each in mentions("docs/docker.md", "docker"):
        if each.section == "When something is wrong":
            text = each.text.replace("up", "up -d") if each.text.endswith(" up") else each.text
            shell(live, text)
    until("all healthy", lambda: set(states(live).values()) == {"healthy"})


def test_the_readmes_table_holds_for_containers(live: Stack) -> None:
    texts = [each.text for each in mentions("README.md", "docker") if each.section == "Day by day"]
    known = {each.text for each in commands("docs/docker.md")}
    others = [each for each in texts if each not in known]
    assert set(others) == {
        "docker compose logs -f", "docker compose restart", "docker compose down -v"
    }  # fmt: skip
    watched(live, "docker compose logs -f", "ingest")
    config = json.loads((live.folder / "config.json").read_text())
    config["notifier"] = config.get("notifier", {}) | {"late_after_seconds": 61}
    (live.folder / "new.json").write_text(json.dumps(config))
    os.chmod(live.folder / "new.json", 0o644)
    os.replace(live.folder / "new.json", live.folder / "config.json")  # as editors do
    shell(live, "docker compose restart")
    until("all healthy", lambda: set(states(live).values()) == {"healthy"})
    assert '"late_after_seconds": 61' in live.inside(
        "notifier-1", "cat", "/etc/btc-scanner/config.json"
    )
    shell(live, "docker compose down -v")
    assert not [name for name in live.inspected(all_states=True) if "demo" not in name]


def test_nothing_of_the_page_is_left(page: Page) -> None:
    assert page.left() == []
