"""The images, built and run: they train, serve, say how they are, and end when asked to."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.containers import built, container, state, told
from tests.support.server import eventually

VOLUME = "metammf-image-test"
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--memory", "2g")  # noqa: S108
STOP_SECONDS = 5
pytestmark = [pytest.mark.e2e, pytest.mark.engine]


@pytest.fixture(scope="module")
def bundles() -> Iterator[str]:
    """A volume with a bundle in it, made by the trainer's image."""
    image = built("trainer")
    told("volume", "create", VOLUME)
    script = "python -m training synth /tmp/s && python -m training fit /tmp/s --out /bundles"
    command = [*HARDENED, "--volume", f"{VOLUME}:/bundles", "--entrypoint", "sh", image, "-euc"]
    told("run", "--rm", "--network", "none", *command, f"{script} --set max_epochs=2", seconds=300)
    yield VOLUME
    told("volume", "rm", "--force", VOLUME)


@pytest.fixture(scope="module")
def server(bundles: str) -> Iterator[str]:
    """A container of the server's image that is healthy."""
    mounts = ("--volume", f"{bundles}:/bundles:ro", "--tmpfs", "/events:uid=10001")
    options = (*HARDENED, *mounts, "--publish", "127.0.0.1::8000")
    with container(*options, built("server")) as started:
        eventually(lambda: state(started)["Health"]["Status"] == "healthy", within=60)
        yield started


def url(started: str) -> str:
    return f"http://{told('port', started, '8000/tcp').split()[0]}"


def test_a_healthy_server_answers(server: str) -> None:
    answer = httpx.get(f"{url(server)}/v1/users/user-00000/recommendations?k=5")
    assert answer.status_code == 200
    assert len(answer.json()["recommendations"]) == 5


def test_the_server_is_the_first_process_and_nobody_s_root(server: str) -> None:
    assert told("exec", server, "cat", "/proc/1/comm").strip().startswith("python")
    assert told("exec", server, "id", "-u").strip() == "10001"


def test_an_image_says_what_it_is() -> None:
    for target in ("server", "trainer"):
        labels = json.loads(told("inspect", built(target)))[0]["Config"]["Labels"]
        assert labels["org.opencontainers.image.title"].endswith(target)
        assert {"org.opencontainers.image.version", "org.opencontainers.image.description"} <= set(
            labels
        )


def test_a_server_without_a_bundle_is_unhealthy_and_goes_on_waiting() -> None:
    with container(*HARDENED, "--tmpfs", "/events:uid=10001", built("server")) as started:
        ask = "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000); "
        ask += "c.request('GET', '/readyz'); print(c.getresponse().status)"
        # Until it listens there is nobody to say so.
        probe = ("exec", started, "sh", "-c", f'python -c "{ask}" 2> /dev/null || true')
        eventually(lambda: told(*probe).strip() == "503", within=60)
        assert state(started)["Health"]["Status"] != "healthy"
        assert state(started)["Running"]


def test_a_stop_ends_it_well_and_soon(bundles: str) -> None:
    mounts = ("--volume", f"{bundles}:/bundles:ro", "--tmpfs", "/events:uid=10001")
    with container(*HARDENED, *mounts, built("server")) as started:
        eventually(lambda: state(started)["Health"]["Status"] == "healthy", within=60)
        before = time.monotonic()
        told("stop", "--time", "20", started)
        assert time.monotonic() - before < STOP_SECONDS
        assert state(started)["ExitCode"] == 0
