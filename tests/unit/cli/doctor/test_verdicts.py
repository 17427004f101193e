"""What the doctor makes of what it saw: every verdict, without any server."""

import socket
import ssl

import pytest

from cli.doctor.failure import failure_of
from cli.doctor.report import Finding, document, exit_code, fail, headline, ok, split, text, warn
from cli.doctor.verdicts import configuration, exchange, machine, redis, services
from cli.doctor.verdicts.channels import told
from cli.doctor.verdicts.exchange import Failure, Tried
from services.notifier.channels import Broken, TryAgain
from shared.market import Market

OK, WARN, FAIL = ok("a", "well"), warn("b", "so so", "look"), fail("c", "bad", "mend it")


# --- the report


@pytest.mark.parametrize(
    ("findings", "usable", "code"),
    [
        ([OK], True, 0), ([OK, WARN], True, 0), ([OK, WARN, FAIL], True, 1),
        ([OK], False, 2), ([FAIL], False, 2),
    ],
)  # fmt: skip
def test_scripts_learn_the_worst_by_the_exit_code(
    findings: list[Finding], usable: bool, code: int
) -> None:
    assert exit_code(findings, usable=usable) == code


def test_people_see_level_name_finding_and_remedy() -> None:
    assert list(text([OK, WARN, FAIL])) == [
        "ok    a             well",
        "warn  b             so so",
        "                    -> look",
        "fail  c             bad",
        "                    -> mend it",
        "",
        "1 fail, 1 warn, 1 ok",
    ]
    assert headline([OK, OK]) == "2 ok: nothing is wrong here"
    assert next(text([FAIL], colour=True)).startswith("\x1b[1;31mfail\x1b[0m  c ")


def test_long_lines_are_broken_between_words_only() -> None:
    lines = list(text([fail("c", "word " * 60, "chmod " + "x" * 120)]))
    assert max(len(line) for line in lines[:4]) <= 100
    assert any("x" * 120 in line for line in lines)


def test_programs_get_counts_and_all_findings() -> None:
    made = document([OK, FAIL], 1, "1.2")
    assert (made["version"], made["exit_code"], made["ok"], made["fail"]) == ("1.2", 1, 1, 1)
    assert made["checks"][1] == {"level": "fail", "check": "c", "what": "bad", "remedy": "mend it"}


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("h:25 is shut: check smtp.server", ("h:25 is shut", "check smtp.server")),
        ("says 550: set it: set b", ("says 550: set it", "set b")),
        ("h:25 closed the connection", ("h:25 closed the connection", "")),
        ("is out of memory: raise maxmemory", ("is out of memory", "raise maxmemory")),
    ],
)
def test_a_sentence_of_ours_is_split_before_its_remedy(
    sentence: str, parts: tuple[str, str]
) -> None:
    assert split(sentence) == parts


# --- the exchange


@pytest.mark.parametrize(
    ("status", "kind"),
    [(451, "region"), (403, "forbidden"), (418, "limited"), (429, "limited"), (502, "status")],
)
def test_each_status_has_its_meaning(status: int, kind: str) -> None:
    assert exchange.status_failure(status) == Failure(kind, str(status))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", exchange._RANK)
@pytest.mark.parametrize("way", ["REST", "WebSocket"])
def test_each_failure_has_words_and_a_remedy(kind: exchange.Kind, way: exchange.Way) -> None:
    found = exchange.hosts(way, [Tried("https://a", failure=Failure(kind, "said"))])
    assert (found.level, found.check) == ("fail", way)
    assert found.what.startswith("https://a: ")
    assert "{" not in found.what + found.remedy
    assert len(found.remedy) > 10


def test_like_failures_are_told_together_and_the_surest_remedy_is_given() -> None:
    found = exchange.hosts("REST", [
        Tried("https://a", failure=Failure("timeout")),
        Tried("https://b", failure=Failure("region")),
        Tried("https://c", failure=Failure("timeout")),
    ])  # fmt: skip
    assert found.what.startswith("https://a, https://c: does not answer in time; https://b: ")
    assert exchange.DATA_REST in found.remedy
    assert exchange.DATA_WS in found.remedy


def test_one_host_that_answers_is_enough() -> None:
    well = [Tried("https://a", 12.3), Tried("https://b", 5)]
    assert exchange.hosts("REST", well) == ok("REST", "https://a answers in 12 ms; so do 1 more")
    found = exchange.hosts("REST", [*well, Tried("https://c", failure=Failure("dns"))])
    assert found.level == "warn"
    assert found.what.endswith("https://a answers and is used")


def test_a_market_is_judged_by_both_assets_and_its_status() -> None:
    market = Market("BTCUSDT", "BTC", "USDT", "0.01", "TRADING")
    assert exchange.symbol("BTC/USDT", [market], ()).level == "ok"
    assert exchange.symbol("BTCU/SDT", [market], ()).level == "fail"
    halted = Market("BTCUSDT", "BTC", "USDT", "0.01", "BREAK")
    assert exchange.symbol("BTC/USDT", [halted], ()).level == "warn"
    found = exchange.symbol("BTC/USD", [], ["BTC/USDT", "BTC/USDC"])
    assert found.remedy == "set exchange.symbol: did you mean BTC/USDT or BTC/USDC?"


@pytest.mark.parametrize(
    ("skew_ms", "most_s", "level"),
    [(1999.0, 2.0, "ok"), (2001.0, 2.0, "fail"), (-2001.0, 2.0, "fail"), (9e9, None, "ok"),
     (None, 2.0, "warn")],
)  # fmt: skip
def test_a_clock_may_differ_by_what_is_configured(
    skew_ms: float | None, most_s: float | None, level: str
) -> None:
    assert exchange.clock("here", skew_ms, most_s).level == level


def caused_by(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (socket.gaierror(-2, "Name or service not known"), "dns"),
        (caused_by(ValueError("x"), socket.gaierror(-3, "Temporary failure")), "dns"),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(111, "Connection refused"), "network"),
        (ConnectionResetError(), "network"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "tls"),
        (ssl.SSLCertVerificationError("certificate has expired"), "certificate"),
        (OSError(101, "Network is unreachable"), "network"),
        (ExceptionGroup("all", [ConnectionRefusedError(111, "Connection refused")]), "network"),
        (ValueError("token 42:abc"), "other"),
    ],
)  # fmt: skip
def test_errors_are_told_apart_by_what_caused_them(error: Exception, kind: str) -> None:
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_message = "certificate has expired"
    found = failure_of(error)
    assert found.kind == kind
    assert "42:abc" not in found.said


# --- the channels


def test_an_answer_that_names_no_remedy_gets_one() -> None:
    broken = Broken("k", "h refuses the sender (550 no): check smtp.from_email")
    found = told("email", broken, "r")
    assert found == fail("email", "h refuses the sender (550 no)", "check smtp.from_email")
    again = TryAgain("k", "h closed the connection")
    assert told("email", again, "r") == fail("email", "h closed the connection", "r")
    assert told("email", again, "r", passing=True).level == "warn"
    assert told("email", broken, "r", passing=True).level == "fail"


# --- Redis


def server(**info: str) -> redis.Server:
    healthy = {
        "role": "master", "aof_enabled": "1", "aof_last_write_status": "ok", "maxmemory": "0",
        "maxmemory_policy": "noeviction", "used_memory": "1000000", "redis_version": "7.0.15",
    }  # fmt: skip
    return redis.Server("", {**healthy, **info}, {"appendfsync": "everysec"})


@pytest.mark.parametrize(
    ("info", "check", "level"),
    [
        ({"role": "slave"}, "Redis role", "fail"),
        ({"aof_enabled": "0"}, "Redis AOF", "warn"),
        ({"aof_last_write_status": "err"}, "Redis AOF", "fail"),
        ({"maxmemory_policy": "allkeys-lru"}, "Redis eviction", "warn"),
        ({"maxmemory_policy": "volatile-lru", "maxmemory": "9000000"}, "Redis eviction", "fail"),
        ({"maxmemory": "1000000"}, "Redis memory", "fail"),
        ({"maxmemory": "1100000"}, "Redis memory", "warn"),
    ],
)
def test_each_weakness_of_a_server_is_one_line(
    info: dict[str, str], check: str, level: str
) -> None:
    found = [each for each in redis.judge(server(**info)) if each.level != "ok"]
    assert [(each.check, each.level) for each in found] == [(check, level)]
    assert found[0].remedy


def test_a_fit_server_is_told_to_be_fit() -> None:
    assert {each.level for each in redis.judge(server())} == {"ok"}
    assert {each.level for each in redis.judge(server(maxmemory="9000000"))} == {"ok"}


def test_what_a_server_does_not_tell_is_not_judged() -> None:
    [found] = redis.judge(redis.Server("", {}, {}))
    assert (found.level, found.check) == ("warn", "Redis settings")
    assert "noeviction" in found.remedy


def test_of_several_nodes_each_has_its_name() -> None:
    node = redis.Server("10.0.0.1:6379", {"role": "slave"}, {})
    assert [each.what for each in redis.judge(node)] == ["10.0.0.1:6379: it is a replica"]


def test_valkey_is_called_by_its_own_version() -> None:
    assert server(valkey_version="9.1.2").version == "Valkey 9.1.2"
    assert server().version == "Redis 7.0.15"


# --- the machine

LOCK = """\
# comment
aiohttp==3.14.5 \\
    --hash=sha256:00
numpy==2.4.6 ; python_full_version < '3.12' \\
numpy==2.5.5 ; python_full_version >= '3.12' \\
async-timeout==5.0.1 ; python_full_version < '3.11.3' \\
    # via redis
"""


def test_a_lock_tells_names_versions_and_conditions() -> None:
    assert list(machine.read_lock(LOCK)) == [
        machine.Locked("aiohttp", ("3.14.5",), False),
        machine.Locked("numpy", ("2.4.6", "2.5.5"), False),
        machine.Locked("async-timeout", ("5.0.1",), True),
    ]


@pytest.mark.parametrize(
    ("installed", "levels"),
    [
        ({"aiohttp": "3.14.5", "numpy": "2.5.5"}, ["ok"]),
        ({"aiohttp": "3.14.5"}, ["fail"]),
        ({"aiohttp": "3.13.0", "numpy": "2.4.6"}, ["warn"]),
        ({"aiohttp": "3.13.0"}, ["fail", "warn"]),
    ],
)
def test_packages_are_compared_with_the_lock(installed: dict[str, str], levels: list[str]) -> None:
    locked = list(machine.read_lock(LOCK))
    for stamp, remedy in (
        ("/v/.ready-run", "rm /v/.ready-run; then"),
        ("", "start it by ./btc-scanner"),
    ):
        found = list(machine.packages(locked, installed, stamp=stamp))
        assert [each.level for each in found] == levels
        assert all(remedy in each.remedy for each in found if each.level != "ok")


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10), "fail"), ((3, 11), "ok"), ((3, 14), "ok"), ((3, 15), "fail")]
)
def test_a_python_is_supported_or_not(version: tuple[int, int], level: str) -> None:
    assert machine.python(version, "3").level == level


@pytest.mark.parametrize(
    ("free", "files", "level"),
    [
        (machine.GB, 1, "ok"), (machine.GB, None, "ok"), (machine.GB - 1, 1, "warn"),
        (100 * machine.MB, 1, "warn"), (100 * machine.MB - 1, 1, "fail"), (machine.GB, 0, "fail"),
    ],
)  # fmt: skip
def test_a_disk_needs_room_for_bytes_and_files(free: int, files: int | None, level: str) -> None:
    assert machine.disk(machine.Disk("log", "/var/log", free, files)).level == level


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("absent", "sudo install -d -o me '/a b'"), ("folder", "let me write there"),
        ("file", "sudo chown me '/a b'"), ("obstacle", "move '/a b' away"),
    ],
)  # fmt: skip
def test_what_keeps_logs_from_being_written_has_its_own_remedy(kind: str, remedy: str) -> None:
    fault = machine.Unwritable(kind, "/a b", "'/a b'", "Permission denied")  # type: ignore[arg-type]
    [found] = machine.writable("/a b", "me", [fault])
    assert found.level == "fail"
    assert (
        found.remedy
        == f"{found.remedy.partition(', or')[0]}, or set logging.file to another folder"
    )
    assert remedy in found.remedy
    assert "-R" not in found.remedy


UNITS = """\
Id=a.service
LoadState=loaded
ActiveState=active
SubState=running

Id=b.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
Result=exit-code
NRestarts=7

Id=c.service
LoadState=loaded
ActiveState=inactive
UnitFileState=enabled

Id=d.service
LoadState=loaded
ActiveState=inactive
UnitFileState=disabled

Id=e.service
LoadState=not-found
ActiveState=inactive
"""


def test_units_are_read_and_judged() -> None:
    units = list(machine.read_units(UNITS))
    assert [each.name for each in units] == ["a.service", "b.service", "c.service", "d.service"]
    found = list(machine.units(units))
    assert [(each.level, each.what) for each in found] == [
        ("fail", "b.service ends again and again (exit-code)"),
        ("warn", "c.service is inactive"),
        ("ok", "active: a.service"),
    ]
    assert "journalctl -u b.service" in found[0].remedy


# --- the configuration and the services


@pytest.mark.parametrize(
    ("mode", "in_file", "levels"),
    [
        (0o600, ("smtp.password",), ["ok"]), (0o640, ("smtp.password",), ["warn"]),
        (0o604, ("smtp.password",), ["fail"]), (0o644, (), []), (None, ("smtp.password",), []),
    ],
)  # fmt: skip
def test_a_file_with_secrets_is_for_its_owner(
    mode: int | None, in_file: tuple[str, ...], levels: list[str]
) -> None:
    file = configuration.File("my config.json", "'my config.json'", mode, in_file)
    found = list(configuration.permissions(file))
    assert [each.level for each in found] == levels
    assert all(each.remedy == "type: chmod 600 'my config.json'" for each in found if each.remedy)


def test_services_are_missed_by_name_and_waiting_is_told() -> None:
    wanted = ("ingest", "detector")
    [found] = services.services((), wanted, "1")
    assert (found.level, found.what) == ("warn", "none of the services runs")
    beats = [
        services.Beat("ingest", "1", "1", "waiting: Redis at x is out of memory: raise maxmemory"),
        services.Beat("ingest", "2", "1", "running"),
    ]
    assert list(services.services(beats, wanted, "1"))[1:] == [
        warn("ingest", "ingest waits: Redis at x is out of memory", "raise maxmemory"),
        ok("services", "running: ingest (2)"),
    ]


def test_a_paused_channel_passes_by_itself() -> None:
    [found] = services.channels([services.Channel("telegram", "paused: 429", 0)], {})
    assert found.level == "warn"
    assert "goes on by itself" in found.remedy


def test_troubles_of_services_warn_and_spoilt_ones_are_left() -> None:
    troubles = {"service:ingest": "down 1762094100000", "clock:h": "skewed 1762094100000",
                "channel:email": "broken 1762094100000", "feed:X": "what?"}  # fmt: skip
    found = list(services.standing(troubles))
    assert [(each.level, each.what.partition(" since")[0]) for each in found] == [
        ("fail", "clock h SKEWED"), ("warn", "ingest DOWN"),
    ]  # fmt: skip
