"""The two forms of ``redis.url`` that name several hosts: Sentinel and Cluster.

    redis+sentinel://[user:password@]host1:26379,host2:26379,host3/mymaster[/db]
    redis+cluster://[user:password@]host1:6379,host2:6379

``rediss+…`` is the same over TLS. User and password are those of the data servers. Options follow
a ``?``: ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile`` and ``ssl_cert_reqs`` for TLS,
``sentinel_user`` and ``sentinel_password`` for sentinels that want a password of their own. URLs of
one server are redis-py's affair.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import parse_qsl, quote, unquote

DEFAULT_PORT = {"sentinel": 26379, "cluster": 6379}
SCHEMES = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")

_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
_SENTINEL_OPTIONS = ("sentinel_user", "sentinel_password")
_SHAPE = re.compile(r"(rediss?)\+(sentinel|cluster)://(?:([^/?#]*)@)?([^/?#@]*)([^?#]*)(?:\?(.*))?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_NAME = re.compile(r"[A-Za-z0-9._-]+")

Host = tuple[str, int]


class BadAddress(ValueError):
    """What is wrong with an address, without repeating any of it, and what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what, self.advice = what, advice


@dataclass(frozen=True, slots=True)
class Address:
    """Where several servers are one Redis.

    Attributes:
        hosts: The sentinels, or some nodes of the cluster.
        primary: What the sentinels call it; empty for a cluster.
        options: TLS and sentinel options by name.
    """

    kind: Literal["sentinel", "cluster"]
    tls: bool
    hosts: tuple[Host, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    primary: str = ""
    db: int = 0
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """The address without user, password and options, for logs."""
        hosts = ",".join(f"{bracketed(host)}:{port}" for host, port in self.hosts)
        path = f"/{self.primary}/{self.db}" if self.primary else ""
        return f"redis{'s' if self.tls else ''}+{self.kind}://{hosts}{path}"


def bracketed(host: str) -> str:
    """``host`` as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def completed(url: str, password: str, ca_file: str) -> str:
    """``url`` with the password and the certificate authorities that stand outside of it."""
    scheme, _, rest = url.partition("://")
    end = next((at for at, letter in enumerate(rest) if letter in "/?#"), len(rest))
    authority, tail = rest[:end], rest[end:]
    if password:
        login, _, host = authority.rpartition("@")
        authority = f"{login.partition(':')[0]}:{quote(password, safe='')}@{host}"
    if ca_file:
        tail += f"{'&' if '?' in tail else '?'}ssl_ca_certs={quote(ca_file)}"
    return f"{scheme}://{authority}{tail}"


def names_several(url: str) -> bool:
    """Whether ``url`` is, or was meant to be, of one of these forms."""
    return url.partition("://")[0] in SCHEMES


def read_address(url: str) -> Address:
    """The address that ``url`` is.

    Raises:
        BadAddress: It is none.
    """
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        raise BadAddress(
            "is not a URL of several hosts", "write : / @ # of a password as %3A %2F %40 %23"
        )
    scheme, kind, login, hosts, path, query = shape.groups()
    user, password = _login(login)
    primary, db = _path(kind, path)
    return Address(
        kind=cast("Literal['sentinel', 'cluster']", kind),
        tls=scheme == "rediss",
        hosts=_hosts(hosts, DEFAULT_PORT[kind]),
        user=user,
        password=password,
        primary=primary,
        db=db,
        options=_options(query or "", kind, tls=scheme == "rediss"),
    )


def _login(login: str | None) -> tuple[str | None, str | None]:
    user, _, password = (login or "").partition(":")
    if ":" in password or "@" in password:
        raise BadAddress("has a second : or @ in its login", "write them as %3A and %40")
    return unquote(user) or None, unquote(password) or None


def _hosts(text: str, default_port: int) -> tuple[Host, ...]:
    advice = "list them like host1:6379,host2:6379"
    if not text:
        raise BadAddress("has no host", advice)
    found: list[Host] = []
    for each in text.split(","):
        shape = _HOST.fullmatch(each)
        if shape is None:
            raise BadAddress("has a host that is empty or impossible", advice)
        port = int(shape[2]) if shape[2] else default_port
        if not 0 < port < 65536:
            raise BadAddress("has a port that is not 1 to 65535", advice)
        host = (shape[1].strip("[]"), port)
        if host in found:
            raise BadAddress("names a host twice", advice)
        found.append(host)
    return tuple(found)


def _path(kind: str, path: str) -> tuple[str, int]:
    if kind == "cluster":
        if path not in ("", "/", "/0"):
            raise BadAddress("names a database", "a cluster has only database 0: end it with /0")
        return "", 0
    _, _, rest = path.partition("/")
    primary, _, db = rest.partition("/")
    if not _NAME.fullmatch(primary):
        raise BadAddress(
            "does not name the primary as the sentinels do", "end it with a name, like /mymaster"
        )
    if not re.fullmatch(r"[0-9]{0,4}", db):
        raise BadAddress("names a database that is not a number", "end it with /0")
    return primary, int(db or 0)


def _options(query: str, kind: str, *, tls: bool) -> dict[str, str]:
    known = (*(_TLS_OPTIONS if tls else ()), *(_SENTINEL_OPTIONS if kind == "sentinel" else ()))
    found = dict(parse_qsl(query, keep_blank_values=True))
    if set(found) - set(known):
        listed = ", ".join(known)
        raise BadAddress(
            "has an option that is not known here",
            f"known are {listed}" if known else "leave out everything from the ? on",
        )
    return found
