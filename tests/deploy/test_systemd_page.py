"""docs/systemd.md followed by the letter, by a person who may use sudo."""

import json
import shlex

import pytest

from tests.deploy.lab import until
from tests.deploy.machines import (
    OUTSIDE_AS_WORLD,
    Machine,
    all_active,
    healthy,
    outside,
    pids,
    show,
    signals,
    start_outside,
    traces,
)
from tests.documented import Page, commands, mentions

pytestmark = pytest.mark.timeout(900)

PERSON = "trader"
# What the network would give. A person may use sudo and reads the journal, as the first user of
# Ubuntu. The editor writes what stands in /tmp/written, or runs /tmp/edit.
PREPARE = f"""
set -e
apt-get update -qq
apt-get install -y -qq --no-install-recommends git redis-tools >/dev/null
useradd -m -s /bin/bash -G adm {PERSON}
echo '{PERSON} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{PERSON}
printf '[global]\\nno-index = yes\\nfind-links = /wheels\\n' >/etc/pip.conf
cat >/usr/bin/editor <<'END'
#!/bin/sh
if [ -e /tmp/edit ]; then exec python3 /tmp/edit "$1"; fi
cat /tmp/written >"$1"
END
chmod 755 /usr/bin/editor
mv /src /upstream
git -C /upstream init -q -b main
git -C /upstream config user.name Test
git -C /upstream config user.email test@example.com
git -C /upstream add -A
git -C /upstream commit -qm today
git clone -q /upstream /home/{PERSON}/src
chown -R {PERSON}: /home/{PERSON}/src
git config --system --add safe.directory /upstream
git config --system --add safe.directory /upstream/.git
"""


@pytest.fixture(scope="module")
def page(engine: None) -> Page:
    return Page("docs/systemd.md")


@pytest.fixture(scope="module")
def machine(machine_with_network: Machine) -> Machine:
    """A machine with a clone of the source, without a network."""
    fresh = machine_with_network
    fresh.run(PREPARE)
    fresh.cut_off()
    fresh.run(f"ln -s /home/{PERSON}/src /src")
    return fresh


def type_(machine: Machine, line: str, *, stdin: str = "", may_fail: bool = False) -> str:
    """Type a line of the document in the clone, as the person."""
    if "systemctl edit" in line:  # which insists on a terminal
        line = f"script -qec {shlex.quote(line)} /dev/null"
    command = f"cd ~/src && {{ {line}\n}}"
    if stdin:
        command = f"printf %s {shlex.quote(stdin)} | ({command})"
    as_person = f"runuser -l {PERSON} -c {shlex.quote(command)}"
    return machine.run(as_person, may_fail=may_fail, timeout=600)


def edit(machine: Machine, program: str) -> None:
    """What the next editor does to the file that it is given: a Python program on `tree`."""
    whole = (
        "import json, sys\n"
        "tree = json.load(open(sys.argv[1]))\n"
        f"{program}\n"
        "json.dump(tree, open(sys.argv[1], 'w'))\n"
    )
    machine.run(f"rm -f /tmp/written; printf %s {shlex.quote(whole)} >/tmp/edit")


def write(machine: Machine, text: str) -> None:
    """What the next editor writes."""
    machine.run(f"rm -f /tmp/edit; printf %s {shlex.quote(text)} >/tmp/written")


def drop_in(heading: str) -> str:
    """The unit settings that the document shows under a heading."""
    lines = Page("docs/systemd.md").other(heading)
    assert lines[0] == "[Service]"
    return "\n".join([*lines, ""])


def test_it_installs(machine: Machine, page: Page) -> None:
    dry_run, install = page.section("Install")
    before = traces(machine)
    assert "would run: useradd" in type_(machine, dry_run)
    assert traces(machine) == before
    type_(machine, install)
    assert all_active(machine)


def test_it_is_configured(machine: Machine, page: Page) -> None:
    token, password, sudoedit, check, restart = page.section("Configure")
    start_outside(machine)
    world = json.loads(machine.run("cat /sim/addresses"))
    type_(machine, token, stdin=world["bot_token"])
    type_(machine, password, stdin=world["smtp"]["password"])
    edit(machine, OUTSIDE_AS_WORLD)
    type_(machine, sudoedit)
    assert "OK" in type_(machine, check)
    assert machine.run("stat -c '%a %U' /etc/btc-scanner/config.json") == "600 btc-scanner"
    type_(machine, restart)
    until("status says healthy", lambda: healthy(machine))

    def both() -> bool:
        seen = outside(machine)
        return bool(seen["mails"] and seen["telegrams"])

    until("a mail and a Telegram message", both, 300)


def test_it_is_managed(machine: Machine, page: Page) -> None:
    start, sum_, each, restart, *asks = page.section("Manage")
    assert len(asks) == 6
    type_(machine, start)
    assert all_active(machine)
    assert "Status: " in type_(machine, sum_)
    assert type_(machine, each).count("Status: ") >= 6
    before = pids(machine)
    type_(machine, restart)
    after = pids(machine)
    assert [unit for unit in before if before[unit] != after[unit]] == ["btc-scanner-detector"]
    until("status says healthy", lambda: healthy(machine))
    for ask in asks:
        # A person without root's rights would be asked for sudo's password here; the exchange's
        # clock is simulated, so that the doctor has something to say.
        said = type_(machine, ask, may_fail="doctor" in ask)
        assert said or "events" in ask, ask


def test_a_unit_is_changed_by_a_drop_in(machine: Machine) -> None:
    [edited] = [
        each.text for each in mentions("docs/systemd.md", "sudo") if "systemctl edit" in each.text
    ]
    write(machine, drop_in("Manage"))
    type_(machine, edited)
    assert show(machine, "btc-scanner-notifier@1", "MemoryMax") == str(800 * 2**20)


def test_redis_is_looked_into_by_its_users(machine: Machine, page: Page) -> None:
    listed, environment, look, add, restart, install = page.section("Who may do what")
    users = "detector indicators ingest notifier operator users.acl"
    assert type_(machine, listed).split() == users.split()
    assert "unix://ingest@" in type_(machine, environment)
    assert "BTC/USDT" in type_(machine, look)
    as_admin = "redis-cli -s /run/btc-scanner/redis.sock --user admin --pass A-PASSWORD ping"
    type_(machine, add)
    type_(machine, restart)
    until("an answer", lambda: "PONG" in machine.run(as_admin, may_fail=True))
    type_(machine, install)
    assert "PONG" not in machine.run(as_admin, may_fail=True)
    until("status says healthy", lambda: healthy(machine))


def test_a_second_notifier_comes_and_goes(machine: Machine, page: Page) -> None:
    [enable] = page.section("Scale")
    type_(machine, enable)
    assert show(machine, "btc-scanner-notifier@2", "ActiveState") == "active"
    [disable] = [each.text for each in mentions("docs/systemd.md", "sudo") if "@2" in each.text]
    type_(machine, disable)
    assert show(machine, "btc-scanner-notifier@2", "ActiveState") == "inactive"


def test_the_journal_is_read(machine: Machine, page: Page) -> None:
    follow, warnings, errors = page.section("Logs")
    watched = machine.ask(f"timeout 5 runuser -l {PERSON} -c {shlex.quote(follow)}")
    assert watched.returncode == 124
    assert " machine btc-scanner-" in watched.stdout
    for line in (warnings, errors):
        type_(machine, line)


def test_an_upgrade_is_pulled_and_installed(machine: Machine, page: Page) -> None:
    pull, upgrade = page.section("Upgrade")
    machine.run("cd /upstream && echo '# new' >>services/detector/rules.py && git commit -qam new")
    kept, before = signals(machine), pids(machine)
    type_(machine, pull)
    assert "restarting btc-scanner-detector.service" in type_(machine, upgrade)
    after = pids(machine)
    assert [unit for unit in before if before[unit] != after[unit]] == ["btc-scanner-detector"]
    assert set(kept) <= set(signals(machine))


def test_a_redis_elsewhere_is_used_and_left_again(machine: Machine, page: Page) -> None:
    [edited] = page.section("A Redis elsewhere")
    [mask] = [each.text for each in mentions("docs/systemd.md", "sudo") if "mask" in each.text]
    machine.run(
        "systemd-run -q --unit elsewhere /opt/btc-scanner/redis-server --port 6390"
        " --bind 127.0.0.1 --requirepass of-elsewhere --save '' --dir /tmp"
    )
    machine.run("cp /etc/btc-scanner/env /var/tmp/env.kept")
    machine.run("echo REDIS_PASSWORD=of-elsewhere >>/etc/btc-scanner/env")
    edit(machine, "tree['redis'] = {'url': 'redis://127.0.0.1:6390/0'}")
    type_(machine, "sudoedit /etc/btc-scanner/config.json")
    type_(machine, mask)
    write(machine, drop_in("A Redis elsewhere"))
    type_(machine, edited)
    type_(machine, edited.replace("indicators", "detector"))
    machine.run("systemctl restart btc-scanner")
    until("status says healthy", lambda: healthy(machine))
    keys = "redis-cli -p 6390 --pass of-elsewhere --no-auth-warning exists signals"
    assert machine.run(keys) in {"1", "(integer) 1"}
    edit(machine, "del tree['redis']")
    type_(machine, "sudoedit /etc/btc-scanner/config.json")
    machine.run(
        "systemctl unmask btc-scanner-redis; systemctl stop elsewhere;"
        " mv /var/tmp/env.kept /etc/btc-scanner/env;"
        " systemctl revert btc-scanner-indicators btc-scanner-detector;"
        " systemctl restart btc-scanner"
    )
    until("status says healthy", lambda: healthy(machine))


def test_what_was_backed_up_is_there_after_a_restore(machine: Machine, page: Page) -> None:
    stop, pack, start, *restore = page.section("Back up and restore")
    assert len(restore) == 5
    kept = signals(machine)
    for line in (stop, pack, start):
        type_(machine, line)
    mode = machine.run(f"stat -c '%a %U' /home/{PERSON}/src/btc-scanner-backup.tar.gz")
    assert mode == "600 root"  # it holds secrets
    until("status says healthy", lambda: healthy(machine))
    for line in restore:
        type_(machine, line)
    until("status says healthy", lambda: healthy(machine))
    assert kept
    assert set(kept) <= set(signals(machine))


def test_the_readmes_table_holds_for_systemd() -> None:
    known = {each.text for each in commands("docs/systemd.md")}
    for program in ("sudo", "systemctl", "journalctl"):
        for each in mentions("README.md", program):
            if each.section == "Day by day" and " stop " not in each.text:
                assert each.text in known, each


def test_the_remedies_of_the_troubleshooting_can_be_typed(machine: Machine) -> None:
    for program in ("sudo", "systemctl", "btc-scanner"):
        for each in mentions("docs/systemd.md", program):
            if each.section == "Troubleshooting" and "…" not in each.text and " " in each.text:
                line = each.text.replace("systemctl start", "sudo systemctl start")
                if line.startswith("systemctl re"):
                    line = f"sudo {line}"
                type_(machine, line, may_fail=line.startswith("systemctl status"))
    until("status says healthy", lambda: healthy(machine))


def test_it_is_taken_away(machine: Machine, page: Page) -> None:
    uninstall, purge = page.section("Uninstall")
    type_(machine, uninstall)
    assert machine.run("ls /etc/btc-scanner/config.json /var/lib/btc-scanner/redis")
    type_(machine, purge)
    assert (
        machine.run("ls -d /etc/btc-scanner /var/lib/btc-scanner", may_fail=True).count("No such")
        == 2
    )


def test_nothing_of_the_page_is_left(page: Page) -> None:
    assert page.left() == []
