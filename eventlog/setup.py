"""What in the setup of a Redis server would break a promise of ours. Knows its answers; asks none.

The reasons are in docs/adr/0012-event-log.md.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

OLDEST: Final = (6, 2)


class Doubt(NamedTuple):
    """A promise that would not be kept, and what mends it."""

    fault: str
    mend: str


def doubts_about(info: Mapping[str, Any], appendfsync: str | None) -> list[Doubt]:
    """Return what is wrong with a server by its INFO and `appendfsync`, None if it does not tell.

    Of what a server does not say nothing is held against it: others speak the protocol too.
    """
    doubts = []
    version = str(info.get("redis_version", ""))
    if _numbers(version) < OLDEST:
        doubts.append(Doubt(f"Redis is {version}", "run 6.2 or later, or Valkey"))
    if info.get("role", "master") != "master":
        doubts.append(Doubt(f"it is a {info['role']}", "name the primary in RECO_EVENT_LOG"))
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        fault = f"maxmemory-policy is {policy}: a full server would drop events"
        doubts.append(Doubt(fault, _set("maxmemory-policy", "noeviction")))
    if not int(info.get("aof_enabled", 1)):
        fault = "appendonly is no: a restart would lose what was acknowledged"
        doubts.append(Doubt(fault, _set("appendonly", "yes")))
    elif info.get("aof_last_write_status", "ok") != "ok":
        fault = "the last write to the append-only file failed"
        doubts.append(Doubt(fault, "see to room and rights on the server's disk"))
    if appendfsync is None:
        fault = "whether appendfsync is always cannot be asked"
        mend = "let this user ask (ACL SETUSER … +config|get), or see to it yourself"
        doubts.append(Doubt(fault, mend))
    elif appendfsync != "always":
        fault = f"appendfsync is {appendfsync}: the server's machine may die with what it promised"
        doubts.append(Doubt(fault, _set("appendfsync", "always")))
    return doubts


def _set(name: str, value: str) -> str:
    return f"CONFIG SET {name} {value}, and the same in redis.conf"


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:2]
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else OLDEST
