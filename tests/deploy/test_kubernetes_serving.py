"""The server runs on what an overlay gives its pod, and answers as the kubelet probes it."""

import contextlib
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.keys import Scope, create_key
from tests.support.asking import asking
from tests.support.bundles import write_small_bundle
from tests.support.cluster import OVERLAYS, pods, secret_settings, server, settings
from tests.support.redis import RedisServer
from tests.support.server import Process, eventually, serving

pytestmark = pytest.mark.e2e
PASSWORD = "drawn by the test"  # noqa: S105 - it guards nothing
FILE = "keys.json"


def mounted(folder: Path) -> None:
    """Lay out what the pods mount, below `folder`."""
    for name in ("bundles", "events", "keys"):
        (folder / name).mkdir()


def put_secret(folder: Path, name: str, version: str) -> Path:
    """Return where a file of the next version of a Secret goes that is mounted at `folder`."""
    (folder / f"..{version}").mkdir()
    return folder / f"..{version}" / name


def publish(folder: Path, name: str, version: str) -> None:
    """Make a version the one that is seen, by rename of a link, as the kubelet does."""
    (folder / "..data_tmp").symlink_to(f"..{version}")
    (folder / "..data_tmp").rename(folder / "..data")
    if not (folder / name).exists():
        (folder / name).symlink_to(f"..data/{name}")


@contextlib.contextmanager
def pod(overlay: str, folder: Path) -> Iterator[Process]:
    """Run the server with the environment of its container, on loopback and in `folder`."""
    given = dict(settings(overlay))
    with contextlib.ExitStack() as stack:
        if secret_settings(server(overlay)):
            redis = RedisServer(folder / "redis", "--requirepass", PASSWORD)
            redis.password = PASSWORD
            stack.enter_context(redis).start()
            word = PASSWORD.replace(" ", "%20")
            given["RECO_EVENT_LOG"] = redis.url.replace("//", f"//:{word}@")
        paths = "|".join(mount["mountPath"] for mount in server(overlay)["volumeMounts"])
        given = {k: re.sub(rf"({paths})\b", rf"{folder}\1", v, count=1) for k, v in given.items()}
        given |= {"RECO_HOST": "127.0.0.1", "RECO_BUNDLE_POLL_SECONDS": "0.05"}
        yield stack.enter_context(serving(env=given))


def probed(client: httpx.Client, overlay: str, probe: str) -> int:
    asked = server(overlay)[f"{probe}Probe"]
    timeout = asked["timeoutSeconds"]
    return client.get(asked["httpGet"]["path"], timeout=timeout).status_code


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_is_alive_ready_once_there_is_a_bundle_and_ends_in_time(
    overlay: str, tmp_path: Path
) -> None:
    mounted(tmp_path)
    keys = put_secret(tmp_path / "keys", FILE, "1")
    create_key(keys, "feed", [Scope.READ], now=datetime.now(UTC), expires_at=None)
    publish(tmp_path / "keys", FILE, "1")
    with pod(overlay, tmp_path) as process, asking(process.url) as client:
        assert probed(client, overlay, "startup") == 200
        assert probed(client, overlay, "readiness") == 503
        assert probed(client, overlay, "liveness") == 200
        write_small_bundle(tmp_path / "bundles")
        eventually(lambda: probed(client, overlay, "readiness") == 200)
        began = time.monotonic()
        assert process.signal(signal.SIGTERM) == 0
        left = pods(overlay)["server"].spec["terminationGracePeriodSeconds"]
        left -= server(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert time.monotonic() - began < left


def test_a_key_is_needed_and_a_changed_secret_is_seen_without_a_restart(tmp_path: Path) -> None:
    mounted(tmp_path)
    write_small_bundle(tmp_path / "bundles")
    tokens = {}
    for version in ("1", "2"):
        keys = put_secret(tmp_path / "keys", FILE, version)
        now = datetime.now(UTC)
        tokens[version] = create_key(keys, "feed", [Scope.READ], now=now, expires_at=None)
    publish(tmp_path / "keys", FILE, "1")

    def status(version: str) -> int:
        headers = {"authorization": f"Bearer {tokens[version]}"}
        return client.get("/v1/model", headers=headers).status_code

    with pod("prod", tmp_path) as process, asking(process.url) as client:
        process.wait_for("(Ready)")
        assert client.get("/v1/model").status_code == 401
        assert client.get("/metrics").status_code == 200
        assert (status("1"), status("2")) == (200, 401)
        publish(tmp_path / "keys", FILE, "2")
        eventually(lambda: (status("1"), status("2")) == (401, 200))
        assert PASSWORD not in process.output
