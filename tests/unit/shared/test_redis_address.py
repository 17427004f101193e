"""URLs that name several hosts: what they mean, what is wrong with them, what of them is shown."""

import pytest

from shared.redis_access import RedisAccess
from shared.redis_address import SCHEMES, Address, BadAddress, names_several, read_address
from shared.redis_cluster import ClusterClient, key_of, slot_of
from shared.redis_remedies import shown_url


def test_sentinels() -> None:
    url = "redis+sentinel://me:p%40ss@s1:26380,s2,[::1]/my-master/3?sentinel_password=x%26"
    assert read_address(url) == Address(
        kind="sentinel",
        tls=False,
        hosts=(("s1", 26380), ("s2", 26379), ("::1", 26379)),
        user="me",
        password="p@ss",
        primary="my-master",
        db=3,
        options={"sentinel_password": "x&"},
    )
    assert shown_url(url) == "redis+sentinel://s1:26380,s2:26379,[::1]:26379/my-master/3"


def test_a_cluster() -> None:
    url = "rediss+cluster://:secret@n1,n2:7001/0?ssl_ca_certs=/ca.pem"
    assert read_address(url) == Address(
        kind="cluster",
        tls=True,
        hosts=(("n1", 6379), ("n2", 7001)),
        password="secret",
        options={"ssl_ca_certs": "/ca.pem"},
    )
    assert shown_url(url) == "rediss+cluster://n1:6379,n2:7001"
    assert "secret" not in repr(read_address(url))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_is_known_and_no_other(scheme: str) -> None:
    assert names_several(f"{scheme}://h/m")
    assert not names_several("redis://h/0")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+sentinel://s1,s2", "does not name the primary"),
        ("redis+sentinel://s1/", "does not name the primary"),
        ("redis+sentinel://s1/my master", "does not name the primary"),
        ("redis+sentinel://s1/m/first", "names a database that is not a number"),
        ("redis+sentinel:///m", "has no host"),
        ("redis+sentinel://s1,,s2/m", "a host that is empty or impossible"),
        ("redis+sentinel://s1:0/m", "a port that is not 1 to 65535"),
        ("redis+sentinel://s1:65536/m", "a port that is not 1 to 65535"),
        ("redis+sentinel://s1:port/m", "a host that is empty or impossible"),
        ("redis+sentinel://s1,s1:26379/m", "names a host twice"),
        ("redis+sentinel://s1/m?ssl_ca_certs=x", "an option that is not known"),
        ("redis+cluster://n1/1", "names a database"),
        ("redis+cluster://n1/mymaster", "names a database"),
        ("redis+cluster://n1?sentinel_password=x", "an option that is not known"),
        ("redis+cluster://a:b:c@n1", "a second : or @"),
        ("redis+cluster://a:b@c@n1", "a second : or @"),
        ("redis+cluster://n1#x", "is not a URL of several hosts"),
    ],
)
def test_each_fault_is_named_without_repeating_the_url(url: str, words: str) -> None:
    with pytest.raises(BadAddress, match=words) as caught:
        read_address(url)
    assert caught.value.advice
    assert url not in str(caught.value) + caught.value.advice


async def test_each_form_has_its_client() -> None:
    for url in ("redis+sentinel://s1,s2/m", "rediss+sentinel://s1/m", "redis://h", "unix:///s"):
        access = RedisAccess(url, name="test")
        assert not isinstance(access.client, ClusterClient)
        await access.close()
    access = RedisAccess("redis+cluster://n1", name="test")
    assert isinstance(access.client, ClusterClient)
    await access.close()


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "a"), b"a"),
        (("XINFO GROUPS", b"b"), b"b"),
        (("EVALSHA", "sha", 2, "c", "d"), b"c"),
        (("EVAL", "return 1", 0), None),
        (("XREAD", b"COUNT", b"1", b"STREAMS", "e", "f", "0", "0"), b"e"),
        (("XREADGROUP", "GROUP", "g", "STREAMS-1", b"STREAMS", "h", ">"), b"h"),
        (("INFO", "server"), None),
        (("PING",), None),
    ],
)
def test_the_key_that_a_command_goes_by(command: tuple, key: bytes | None) -> None:
    assert key_of(command) == key


def test_the_slots_of_the_protocol() -> None:
    assert slot_of(b"s:{BTCUSDT}:1m") == slot_of(b"d:{BTCUSDT}:dlq") == 8473
    assert slot_of(b"signals") == slot_of(b"events:{signals}")
