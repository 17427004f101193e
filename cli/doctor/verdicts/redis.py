"""Whether a Redis server is fit for the scanner. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cli.doctor.report import Finding, fail, ok, warn

# Of maxmemory, from which it should be raised.
_NEARLY_FULL = 0.9
_KEEP = "CONFIG SET {name} {value}, and in its redis.conf: {name} {value}"


@dataclass(frozen=True, slots=True)
class Server:
    """One server, or one node of a cluster.

    Attributes:
        name: How to tell it from others; empty where there is one.
        info: What it says of itself, by INFO's names.
        config: Some of its settings; empty where they may not be asked.
    """

    name: str
    info: Mapping[str, str]
    config: Mapping[str, str]

    @property
    def version(self) -> str:
        """Name and version, as it states them."""
        if valkey := self.info.get("valkey_version"):
            return f"Valkey {valkey}"
        return f"Redis {self.info.get('redis_version', '(version unknown)')}"

    def number(self, name: str) -> int:
        """A number of INFO, 0 where it is not told."""
        text = self.info.get(name, "")
        return int(text) if text.isdigit() else 0


def judge(server: Server) -> Iterator[Finding]:
    """All that is to be said of a server that answers and is new enough."""
    where = f"{server.name}: " if server.name else ""
    if not server.info:
        yield warn(
            "Redis settings",
            f"{where}it may not be asked for its settings (INFO is refused)",
            "make sure that it has appendonly yes and maxmemory-policy noeviction",
        )
    for finding in (_role(server), _persistence(server), _eviction(server), _memory(server)):
        if finding is not None:
            yield Finding(finding.level, finding.check, where + finding.what, finding.remedy)


def _role(server: Server) -> Finding | None:
    if server.info.get("role") == "slave":
        return fail("Redis role", "it is a replica", "point redis.url to its primary")
    return None


def _persistence(server: Server) -> Finding | None:
    info, check = server.info, "Redis AOF"
    if "aof_enabled" not in info:
        return None
    if info["aof_enabled"] == "0":
        return warn(
            check,
            "it has no append-only file: what came since its last snapshot is lost if it dies",
            _KEEP.format(name="appendonly", value="yes"),
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        return fail(
            check,
            "it could not write its append-only file, and refuses writes",
            "free some space on its disk, and see its log",
        )
    fsync = server.config.get("appendfsync", "")
    if fsync == "no":
        return warn(
            check,
            "it leaves it to the system when to write (appendfsync no): up to 30 s can be lost",
            _KEEP.format(name="appendfsync", value="everysec"),
        )
    return ok(check, f"it has an append-only file{f' (appendfsync {fsync})' if fsync else ''}")


def _eviction(server: Server) -> Finding | None:
    policy = server.info.get("maxmemory_policy", "")
    if not policy:
        return None
    if policy == "noeviction":
        return ok("Redis eviction", "it evicts nothing (maxmemory-policy noeviction)")
    remedy = _KEEP.format(name="maxmemory-policy", value="noeviction")
    if server.number("maxmemory") == 0:
        what = f"maxmemory-policy is {policy}; harmless only as long as maxmemory is 0"
        return warn("Redis eviction", what, remedy)
    what = f"it deletes what the scanner needs when its memory is full (maxmemory-policy {policy})"
    return fail("Redis eviction", what, remedy)


def _memory(server: Server) -> Finding | None:
    used, most = server.number("used_memory"), server.number("maxmemory")
    if "used_memory" not in server.info:
        return None
    if not most:
        return ok("Redis memory", f"{_mb(used)} used, without a limit of its own")
    what = f"{_mb(used)} of {_mb(most)} used"
    remedy = "raise maxmemory, or lower the streams.*_maxlen settings"
    if used >= most:
        return fail("Redis memory", f"it is full: {what}", remedy)
    if used > _NEARLY_FULL * most:
        return warn("Redis memory", f"it is nearly full: {what}", remedy)
    return ok("Redis memory", what)


def _mb(size: int) -> str:
    return f"{size / 1_048_576:.1f} MB"
