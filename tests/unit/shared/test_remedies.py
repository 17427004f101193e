"""What a person is told about a Redis that fails, and which failures waiting cannot end."""

import ssl
from itertools import islice

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser
from redis.asyncio import ConnectionPool
from redis.asyncio.client import Pipeline

from shared.redis_access import backoff, flat
from shared.redis_remedies import TooOld, remedy, shown_url

URL = "redis://user:s3cret@redis.example.com:6380/0"


def wrapped(cause: Exception) -> exceptions.ConnectionError:
    """As redis-py wraps the system's error."""
    error = exceptions.ConnectionError(f"Error connecting: {cause}")
    error.__cause__ = cause
    return error


def certificate(code: int) -> exceptions.ConnectionError:
    """As redis-py wraps OpenSSL's verdict."""
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_code, cause.verify_message = code, "why"
    return wrapped(cause)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TooOld(), "is too old: install Redis 7.0 or Valkey 8 or newer"),
        (exceptions.BusyLoadingError("LOADING ..."), "is loading its data; this ends by itself"),
        (exceptions.AuthenticationError("WRONGPASS ..."), "wants a password, or another one: set"),
        (wrapped(exceptions.AuthenticationError("Authentication required.")), "wants a password"),
        (wrapped(exceptions.NoPermissionError("no 'client|setname'")), "refuses a command (no 'cl"),
        (wrapped(exceptions.BusyLoadingError("LOADING ...")), "is loading its data"),
        (wrapped(exceptions.ResponseError("ERR whatever")), "cannot be reached (ERR whatever)"),
        (exceptions.AuthorizationError("x"), "wants a password, or another one: set"),
        (
            exceptions.NoPermissionError("this user has no permissions to run 'eval'"),
            "refuses a command (this user has no permissions to run 'eval'): extend the user's ACL",
        ),
        (
            exceptions.ResponseError("The user executing the script can't access at least one"),
            "refuses a command (The user executing the script can't access at least one): extend",
        ),
        (
            exceptions.ResponseError("ACL failure in script: no permission"),
            "refuses a command (ACL failure in script: no permission): extend",
        ),
        (certificate(10), "shows a certificate that has expired: renew it"),
        (certificate(62), "shows a certificate for another name: write a name"),
        (certificate(19), "is not trusted here (why): name the file of its authority in redis.ca"),
        (wrapped(ssl.SSLEOFError(8, "EOF")), "cannot be reached (EOF): start it"),
        (wrapped(ssl.SSLError(1, "WRONG_VERSION_NUMBER")), "does not agree on TLS"),
        (exceptions.ReadOnlyError("You can't write"), "is a read-only replica: point redis.url"),
        (exceptions.OutOfMemoryError("used memory > 'maxmemory'"), "is out of memory: raise"),
        (exceptions.ResponseError("MISCONF Errors writing"), "cannot write to its disk: free"),
        (exceptions.ResponseError("BUSY Redis is busy"), "is busy with a script"),
        (exceptions.ResponseError("UNBLOCKED the stream key"), "changed its role or lost a stream"),
        (exceptions.MasterDownError("Link with MASTER is down"), "has lost its primary"),
        (exceptions.ClusterDownError("The cluster is down"), "is a cluster that is down"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas"), "has too few replicas"),
        (exceptions.TimeoutError("Timeout"), "does not answer within 5 s"),
        (TimeoutError(), "does not answer within 5 s"),
        (
            wrapped(ConnectionRefusedError(111, "Connection refused")),
            "cannot be reached (Connection refused): start it, or correct redis.url",
        ),
        (
            exceptions.ConnectionError("Connection closed by server."),
            "cannot be reached (Connection closed by server.): start it",
        ),
        (
            exceptions.InvalidResponse("Protocol Error: b'HTTP/1.1 400 Bad Request'"),
            "is no Redis, by what answers there: correct redis.url",
        ),
        (ConnectionResetError(104, "Connection reset by peer"), "(Connection reset by peer)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_outage_has_its_remedy(error: Exception, words: str) -> None:
    told = remedy(error, URL)
    assert told is not None
    assert words in told
    assert told.startswith("Redis at redis://redis.example.com:6380/0 ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"NOAUTH Authentication required.", "wants a password"),
        (b"WRONGPASS invalid username-password pair", "wants a password"),
        (b"NOPERM this user has no permissions to run 'eval'", "refuses a command (this user"),
        (b"READONLY You can't write against a read only replica.", "read-only replica"),
        (b"OOM command not allowed when used memory > 'maxmemory'.", "is out of memory"),
        (b"MISCONF Errors writing to the AOF file: No space left on device", "write to its disk"),
        (b"LOADING Redis is loading the dataset in memory", "is loading its data"),
        (b"BUSY Redis is busy running a script.", "is busy with a script"),
        (b"MASTERDOWN Link with MASTER is down", "has lost its primary"),
        (b"CLUSTERDOWN Hash slot not served", "is a cluster that is down"),
        (b"NOREPLICAS Not enough good replicas to write.", "has too few replicas"),
    ],
    ids=lambda value: value.split()[0].decode() if isinstance(value, bytes) else "",
)
def test_the_servers_own_words_find_their_remedy_also_in_a_pipeline(
    answer: bytes, words: str
) -> None:
    error = BaseParser.parse_error(answer.decode())
    alone = remedy(error, URL)
    assert alone is not None
    assert words in alone
    Pipeline(ConnectionPool(), {}, True, None).annotate_exception(error, 1, ("HSET", "key"))
    assert "Command # 1" in str(error)
    assert remedy(error, URL) == alone


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind"),
        exceptions.ResponseError("ERR Error running script: attempt to index a nil value"),
        exceptions.DataError("Invalid input of type: 'NoneType'"),
        exceptions.NoScriptError("NOSCRIPT No matching script"),
        ValueError("a bug of ours"),
    ],
    ids=str,
)
def test_waiting_cannot_help_against_a_bug(error: Exception) -> None:
    assert remedy(error, URL) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "redis://redis.example.com:6380/0"),
        ("redis://:s3cret@10.0.0.1/3", "redis://10.0.0.1:6379/3"),
        ("rediss://redis.example.com", "rediss://redis.example.com:6379"),
        ("unix:///run/redis.sock?password=s3cret", "unix:///run/redis.sock"),
        ("redis://redis.example.com:6380/0?password=s3cret", "redis://redis.example.com:6380/0"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_delays_double_up_to_a_cap_with_jitter_taken_off() -> None:
    for delay, full in zip(
        islice(backoff(0.1, 1.0), 7), [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0], strict=True
    ):
        assert full / 2 <= delay <= full


def test_a_mapping_is_flattened_in_its_order() -> None:
    assert flat({"b": "1", "a": "2"}) == ["b", "1", "a", "2"]
    assert flat({}) == []
