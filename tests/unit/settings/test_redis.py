"""The sections ``redis`` and ``streams``: forms of the URL, its password, lengths."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.settings.refused import Row, each, refuses

OWN_SOCKET = "/run/btc-scanner/redis.sock"
OWN = {"BTC_SCANNER_OWN_REDIS": f"unix://ingest@{OWN_SOCKET}"}


@pytest.mark.parametrize("url", [
    "redis://localhost", "redis://:p%40ss@redis:6380/3", "rediss://user:pw@h.example.org:6380",
    "unix:///run/redis.sock", "unix:///run/redis.sock?db=2&password=x", "redis://[::1]:6379/0",
    "redis+sentinel://s1:26379,s2,s3/mymaster/2", "redis+sentinel://u:p%40@s1/m?sentinel_password=x",
    "redis+cluster://u:pw@n1:6379,n2", "rediss+cluster://[::1]:7000,[::2]:7000?ssl_ca_certs=/ca.pem",
])  # fmt: skip
def test_forms_of_redis_urls(load: Any, url: str) -> None:
    settings = load({"redis": {"url": url}})
    assert settings.redis.effective_url == url
    assert not settings.redis.embedded


@pytest.mark.parametrize(
    ("url", "complete"),
    [
        ("redis://h", "redis://:p%40s%2Fs@h"),
        ("redis://me@h:6380/3", "redis://me:p%40s%2Fs@h:6380/3"),
        ("unix://me@/run/r.sock?db=2", "unix://me:p%40s%2Fs@/run/r.sock?db=2"),
        ("redis+sentinel://me@s1,s2/m?sentinel_password=x",
         "redis+sentinel://me:p%40s%2Fs@s1,s2/m?sentinel_password=x"),
        ("redis+cluster://me@n1:1,n2", "redis+cluster://me:p%40s%2Fs@n1:1,n2"),
    ],
)  # fmt: skip
def test_the_password_for_redis_may_come_apart_from_its_url(
    load: Any, url: str, complete: str
) -> None:
    settings = load({"redis": {"url": url}}, {"REDIS_PASSWORD": "p@s/s"})
    assert settings.redis.effective_url == complete
    assert settings.masked()["redis"]["password"] == "********"
    assert {"p@s/s", "p%40s%2Fs"} <= set(settings.secrets())
    assert "p@s/s" not in repr(settings)


def test_the_password_for_redis_may_come_from_a_secret_file(load: Any, tmp_path: Path) -> None:
    (tmp_path / "redis_password").write_text("in-a-file\n")
    settings = load({"redis": {"url": "redis://h"}}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.redis.effective_url == "redis://:in-a-file@h"


@pytest.mark.parametrize(
    ("redis", "complete"),
    [
        ({}, f"unix://ingest:own@{OWN_SOCKET}"),
        ({"url": f"unix://{OWN_SOCKET}"}, f"unix://ingest:own@{OWN_SOCKET}"),
        ({"url": f"unix://ingest@{OWN_SOCKET}"}, f"unix://ingest:own@{OWN_SOCKET}"),
        ({"url": f"unix://{OWN_SOCKET}?db=0"}, f"unix://ingest:own@{OWN_SOCKET}?db=0"),
        ({"url": f"unix://me:x@{OWN_SOCKET}"}, f"unix://me:x@{OWN_SOCKET}"),
        ({"url": f"unix://{OWN_SOCKET}?password=x"}, f"unix://{OWN_SOCKET}?password=x"),
        ({"url": f"unix://{OWN_SOCKET}", "password": "x"}, f"unix://:x@{OWN_SOCKET}"),
        ({"url": "unix:///run/other.sock"}, "unix:///run/other.sock"),
        ({"url": "redis://elsewhere:6379/0"}, "redis://elsewhere:6379/0"),
        ({"url": "redis://me:x@elsewhere:6379/0"}, "redis://me:x@elsewhere:6379/0"),
        ({"url": "redis+cluster://a,b"}, "redis+cluster://a,b"),
    ],
)
def test_the_installations_own_login_counts_at_its_own_redis_alone(
    load: Any, tmp_path: Path, redis: Any, complete: str
) -> None:
    (tmp_path / "own_redis_password").write_text("own\n")
    settings = load({"redis": redis}, {**OWN, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.redis.effective_url == complete
    assert load({"redis": redis}, {**OWN, "OWN_REDIS_PASSWORD": "own"}) == settings
    assert ("own" in settings.secrets()) == ("own@" in complete)


def test_without_its_password_the_installations_own_login_does_not_count(load: Any) -> None:
    url = f"unix://{OWN_SOCKET}"
    settings = load({"redis": {"url": url}}, {**OWN, "CREDENTIALS_DIRECTORY": "/absent"})
    assert settings.redis.effective_url == url


def test_an_own_password_that_cannot_be_read_is_a_fault(faults: Any, tmp_path: Path) -> None:
    (tmp_path / "own_redis_password").write_bytes(b"\xff")
    found = faults({}, {**OWN, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert list(found) == ["redis.password"]
    found = faults({"redis": []}, {**OWN, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert list(found) == ["redis"]


def test_our_own_redis_wants_no_password(load: Any) -> None:
    settings = load({}, {"REDIS_PASSWORD": "of another program"})
    assert settings.redis.effective_url == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize("url", ["rediss://h:1", "rediss+sentinel://h/m", "rediss+cluster://h"])
def test_certificate_authorities_for_redis(load: Any, tmp_path: Path, url: str) -> None:
    ca_file = tmp_path / "my ca.pem"
    ca_file.touch()
    settings = load({"redis": {"url": url, "ca_file": str(ca_file)}})
    assert settings.redis.effective_url == f"{url}?ssl_ca_certs={tmp_path}/my%20ca.pem"


REFUSED: list[Row] = [
    (
        "redis scheme",
        {"redis": {"url": "reddis://h"}},
        "redis.url",
        "does not begin with redis://",
        "redis://",
    ),
    ("redis host", {"redis": {"url": "redis:///0"}}, "redis.url", "no host", ""),
    ("redis database", {"redis": {"url": "redis://h/zero"}}, "redis.url", "database", ""),
    ("redis password", {"redis": {"url": "redis://:p#w@h"}}, "redis.url", "", ""),
    (
        "redis password twice",
        {"redis": {"url": "redis://:x@h", "password": "x"}},
        "redis.password",
        "has a password of its own",
        "",
    ),
    (
        "redis password in the query",
        {"redis": {"url": "redis://h?password=x", "password": "x"}},
        "redis.password",
        "has a password of its own",
        "",
    ),
    (
        "redis ca without tls",
        {"redis": {"url": "redis://h", "ca_file": "/etc/hosts"}},
        "redis.ca_file",
        "is not encrypted",
        "",
    ),
    (
        "redis ca twice",
        {"redis": {"url": "rediss://h?ssl_ca_certs=x", "ca_file": "/etc/hosts"}},
        "redis.ca_file",
        "has ssl_ca_certs",
        "",
    ),
    (
        "redis ca",
        {"redis": {"url": "rediss://h", "ca_file": "no-such.pem"}},
        "redis.ca_file",
        "not a file",
        "",
    ),
    (
        "redis ca with a name that is too long",
        {"redis": {"url": "rediss://h", "ca_file": 5000 * "x"}},
        "redis.ca_file",
        "not a file",
        "",
    ),
    (
        "redis ca with a name that no file can have",
        {"redis": {"url": "rediss://h", "ca_file": "a\0b"}},
        "redis.ca_file",
        "not a file",
        "",
    ),
    ("redis socket", {"redis": {"url": "unix://run"}}, "redis.url", "absolute path", ""),
    (
        "lead",
        {"streams": {"max_lead": 20_000, "indicators_maxlen": 90_000}},
        "streams.max_lead",
        "not less than klines_maxlen",
        "",
    ),
    (
        "lead of all",
        {"streams": {"indicators_maxlen": 12_000}},
        "streams.max_lead",
        "12167 entries",
        "",
    ),
    (
        "short stream",
        {"streams": {"klines_maxlen": 50, "max_lead": 10}},
        "streams.klines_maxlen",
        "longest period, 50",
        "",
    ),
]


@each(REFUSED)
def test_is_refused(faults: Any, values: object, path: str, what: str, near: str) -> None:
    refuses(faults, values, path, what, near)
