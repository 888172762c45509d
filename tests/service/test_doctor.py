"""What the doctor looks at: each thing that is not in order is found, with what mends it."""

import math
import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from models.bundle import layout
from models.bundle.reader import read_current_id
from models.bundle.writer import make_current
from service.cores import cores
from service.doctor import CHECKS, Finding, examine
from service.keys import Scope, create_key
from service.settings import Settings
from tests.support.commands import run
from tests.support.damage import change_tensors, flip_bit, reseal
from tests.support.deployment import ROOT, table_rows
from tests.support.redis import RedisServer, free_port
from tests.support.server import settings_for


@pytest.fixture
def settings(bundles: Path, tmp_path: Path, one_thread: None) -> Settings:
    """Settings with which all is in order."""
    return settings_for(bundles, tmp_path / "events.db", port=0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server.start()


def found(settings: Settings, subject: str) -> Finding:
    (finding,) = [one for one in examine(settings) if one.subject == subject]
    return finding


def assert_amiss(settings: Settings, subject: str, text: str, mend: str) -> None:
    """Assert that one thing is not in order, and all others are."""
    bad = [finding for finding in examine(settings) if not finding.good]
    assert [finding.subject for finding in bad] == [subject]
    assert text in bad[0].text
    assert mend in bad[0].mend


def changed(settings: Settings, **more: object) -> Settings:
    return settings.model_copy(update=more)


def folder(settings: Settings) -> Path:
    return settings.bundles / read_current_id(settings.bundles)


def test_all_is_in_order_at_first(settings: Settings) -> None:
    findings = examine(settings)
    assert [finding.subject for finding in findings] == list(CHECKS)
    assert [finding for finding in findings if not finding.good or finding.mend] == []
    told = found(settings, "bundle").text
    assert "60 videos and 20 users" in told
    assert "visual 64, acoustic 32, textual 48" in told


def test_every_check_is_in_the_documents() -> None:
    written = [row[0] for row in table_rows("configuration.md") if row[0] in CHECKS]
    assert written == list(CHECKS)


# The bundle


@pytest.mark.parametrize("name", layout.REQUIRED)
def test_a_flipped_bit_is_found_by_its_checksum(settings: Settings, name: str) -> None:
    flip_bit(folder(settings) / name, 1003)
    assert_amiss(settings, "bundle", name, "rollback")
    assert "SHA-256" in found(settings, "bundle").text


def test_no_bundle_at_all_is_mended_by_training(settings: Settings, tmp_path: Path) -> None:
    assert_amiss(changed(settings, bundles=tmp_path), "bundle", "CURRENT", "training fit")


def test_vectors_of_another_width_are_found(settings: Settings) -> None:
    videos = load_file(folder(settings) / layout.VECTORS)["videos"]
    change_tensors(folder(settings), layout.VECTORS, {"videos": videos[:, :-1]})
    make_current(settings.bundles, reseal(folder(settings)).name)
    width = videos.shape[1]
    assert_amiss(settings, "bundle", f"expected (60, {width})", "training fit")


def test_a_vector_that_is_not_of_length_1_is_found(settings: Settings) -> None:
    videos = load_file(folder(settings) / layout.VECTORS)["videos"].copy()
    videos[7] *= np.float32(1.5)
    change_tensors(folder(settings), layout.VECTORS, {"videos": videos})
    make_current(settings.bundles, reseal(folder(settings)).name)
    assert_amiss(settings, "bundle", "videos row 7 is 1.5000 long, expected 1", "training fit")


# The event log


def test_a_redis_that_keeps_what_it_promises_is_in_order(
    settings: Settings, server: RedisServer
) -> None:
    asked = changed(settings, event_log=server.url)
    assert found(asked, "event log") == Finding("event log", good=True, text="redis, head empty")


@pytest.mark.parametrize(
    ("bad", "mend", "text"),
    [
        ("maxmemory-policy allkeys-lru", "maxmemory-policy noeviction", "would drop events"),
        ("maxmemory-policy volatile-ttl", "maxmemory-policy noeviction", "volatile-ttl"),
        ("appendonly no", "appendonly yes", "a restart would lose"),
        ("appendfsync everysec", "appendfsync always", "appendfsync is everysec"),
        ("appendfsync no", "appendfsync always", "appendfsync is no"),
    ],
)
def test_a_redis_that_would_lose_events_is_found_and_its_mend_mends_it(
    settings: Settings, server: RedisServer, bad: str, mend: str, text: str
) -> None:
    asked = changed(settings, event_log=server.url)
    server.ask("CONFIG", "SET", *bad.split())
    assert_amiss(asked, "event log", text, f"CONFIG SET {mend}")
    server.ask("CONFIG", "SET", *mend.split())
    assert found(asked, "event log").good


def test_all_faults_of_a_redis_are_told_at_once(settings: Settings, server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.ask("CONFIG", "SET", "appendfsync", "everysec")
    finding = found(changed(settings, event_log=server.url), "event log")
    assert "maxmemory-policy is allkeys-lru" in finding.text
    assert "appendfsync is everysec" in finding.text
    assert "maxmemory-policy noeviction" in finding.mend
    assert "appendfsync always" in finding.mend


def test_a_redis_that_does_not_tell_is_not_said_to_be_in_order(
    settings: Settings, server: RedisServer
) -> None:
    server.ask("ACL", "SETUSER", "reco", "on", ">word", "~*", "&*", "+@all", "-config")
    url = server.url.replace("redis://", "redis://reco:word@")
    asked = changed(settings, event_log=url)
    assert_amiss(asked, "event log", "appendfsync is always cannot be asked", "+config|get")
    server.ask("ACL", "SETUSER", "reco", "+config|get")
    assert found(asked, "event log").good


def test_a_replica_of_a_redis_is_found(
    settings: Settings, server: RedisServer, tmp_path: Path
) -> None:
    with RedisServer(tmp_path / "other") as other:
        other.start().ask("REPLICAOF", "127.0.0.1", server.port)
        finding = found(changed(settings, event_log=other.url), "event log")
    assert not finding.good
    assert "it is a slave" in finding.text
    assert "primary" in finding.mend


def test_a_redis_that_is_not_there_is_found(settings: Settings) -> None:
    asked = changed(settings, event_log=f"redis://user:hunter2@127.0.0.1:{free_port()}/0")
    assert_amiss(asked, "event log", "127.0.0.1", "runs and can be reached")
    assert "hunter2" not in str(examine(asked))


def test_a_file_that_is_no_event_log_is_found(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"no database" * 1000)
    assert_amiss(settings, "event log", "events.db", "may write")


# The port


def test_a_port_that_is_taken_is_found(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        asked = changed(settings, port=taken.getsockname()[1])
        assert_amiss(asked, "port", "in use", "another RECO_PORT")


# Threads


def test_more_threads_than_cores_are_found(settings: Settings) -> None:
    asked = changed(settings, worker_threads=64)
    most = int(cores()) + 1
    assert_amiss(asked, "threads", "64 worker threads", f"RECO_WORKER_THREADS={most}")
    assert found(changed(settings, worker_threads=most), "threads").good


def test_more_processes_than_cores_are_found(settings: Settings) -> None:
    most = math.ceil(cores())
    asked = changed(settings, processes=most + 1, worker_threads=1)
    assert_amiss(asked, "threads", "more processes than cores", f"RECO_PROCESSES={most}")
    assert found(changed(asked, processes=most), "threads").good


@pytest.mark.skipif(cores() <= 1, reason="one core has one process")
def test_threads_of_all_processes_count(settings: Settings) -> None:
    most = math.ceil(cores())
    asked = changed(settings, processes=most, worker_threads=3)
    assert_amiss(asked, "threads", f"{most} processes with 3", "RECO_WORKER_THREADS=2")


def test_threads_of_libraries_count_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service", "doctor", "--bundles", str(tmp_path)]
    command += ["--event-log", f"sqlite:///{tmp_path}/e.db"]
    told = run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "16"}).stdout
    assert "FAIL  threads    2 worker threads of 16 each" in told
    assert "mend:      OMP_NUM_THREADS=1" in told


def plant(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    """Write /proc and /sys of a machine as a process finds them."""
    for name, text in {"proc/self/cgroup": cgroup, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"sys/fs/cgroup/a/cpu.max": "25000 100000\n"}, 0.25),
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": "max 1\n"}, None),
        ("0::/host/path\n", {"sys/fs/cgroup/cpu.max": "10000 100000\n"}, 0.1),
        (
            "4:cpu,cpuacct:/x\n3:memory:/x\n",
            {
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "75000\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            },
            0.75,
        ),
        (
            "4:cpu:/\n",
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ("", {}, None),
    ],
)
def test_the_share_of_a_cgroup_counts(
    tmp_path: Path, cgroup: str, files: dict[str, str], expected: float | None
) -> None:
    """Case 50: a container has the cores that its cgroup gives, not those of the machine."""
    free = cores(tmp_path / "nowhere")
    assert cores(plant(tmp_path, cgroup, files)) == (free if expected is None else expected)


# Access


def keys(settings: Settings, tmp_path: Path, *, days: int = 1) -> Settings:
    now = datetime.now(UTC)
    expires_at = now + timedelta(days=days)
    create_key(tmp_path / "keys", "feed", [Scope.READ], now=now, expires_at=expires_at)
    return changed(settings, api_keys=tmp_path / "keys")


def test_good_keys_are_counted(settings: Settings, tmp_path: Path) -> None:
    keys(settings, tmp_path)
    asked = changed(settings, api_keys=tmp_path / "keys", host="0.0.0.0")  # noqa: S104 - the point
    assert "1 API keys" in found(asked, "access").text
    assert found(asked, "access").good


def test_a_service_open_to_a_network_is_found(settings: Settings) -> None:
    asked = changed(settings, host="0.0.0.0")  # noqa: S104 - that is the point
    assert_amiss(asked, "access", "read, write and erase", "keys create")


def test_keys_that_are_not_there_or_no_good_are_found(settings: Settings, tmp_path: Path) -> None:
    asked = changed(settings, api_keys=tmp_path / "none")
    assert_amiss(asked, "access", "none", "keys create")
    expired = keys(settings, tmp_path, days=-1)
    assert_amiss(expired, "access", "none of 1 API keys", "keys create")


def test_keys_that_others_may_write_are_found(settings: Settings, tmp_path: Path) -> None:
    asked = keys(settings, tmp_path)
    (tmp_path / "keys").chmod(0o664)
    assert_amiss(asked, "access", "may write", f"chmod go-w {tmp_path}/keys")
