"""What is wrong with a Redis by its errors, and what a person can do about it."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from redis import exceptions
from redis.exceptions import RedisError

from shared.redis_address import names_several, read_address
from shared.redis_client import COMMAND_TIMEOUT_S
from shared.redis_cluster import NodeLost, Uncovered
from shared.redis_sentinel import NoPrimary


class TooOld(RedisError):
    """The server lacks what streams and scripts of this project need."""


def shown_url(url: str) -> str:
    """The address without user and password, for logs."""
    if names_several(url):
        return read_address(url).shown
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = parts.hostname or "localhost"
    if ":" in host:
        host = f"[{host}]"
    return f"{parts.scheme}://{host}:{parts.port or 6379}{parts.path}"


# Kind of error, or how the server's text begins, and what to tell a person. The first that fits
# counts, so subclasses stand before their bases (an authentication error is a connection error to
# redis-py). Where redis-py has a class for a code, it takes the code off the text.
_REMEDIES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...] | str, str], ...] = (
    (NoPrimary, "{text}"),
    (ssl.SSLCertVerificationError, "{certificate}"),
    (
        (ssl.SSLEOFError, ssl.SSLZeroReturnError),
        "cannot be reached ({cause}): {start}",
    ),
    (
        ssl.SSLError,
        "does not agree on TLS ({cause}): write redis:// if it has none, or see its tls- settings",
    ),
    (TooOld, "is too old: install Redis 7.0 or Valkey 8 or newer, or leave redis.url empty"),
    (exceptions.BusyLoadingError, "is loading its data; this ends by itself"),
    (
        (exceptions.AuthenticationError, exceptions.AuthorizationError),
        "wants a password, or another one: set redis.url (redis://USER:PASSWORD@HOST:PORT/0), or"
        " REDIS_PASSWORD and redis://USER@HOST:PORT/0",
    ),
    (exceptions.NoPermissionError, "refuses a command ({text}): extend the user's ACL"),
    ("The user executing the script", "refuses a command ({text}): extend the user's ACL"),
    ("ACL failure in script", "refuses a command ({text}): extend the user's ACL"),
    (exceptions.ReadOnlyError, "is a read-only replica: point redis.url to the primary"),
    (
        exceptions.OutOfMemoryError,
        "is out of memory: raise maxmemory, or lower the streams.*_maxlen settings",
    ),
    ("MISCONF", "cannot write to its disk: free some space and see its log"),
    ("BUSY ", "is busy with a script; this usually ends by itself"),
    ("UNBLOCKED", "changed its role or lost a stream; this usually ends by itself"),
    ("NOREPLICAS", "has too few replicas in reach to accept writes; start them"),
    (exceptions.MasterDownError, "has lost its primary; this usually ends by itself"),
    (exceptions.ClusterDownError, "is a cluster that is down; this usually ends by itself"),
    (
        (Uncovered, exceptions.SlotNotCoveredError),
        "is a cluster with slots that no node serves: start its nodes, or assign the slots",
    ),
    ("This instance has cluster support disabled", "is no cluster: write redis:// in redis.url"),
    ("The previous master is now a slave", "has a new primary; this ends by itself"),
    (
        (exceptions.TryAgainError, exceptions.ClusterError),
        "is a cluster that moves keys between its nodes; this ends by itself",
    ),
    (exceptions.MovedError, "is a node of a cluster: write redis+cluster:// in redis.url"),
    (exceptions.AskError, "is a cluster that moves keys between its nodes; this ends by itself"),
    (
        (exceptions.TimeoutError, TimeoutError),
        f"does not answer within {COMMAND_TIMEOUT_S:.0f} s: is it overloaded or paused{{tls}}?",
    ),
    (NodeLost, "has a node that cannot be reached, {text}: start it, or wait for its replica"),
    (
        (exceptions.InvalidResponse, UnicodeDecodeError),
        "is no Redis, by what answers there: correct redis.url",
    ),
    ((exceptions.ConnectionError, OSError), "cannot be reached ({cause}): {start}"),
)
_START = "start it, or correct redis.url"
_START_OURS = "up starts it again by itself; if that does not help, see what up prints"


def remedy(error: BaseException, url: str) -> str | None:
    """What is wrong with this Redis and what a person can do; None if waiting cannot help."""
    chain = list(_chain(error))
    for kind, advice in _REMEDIES:
        for each in chain:
            text = said(each)
            fits = text.startswith(kind) if isinstance(kind, str) else isinstance(each, kind)
            if fits:
                what = advice.format(
                    text=text,
                    cause=_cause(each),
                    certificate=_certificate(each),
                    start=_START_OURS if runs_by_up(url) else _START,
                    tls=", or without TLS (then redis://)" if url.startswith("rediss") else "",
                )
                return f"Redis at {shown_url(url)} {what}"
    return None


def runs_by_up(url: str) -> bool:
    """Whether ``up`` runs the server at ``url``, by what it writes beside the socket."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return False
    try:
        noted = (Path(unquote(parts.path)).parent / "url").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError):
        return False
    return noted.strip() == url


# By the number that OpenSSL gives to what is wrong (X509_V_ERR_…).
_CERTIFICATES = {
    9: "shows a certificate that is not valid yet: is the clock of this machine right?",
    10: "shows a certificate that has expired: renew it, on the server",
    62: "shows a certificate for another name: write a name that it holds in redis.url",
    64: "shows a certificate for another address: write a name that it holds in redis.url",
}


def _certificate(error: BaseException) -> str:
    """What is wrong with the server's certificate."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return ""
    return _CERTIFICATES.get(
        error.verify_code,
        f"shows a certificate that is not trusted here ({error.verify_message}): name the file of"
        " its authority in redis.ca_file",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it: redis-py calls any refusal of a login a lost connection."""
    each: BaseException | None = error
    while each is not None:
        yield each
        hidden = each.__context__ if isinstance(each.__context__, ssl.SSLError) else None
        each = each.__cause__ or hidden  # redis-py does not say that TLS is the cause


def said(error: BaseException) -> str:
    """The server's words, without what redis-py puts around them when a pipeline failed."""
    text = str(error)
    _, in_a_pipeline, arguments = text.partition(" of pipeline caused error: ")
    return arguments[2:-3] if in_a_pipeline else text  # ('…',)


def _cause(error: BaseException) -> str:
    """The innermost reason, without redis-py's wrapping."""
    *_, error = _chain(error)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
