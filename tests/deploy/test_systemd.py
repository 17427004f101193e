"""An installed scanner on a machine of its own, from the first install to the last trace.

The tests are one story, in their order, on one machine: a container that boots systemd, has no
network, and runs the simulated outside beside the scanner.
"""

import json
import re
import time

import pytest

from tests.deploy.lab import docker, say, until
from tests.deploy.machines import (
    ALL,
    CONFIGURE,
    PASSWORDS,
    REDIS_USERS,
    SERVICES,
    SIM_PORTS,
    Machine,
    all_active,
    healthy,
    outside,
    pids,
    redis_passwords,
    redis_says,
    show,
    signals,
    start_outside,
    traces,
    well_by_its_own_word,
)

pytestmark = pytest.mark.timeout(600)

INSTALL = "BTC_SCANNER_HEALTH_SECONDS=60 bash /src/deploy/install.sh --wheels /wheels"


# --- install ----------------------------------------------------------------------------------


def test_neither_a_dry_run_nor_a_person_without_rights_changes_anything(machine: Machine) -> None:
    before = traces(machine)
    said = machine.run(f"{INSTALL} --dry-run")
    assert "would run: useradd" in said
    assert "would write: /usr/local/lib/systemd/system/btc-scanner-ingest.service" in said
    refused = machine.ask("setpriv --reuid=nobody --clear-groups bash /src/deploy/install.sh")
    assert refused.returncode == 1
    assert "needs root: sudo bash deploy/install.sh" in refused.stdout
    assert traces(machine) == before


def test_another_distribution_is_told_what_is_known(machine: Machine) -> None:
    fedora = r'ID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora 41"\n'
    machine.run(f"mv /etc/os-release /etc/os-release.kept; printf '{fedora}' >/etc/os-release")
    refused = machine.ask(INSTALL)
    machine.run("mv -f /etc/os-release.kept /etc/os-release")
    assert refused.returncode == 1
    assert "this is Fedora 41; the installer knows Debian 11 to 13" in refused.stdout


def test_after_the_install_all_units_run_under_a_watchdog(machine: Machine) -> None:
    machine.run(f"{INSTALL} --no-start", timeout=600)
    assert "OK: /etc/btc-scanner/config.json" in machine.run("btc-scanner config check")
    start_outside(machine)
    machine.run(f"python3 - <<'END'\n{CONFIGURE}\nEND")
    machine.run("systemctl start btc-scanner")
    assert all_active(machine)  # start waits for all of them
    for unit in SERVICES:
        assert show(machine, unit, "WatchdogUSec") == "1min", unit
        assert show(machine, unit, "User") == "btc-scanner", unit
        assert show(machine, unit, "Restart") == "always", unit
    until("status says healthy", lambda: healthy(machine))


def test_signals_reach_the_mailbox_and_the_bot(machine: Machine) -> None:
    def both() -> bool:
        seen = outside(machine)
        return bool(seen["mails"] and seen["telegrams"])

    until("a mail and a Telegram message", both, 300)
    assert signals(machine)


def test_the_status_of_each_unit_is_worth_reading(machine: Machine) -> None:
    wanted = {
        "btc-scanner": r"5 running; detector: running; last candle [\d:]{8}; \d+ signals? since 20",
        "btc-scanner-redis": r"(Redis|Valkey) \d+\.\d+\.\d+; \S+ of 256.00M; \d+ clients",
        "btc-scanner-ingest": r"running; last 1m candle [\d:]{8}, \d+ ms late; .*connected to ws:",
        "btc-scanner-indicators": r"running; last 1m candle [\d:]{8}",
        "btc-scanner-detector": r"running; last candle [\d:]{8}; \d+ signals? since 20",
        "btc-scanner-notifier@1": r"running; email: \d+ delivered.*; telegram: \d+ delivered",
    }
    for unit, form in wanted.items():
        until(
            f"the status of {unit}",
            lambda u=unit, f=form: re.match(f, show(machine, u, "StatusText")),
        )
        say(f"{unit}: {show(machine, unit, 'StatusText')}")


def test_the_command_line_works_for_root_and_tells_others_how(machine: Machine) -> None:
    for command in ("status", "signals -n 3", "events -n 3", "config show", "version"):
        machine.run(f"btc-scanner {command}")
    assert "secret" not in machine.run("btc-scanner config show")
    as_nobody = machine.ask(
        "setpriv --reuid=nobody --clear-groups /usr/local/bin/btc-scanner status"
    )
    assert as_nobody.returncode != 0
    assert "sudo" in as_nobody.stdout


def test_each_service_tells_its_health_also_from_a_network_of_its_own(machine: Machine) -> None:
    for service in REDIS_USERS[:-1]:
        until(f"{service} to be well", lambda s=service: well_by_its_own_word(machine, s))
        assert f"{service} 1: " in machine.run(f"btc-scanner health {service}")
    absent = machine.ask("btc-scanner health notifier --instance 9")
    assert (absent.returncode, "does not run" in absent.stdout) == (1, True)
    assert machine.run("stat -c '%a %U' /run/btc-scanner-doors") == "700 btc-scanner"


def test_the_commands_that_change_something_do(machine: Machine) -> None:
    sent = machine.run("btc-scanner test-alert")
    assert "email" in sent
    assert "telegram" in sent
    machine.run("btc-scanner mute 1h")
    assert "MUTED until" in machine.run("btc-scanner mute")
    machine.run("btc-scanner unmute")
    assert "Not muted" in machine.run("btc-scanner mute")
    machine.run("btc-scanner dead list")


# The simulated exchange runs ahead of the clock.
NOT_THE_LABS = {"exchange clock"}


def test_the_doctor_finds_nothing_that_must_be_mended(machine: Machine) -> None:
    checks = json.loads(machine.run("btc-scanner doctor --json", may_fail=True))["checks"]
    levels = {each["check"]: each["level"] for each in checks}
    for name in ("Redis", "Redis writes", "systemd", "services", "log folder"):
        assert levels[name] == "ok", checks
    failed = [each for each in checks if each["level"] == "fail"]
    assert {each["check"] for each in failed} <= NOT_THE_LABS, failed


# --- what they may do -------------------------------------------------------------------------


def test_each_unit_is_given_the_secrets_of_its_work_alone(machine: Machine) -> None:
    own = ["own_redis_password"]
    wanted = {
        "btc-scanner-redis": ["operator_password", "users.acl"],
        "btc-scanner-ingest": own,
        "btc-scanner-indicators": own,
        "btc-scanner-detector": own,
        "btc-scanner-notifier@1": [
            *own, "smtp_password", "telegram_bot_token", "telegram_chat_id",
        ],
    }  # fmt: skip
    for unit, names in wanted.items():
        given = machine.run(f"ls /run/credentials/{unit}.service").split()
        assert given == names, unit
    for user in REDIS_USERS[:-1]:
        unit = f"btc-scanner-{user}".replace("notifier", "notifier@1")
        given = machine.run(f"cat /run/credentials/{unit}.service/own_redis_password")
        assert given == machine.run(f"cat {PASSWORDS}/{user}/redis_password")
        assert f"unix://{user}@/run/btc-scanner/redis.sock" in show(machine, unit, "Environment")
    assert len(set(redis_passwords(machine))) == len(REDIS_USERS)


def test_no_redis_user_may_do_more_than_its_work(machine: Machine) -> None:
    assert int(redis_says(machine, "notifier", "XLEN signals")) > 0
    candle = "XADD klines:{BTCUSDT}:1m '*' close 1"
    assert "REFUSED: No permissions to access a key" in redis_says(machine, "notifier", candle)
    assert int(redis_says(machine, "indicators", "XLEN klines:{BTCUSDT}:1m")) > 0
    for user in REDIS_USERS:
        for command in ("FLUSHALL", "CONFIG GET dir", "ACL SETUSER x", "SHUTDOWN", "KEYS '*'"):
            said = redis_says(machine, user, command)
            assert said.startswith("REFUSED"), (user, command, said)
            assert "no permissions" in said, (user, command, said)
    assert "Authentication required" in redis_says(machine, "nobody", "PING")


def test_no_service_can_look_into_another_for_its_secrets(machine: Machine) -> None:
    pid = pids(machine)["btc-scanner-notifier@1"]
    run = "systemd-run -q --wait --pipe --collect -p User=btc-scanner"
    for place in ("environ", "root/run/credentials/*/*"):
        look = f"cd /proc/{pid} && cat {place}"
        refused = machine.ask(f"{run} -p PrivateUsers=yes sh -c '{look}'")
        assert refused.returncode != 0
        assert "ermission denied" in refused.stdout or "No such file" in refused.stdout
    assert machine.ask(f"{run} sh -c 'cat /proc/{pid}/environ >/dev/null'").returncode == 0


def test_the_units_verify_and_their_exposure_is_low(machine: Machine) -> None:
    units = " ".join(
        f"/usr/local/lib/systemd/system/{unit}.service" for unit in ALL if "@" not in unit
    )
    said = machine.run(f"systemd-analyze verify {units} btc-scanner-notifier@1.service 2>&1")
    assert "btc-scanner" not in said  # that of Ubuntu 22.04 complains of its own links
    for unit in ALL:
        line = machine.run(f"systemd-analyze security {unit} --no-pager").splitlines()[-1]
        say(line)
        found = re.search(r": ([\d.]+) ", line)
        assert found is not None, line
        assert float(found[1]) <= 1.5, line


def test_nothing_of_ours_listens_on_tcp(machine: Machine) -> None:
    listening = machine.run("ss -ltnH | awk '{print $4}'").split()
    found = {each.rpartition(":")[2] for each in listening if "127.0.0.53" not in each}  # resolved
    assert found == set(SIM_PORTS.split(","))


def test_only_ingest_and_the_notifier_have_a_network(machine: Machine) -> None:
    # Root of a container may not look at other users' processes, their own user may.
    look = "setpriv --reuid=btc-scanner --regid=btc-scanner --clear-groups readlink /proc/{}/ns/net"
    of_all = machine.run("readlink /proc/1/ns/net")
    found = {unit: machine.run(look.format(pid)) for unit, pid in pids(machine).items()}
    assert all(each.startswith("net:[") for each in found.values())
    with_network = {unit for unit, each in found.items() if each == of_all}
    assert with_network == {"btc-scanner-ingest", "btc-scanner-notifier@1"}


def test_secrets_show_in_no_process_list_and_no_log(machine: Machine) -> None:
    processes, journal = machine.run("ps axww -o args"), machine.run("journalctl --no-pager -o cat")
    # The simulated token stands in the simulation's code, which is installed, too.
    everywhere = "/etc /usr/local /var/lib /var/log /run/btc-scanner /tmp"
    for secret in ("42:SIMULATED", *redis_passwords(machine)):
        assert secret not in processes
        assert secret not in journal
        found = machine.ask(f"grep -rlaF --devices=skip -e {secret} {everywhere}").stdout.split()
        assert len(found) == 1
        assert found[0].startswith("/etc/btc-scanner/credentials/")
    closed = machine.run("find /etc/btc-scanner/credentials -printf '%m %U:%G\\n' | sort -u")
    assert closed.splitlines() == ["600 0:0", "700 0:0"]
    assert machine.run("stat -c '%a %U' /etc/btc-scanner/config.json") == "600 btc-scanner"


# --- what they survive ------------------------------------------------------------------------


def test_a_service_that_is_killed_comes_back(machine: Machine) -> None:
    for unit in SERVICES:
        before = show(machine, unit, "MainPID")
        machine.run(f"systemctl kill -s KILL --kill-who=main {unit}")
        until(
            f"another {unit}", lambda u=unit, b=before: show(machine, u, "MainPID") not in {b, "0"}
        )
    until("all active", lambda: all_active(machine))
    until("status says healthy", lambda: healthy(machine))


def test_what_redis_holds_outlives_its_restart(machine: Machine) -> None:
    """Redis would leave out of its file what users without rights wrote in transactions."""
    machine.run("systemctl stop btc-scanner-ingest btc-scanner-notifier@1")
    lengths = ("klines:{BTCUSDT}:1m", "indicators:{BTCUSDT}", "signals")
    before = [int(redis_says(machine, "operator", f"XLEN {key}")) for key in lengths]
    kept, pid = signals(machine), show(machine, "btc-scanner-redis", "MainPID")
    machine.run("systemctl restart btc-scanner-redis")
    assert show(machine, "btc-scanner-redis", "MainPID") != pid
    after = [int(redis_says(machine, "operator", f"XLEN {key}")) for key in lengths]
    assert all(new >= old > 0 for new, old in zip(after, before, strict=True)), (before, after)
    assert set(kept) <= set(signals(machine))
    machine.run("systemctl start btc-scanner")
    until("status says healthy", lambda: healthy(machine))


def hurry_watchdog(machine: Machine, unit: str) -> None:
    folder = f"/run/systemd/system/{unit}.service.d"
    machine.run(f"mkdir -p {folder} && printf '[Service]\\nWatchdogSec=6\\n' >{folder}/test.conf")
    machine.run(f"systemctl daemon-reload && systemctl restart {unit}")


def calm_watchdog(machine: Machine, unit: str) -> None:
    machine.run(f"rm -rf /run/systemd/system/{unit}.service.d && systemctl daemon-reload")
    machine.run(f"systemctl restart {unit}")


@pytest.mark.parametrize("unit", ["btc-scanner-detector", "btc-scanner-redis"])
def test_a_process_that_stands_still_is_ended_by_the_watchdog(machine: Machine, unit: str) -> None:
    hurry_watchdog(machine, unit)
    before = show(machine, unit, "MainPID")
    # The server itself, not the process beside it.
    frozen = machine.run(f"pgrep -P {before}") if unit.endswith("redis") else before
    machine.run(f"kill -STOP {frozen}")
    until(f"another {unit}", lambda: show(machine, unit, "MainPID") not in {before, "0"})
    assert "Watchdog timeout" in machine.run(f"journalctl --no-pager -o cat -u {unit}")
    calm_watchdog(machine, unit)
    until("all active", lambda: all_active(machine))


def test_a_service_that_waits_for_redis_is_left_alone(machine: Machine) -> None:
    unit = "btc-scanner-detector"
    hurry_watchdog(machine, unit)
    before = show(machine, unit, "MainPID")
    machine.run("systemctl stop btc-scanner-redis")
    said = "starting: waiting|cannot be reached"
    until("the reason in its status", lambda: re.search(said, show(machine, unit, "StatusText")))
    began = time.monotonic()
    until("longer than its watchdog", lambda: time.monotonic() - began > 15)
    assert show(machine, unit, "MainPID") == before
    errors = machine.run(f"journalctl --no-pager -o cat -p err -u {unit}")
    assert "cannot be reached" in errors  # the journal knows its level
    assert "evaluating after" not in errors
    machine.run("systemctl start btc-scanner-redis")
    until("status says healthy", lambda: healthy(machine))
    assert show(machine, unit, "MainPID") == before
    calm_watchdog(machine, unit)


def test_a_second_notifier_shares_the_work(machine: Machine) -> None:
    machine.run("systemctl enable --now btc-scanner-notifier@2")
    until("6 running", lambda: show(machine, "btc-scanner", "StatusText").startswith("6 running"))
    status = json.loads(machine.run("btc-scanner status --json", may_fail=True))
    instances = [each for each in status["services"] if each["service"] == "notifier"]
    assert len(instances) == 2
    before = show(machine, "btc-scanner-notifier@2", "MainPID")
    machine.run("systemctl restart btc-scanner")
    assert show(machine, "btc-scanner-notifier@2", "MainPID") not in {before, "0"}
    machine.run("systemctl disable --now btc-scanner-notifier@2")


def test_everything_is_there_again_after_a_reboot(machine: Machine) -> None:
    kept, clock_ms = signals(machine), outside(machine)["clock_ms"]
    docker("restart", "-t", "30", machine.name)
    machine.wait_for_boot()
    start_outside(machine, start_ms=clock_ms + 600_000)  # not before the last candle
    until("all active", lambda: all_active(machine))
    until("status says healthy", lambda: healthy(machine))
    assert set(kept) <= set(signals(machine))
    assert show(machine, "btc-scanner-notifier@2", "ActiveState") == "inactive"


# --- upgrade and end --------------------------------------------------------------------------


def test_a_second_install_changes_nothing(machine: Machine) -> None:
    before, ran = traces(machine), pids(machine)
    assert "nothing was changed" in machine.run(INSTALL)
    assert (traces(machine), pids(machine)) == (before, ran)


def test_an_upgrade_keeps_data_and_restarts_only_what_changed(machine: Machine) -> None:
    kept, before = signals(machine), pids(machine)
    config = machine.run("sha256sum /etc/btc-scanner/config.json")
    machine.run("echo '# new' >>/src/services/detector/rules.py")
    said = machine.run(f"{INSTALL} --upgrade")
    assert "restarting btc-scanner-detector.service" in said
    after = pids(machine)
    assert {unit for unit in SERVICES if after[unit] != before[unit]} == {"btc-scanner-detector"}
    assert set(kept) <= set(signals(machine))
    assert machine.run("sha256sum /etc/btc-scanner/config.json") == config
    assert "# new" in machine.run("tail -1 /opt/btc-scanner/current/services/detector/rules.py")


def test_what_an_upgrade_left_to_be_restarted_the_next_one_restarts(machine: Machine) -> None:
    before = pids(machine)
    machine.run("echo '# newer' >>/src/services/indicators/engine.py")
    assert "not restarted" in machine.run(f"{INSTALL} --upgrade --no-start")
    assert pids(machine) == before
    assert "restarting btc-scanner-indicators.service" in machine.run(f"{INSTALL} --upgrade")
    after = pids(machine)
    assert {unit for unit in SERVICES if after[unit] != before[unit]} == {"btc-scanner-indicators"}


def test_lost_passwords_are_made_anew_and_kept_ones_stay(machine: Machine) -> None:
    before = redis_passwords(machine)
    machine.run(f"rm {PASSWORDS}/detector/redis_password")
    assert "users were made anew" in machine.run(INSTALL)
    assert len(set(redis_passwords(machine)) & set(before)) == len(before) - 1
    until("all active", lambda: all_active(machine))
    until("status says healthy", lambda: healthy(machine))


def test_a_user_that_was_added_by_hand_the_installer_takes_away(machine: Machine) -> None:
    machine.run(
        f"cd {PASSWORDS}; mkdir admin; echo x >admin/redis_password;"
        " echo 'user admin on >x ~* &* +@all' >>users.acl; systemctl restart btc-scanner-redis"
    )
    assert redis_says(machine, "admin", "DEL absent") == "0"
    assert "users were made anew" in machine.run(INSTALL)
    assert "REFUSED: invalid username-password" in redis_says(machine, "admin", "PING")
    machine.run(f"rm -r {PASSWORDS}/admin")
    until("status says healthy", lambda: healthy(machine))


# A version that knows nothing of users.
WITHOUT_USERS = """
cp -a /src /src.good; cd /src
sed -i -e /own_redis/Id -e /users.acl/d -e /operator_password/d deploy/systemd/*.service
sed -i /OWN_REDIS/d deploy/systemd/btc-scanner.sh
rm shared/redis_acl.py
"""


def test_an_installation_without_users_gets_them_and_keeps_its_data(machine: Machine) -> None:
    machine.run(WITHOUT_USERS)
    machine.run(f"{INSTALL} --upgrade")
    machine.run(f"rm -r {PASSWORDS}; rm -rf /src && mv /src.good /src")
    assert redis_says(machine, "nobody", "PING") == "True"
    until("status says healthy", lambda: healthy(machine))
    kept = signals(machine)
    machine.run(f"{INSTALL} --upgrade")
    assert "Authentication required" in redis_says(machine, "nobody", "PING")
    assert all_active(machine)
    until("status says healthy", lambda: healthy(machine))
    assert kept
    assert set(kept) <= set(signals(machine))


@pytest.mark.parametrize(
    "broken",
    [
        "echo 'raise SystemExit(3)' >>/src/services/detector/worker.py",
        r"sed -i 's/async def own(self) -> None:/&\n        raise OSError(5)/'"
        " /src/services/indicators/worker.py",
    ],
    ids=["at import", "at run"],
)
def test_an_upgrade_with_which_it_does_not_run_is_taken_back(machine: Machine, broken: str) -> None:
    was = machine.run("readlink /opt/btc-scanner/current")
    kept = signals(machine)
    machine.run(f"cp -a /src /src.good; {broken}")
    failed = machine.ask(f"{INSTALL} --upgrade", timeout=400)
    machine.run("rm -rf /src && mv /src.good /src")
    assert failed.returncode == 1, failed.stdout
    assert "going back to the one before" in failed.stdout
    assert "the version from before runs again" in failed.stdout
    assert machine.run("readlink /opt/btc-scanner/current") == was
    assert all_active(machine)
    assert set(kept) <= set(signals(machine))


def test_after_an_uninstall_only_what_is_the_users_is_left(machine: Machine) -> None:
    config = machine.run("sha256sum /etc/btc-scanner/config.json")
    machine.run("bash /src/deploy/install.sh --uninstall")
    assert machine.run("systemctl list-unit-files --no-legend 'btc-scanner*'", may_fail=True) == ""
    assert machine.run("pgrep -u btc-scanner -a", may_fail=True) == ""
    programs = "/opt/btc-scanner /usr/local/bin/btc-scanner /usr/local/lib/systemd"
    assert machine.run(f"ls -d {programs} 2>/dev/null", may_fail=True) == ""
    assert machine.run("sha256sum /etc/btc-scanner/config.json") == config
    assert machine.run("ls /var/lib/btc-scanner/redis")


def test_a_new_install_finds_the_data_again(machine: Machine) -> None:
    machine.run(INSTALL, timeout=600)
    until("all active", lambda: all_active(machine))
    assert signals(machine)


def test_after_a_purge_nothing_is_left(machine: Machine) -> None:
    machine.run("bash /src/deploy/install.sh --uninstall --purge")
    left = "find / -xdev -name '*btc*scanner*' -not -path '/src/*' -not -path '/proc/*' 2>/dev/null"
    assert machine.run(f"{left} || true") == ""
    assert machine.run("getent passwd btc-scanner; getent group btc-scanner", may_fail=True) == ""
