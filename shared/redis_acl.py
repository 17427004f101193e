"""Who may do what in Redis: one user per service, one for the operator's commands. Pure.

Each user gets, for each kind of key, just the commands that it needs there. Redis 7.0 tells the
keys of a script only as "may be read and written", so ``EVAL`` is allowed on all keys of a user's
scripts; what a script then does is checked command by command.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from shared import keys

SERVICES = ("ingest", "indicators", "detector", "notifier")
OPERATOR = "operator"
USERS = (*SERVICES, OPERATOR)

# --- what may be done to a key, by its type and the kind of access --------------------------------

_LOOK = ("exists", "type")
_READ = {
    "stream": ("xread", "xrange", "xrevrange", "xlen", "xinfo|stream", "xinfo|groups"),
    "hash": ("hget", "hmget", "hgetall", "hlen", "hexists"),
    "string": ("get", "mget", "pttl"),
    "list": ("lrange", "lindex", "llen", "pttl"),
}
_WRITE = {
    "stream": ("xadd",),
    "hash": ("hset", "hsetnx", "hdel", "hincrby", "pexpire", "del"),
    "string": ("set", "pexpire", "del"),
    "list": ("lpush", "rpush", "lpop", "rpop", "ltrim", "pexpire", "del"),
}
_WORK_THROUGH = ("xreadgroup", "xgroup|create", "xinfo|consumers", "xpending", "xclaim", "xack",
                 "xgroup|delconsumer")  # fmt: skip
_SEE_WHAT_WAITS = ("xinfo|consumers", "xpending")

READ, WRITE = "read", "write"
CONSUME = "consume"
"""Read a stream as a member of a group; adds nothing to it."""
CONSUME_AND_WRITE = "consume and write"
WATCH = "watch"
"""Read a stream, and who has read how much of it."""
REVIVE = "revive"
"""The same, and take an entry for a group, so that it is delivered again."""
REVIVE_AND_WRITE = "revive and write"
DROP = "drop"
"""Read a stream, and take entries out of it."""

# --- which keys each user needs ------------------------------------------------------------------

_ALL_SERVICES = {**dict.fromkeys(SERVICES, WRITE), OPERATOR: READ}

NEEDS: Mapping[str, Mapping[str, str]] = {
    "klines": {"ingest": WRITE, "indicators": READ, OPERATOR: READ},
    "indicators": {"indicators": WRITE, "detector": READ, OPERATOR: READ},
    "signals": {"detector": WRITE, "notifier": CONSUME, OPERATOR: REVIVE_AND_WRITE},
    "events": {**_ALL_SERVICES, "notifier": CONSUME_AND_WRITE, OPERATOR: REVIVE},
    "dead": {"notifier": WRITE, OPERATOR: DROP},
    "state": {"indicators": WRITE},
    "owner": {"indicators": WRITE, OPERATOR: READ},
    "cursor": {"detector": WRITE, OPERATOR: READ},
    "delivered": {"notifier": WRITE, OPERATOR: WRITE},
    "progress": {"ingest": READ, "indicators": WRITE, "detector": WRITE, OPERATOR: READ},
    "totals": {"ingest": WRITE, OPERATOR: READ},
    "market": {"ingest": WRITE, "detector": READ, OPERATOR: READ},
    "dedup": {"detector": WRITE, OPERATOR: READ},
    "board": {"detector": WRITE, OPERATOR: READ},
    "deliveries": {"notifier": WRITE, OPERATOR: READ},
    "troubles": _ALL_SERVICES,
    "services": _ALL_SERVICES,
    "told": _ALL_SERVICES,
    "gate": {"notifier": WRITE, OPERATOR: READ},
    "rate": {"notifier": WRITE, OPERATOR: READ},
    "moved": {"notifier": WRITE, OPERATOR: READ},
    "mute": {"notifier": READ, OPERATOR: WRITE},
    "muted": {"notifier": WRITE, OPERATOR: READ},
    "quiet": {"notifier": WRITE, OPERATOR: READ},
    "ping": {"notifier": WRITE},
    "health": _ALL_SERVICES,
}
"""Kind of key → user → access. A new kind of key is one line here."""

# Commands without a key. A connection needs the first three; the fourth belongs to a cluster.
_KEYLESS = ("ping", "select", "client|setname", "cluster|slots", "multi", "exec", "discard", "time")
_OPERATORS = ("info", "scan", "acl|load", "acl|whoami")
# With keys or without: asking for the server's version has none.
_SCRIPTS = ("eval", "evalsha")


@dataclass(frozen=True, slots=True)
class Rule:
    """Commands on the keys of some patterns; one selector of a user.

    Attributes:
        access: ``%R``, or empty for both ways.
    """

    access: str
    patterns: tuple[str, ...]
    commands: tuple[str, ...]

    @property
    def text(self) -> str:
        """As Redis reads it."""
        allowed = [f"+{command}" for command in self.commands]
        return " ".join([*allowed, *(f"{self.access}~{pattern}" for pattern in self.patterns)])


def pattern_of(kind: str, user: str) -> str:
    """The keys of one kind that a user may touch, as a pattern."""
    if kind == "signals":
        return keys.SIGNALS
    if kind == "health" and user in SERVICES:
        return f"health:{user}:*"
    return f"{kind}:*"


def rules_of(user: str) -> tuple[Rule, ...]:
    """What a user may do to keys, like things together."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for kind, needs in NEEDS.items():
        if user in needs:
            access = "%R" if needs[user] in (READ, WATCH) else ""
            allowed = (access, _commands(kind, needs[user]))
            found.setdefault(allowed, []).append(pattern_of(kind, user))
    return tuple(
        Rule(access, tuple(patterns), commands)
        for (access, commands), patterns in sorted(found.items())
    )


def _commands(kind: str, access: str) -> tuple[str, ...]:
    form = keys.type_of(kind)
    allowed = [*_LOOK, *_READ[form]]
    if access in (WRITE, CONSUME_AND_WRITE, REVIVE_AND_WRITE):
        allowed += _WRITE[form]
    if access in (CONSUME, CONSUME_AND_WRITE):
        allowed += _WORK_THROUGH
    if access in (WATCH, REVIVE, REVIVE_AND_WRITE):
        allowed += _SEE_WHAT_WAITS
    if access in (REVIVE, REVIVE_AND_WRITE):
        allowed += ["xclaim"]
    if access == DROP:
        allowed += ["xdel"]
    return tuple(sorted(set(allowed)))


def line_of(user: str, password: str) -> str:
    """The user's line of an ACL file; ``password`` is as Redis takes it, ``>…`` or ``#…``."""
    keyless = [*_KEYLESS, *(_OPERATORS if user == OPERATOR else ()), *_SCRIPTS]
    rules = rules_of(user)
    parts = [
        f"user {user} on {password} resetkeys resetchannels -@all",
        *(f"+{command}" for command in keyless),
    ]
    patterns = [pattern for rule in rules for pattern in rule.patterns]
    parts.append(f"({Rule('', tuple(patterns), _SCRIPTS).text})")
    return " ".join([*parts, *(f"({rule.text})" for rule in rules)])


def acl_file(passwords: Mapping[str, str], *, hashed: bool) -> str:
    """All users with their passwords, and nobody without one.

    Args:
        passwords: User → password, for each of ``USERS``.
        hashed: Whether the file holds only their hashes.
    """
    return "\n".join(_lines(passwords, hashed=hashed)) + "\n"


# Nobody is this user: it is off, and has no password. But while Redis 7.0 loads its append-only
# file it checks transactions against what this user may, and leaves out what it may not.
_NOBODY = "user default off resetpass ~* &* +@all"


def _lines(passwords: Mapping[str, str], *, hashed: bool) -> Iterator[str]:
    yield _NOBODY
    for user in USERS:
        password = passwords[user]
        shown = f"#{sha256(password.encode()).hexdigest()}" if hashed else f">{password}"
        yield line_of(user, shown)
