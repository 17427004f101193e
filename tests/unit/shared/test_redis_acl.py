"""The users of Redis: nothing forgotten, nothing left open."""

import re
from hashlib import sha256

import pytest

from shared import keys
from shared.redis_acl import (
    CONSUME,
    NEEDS,
    OPERATOR,
    READ,
    REVIVE_AND_WRITE,
    USERS,
    WATCH,
    WRITE,
    acl_file,
    line_of,
    pattern_of,
    rules_of,
)

PASSWORDS = {user: f"secret of {user}" for user in USERS}
DANGEROUS = {
    "flushall", "flushdb", "config", "keys", "shutdown", "debug", "script", "function", "save",
    "bgsave", "replicaof", "slaveof", "migrate", "restore", "module", "monitor", "acl", "rename",
    "swapdb", "xtrim", "xsetid",
}  # fmt: skip


def test_every_kind_of_key_has_its_users() -> None:
    assert set(NEEDS) == set(keys._TYPES)


def test_every_key_is_written_by_a_service_and_seen_by_the_operator() -> None:
    for kind, needs in NEEDS.items():
        assert any(access not in (READ, WATCH) for access in needs.values()), kind
        assert kind in ("state", "ping") or OPERATOR in needs, kind
        assert set(needs) <= set(USERS), kind


def test_only_their_services_write_what_others_decide_by() -> None:
    def writers(kind: str) -> set[str]:
        return {user for user, access in NEEDS[kind].items() if access not in (READ, WATCH)}

    assert writers("klines") == {"ingest"}
    assert writers("indicators") == writers("state") == {"indicators"}
    assert writers("cursor") == writers("dedup") == {"detector"}
    assert writers("delivered") == writers("dead") == {"notifier", OPERATOR}
    assert NEEDS["signals"] == {
        "detector": WRITE,
        "notifier": CONSUME,
        OPERATOR: REVIVE_AND_WRITE,  # test-alert, dead replay
    }
    assert {kind for kind in NEEDS if OPERATOR in writers(kind)} == {
        "signals", "events", "dead", "delivered", "mute",
    }  # fmt: skip


@pytest.mark.parametrize("user", USERS)
def test_no_user_may_do_what_endangers_all(user: str) -> None:
    allowed = set(re.findall(r"\+(\S+?)(?=[ )])", line_of(user, ">x")))
    whole = {command for command in allowed if "|" not in command}
    assert not whole & DANGEROUS
    assert {command for command in allowed if command.startswith(("acl|", "config|"))} <= (
        {"acl|load", "acl|whoami"} if user == OPERATOR else set()
    )
    assert "+@" not in line_of(user, ">x")
    assert "~*" not in line_of(user, ">x")


@pytest.mark.parametrize("user", USERS)
def test_whoever_only_reads_gets_no_command_that_writes(user: str) -> None:
    for rule in rules_of(user):
        if rule.access == "%R":
            assert not set(rule.commands) & {"xadd", "set", "hset", "del", "pexpire", "xack"}


def test_a_service_writes_its_own_heartbeat_only() -> None:
    assert pattern_of("health", "ingest") == "health:ingest:*"
    assert pattern_of("health", OPERATOR) == "health:*"


def test_the_file_holds_hashes_and_no_user_without_a_password() -> None:
    text = acl_file(PASSWORDS, hashed=True)
    first, *others = text.splitlines()
    assert first == "user default off resetpass ~* &* +@all"
    assert [line.split()[1] for line in others] == list(USERS)
    for line, user in zip(others, USERS, strict=True):
        assert line.split()[3] == f"#{sha256(PASSWORDS[user].encode()).hexdigest()}"
    assert "secret of" not in text
    assert "nopass" not in text
    assert ">secret of ingest" in acl_file(PASSWORDS, hashed=False)
