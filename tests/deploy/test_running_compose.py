"""docker-compose.yml, brought up: two replicas, and nothing lost whoever is restarted."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.containers import Project, built, state, told
from tests.support.redis import free_port
from tests.support.server import eventually, features

UP_SECONDS = 300
CLIENTS = 4
USERS = 20
pytestmark = [pytest.mark.e2e, pytest.mark.engine, pytest.mark.timeout(900)]


class Door:
    """What the balancer of a project says, and how many requests have failed."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.answered = 0
        self.failed: list[str] = []

    def lists(self, user: int) -> str:
        """Return where the list of a user of the sample is."""
        return f"{self.url}/v1/users/user-{user:05d}/recommendations"

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Have clients that keep their connections ask for lists until the block ends."""
        ended, lock = threading.Event(), threading.Lock()

        def ask(number: int) -> None:
            with httpx.Client(timeout=10) as client:
                while not ended.is_set():
                    try:
                        answer = client.get(self.lists(number % USERS))
                        fault = "" if answer.status_code == 200 else f"{answer.status_code}"
                    except httpx.HTTPError as error:
                        fault = repr(error)
                    with lock:
                        self.answered += 1
                        self.failed += [fault] if fault else []
                    number += 1
                    time.sleep(0.01)

        clients = [threading.Thread(target=ask, args=(place,)) for place in range(CLIENTS)]
        for one in clients:
            one.start()
        try:
            yield
        finally:
            ended.set()
            for one in clients:
                one.join()


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    names = ("PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")
    return {name: str(free_port()) for name in names}


@pytest.fixture(scope="module")
def project(ports: dict[str, str]) -> Iterator[Project]:
    """The project, up and healthy; its volumes go with it."""
    for target in ("server", "trainer"):
        built(target)
    project = Project("metammf-compose-test", ports)
    try:
        project.compose("up", "--detach", "--wait", "--no-build", seconds=UP_SECONDS)
        yield project
    finally:
        project.compose("down", "--volumes", "--timeout", "20")


@pytest.fixture
def door(ports: dict[str, str]) -> Door:
    return Door(int(ports["PORT"]))


def healthy(container: str) -> bool:
    """Tell whether a container runs and is well."""
    found = state(container)
    return bool(found["Running"]) and found["Health"]["Status"] == "healthy"


def series(ports: dict[str, str], query: str) -> list[float]:
    """Return the values that Prometheus finds."""
    url = f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}/api/v1/query"
    found = httpx.get(url, params={"query": query}).json()["data"]["result"]
    return [float(one["value"][1]) for one in found]


def put(door: Door, video_id: str) -> str:
    """Send a video through the balancer and return its position in the log."""
    body = {"features": features(7)}
    answer = httpx.put(f"{door.url}/v1/videos/{video_id}", json=body, timeout=20)
    assert answer.status_code == 201, answer.text
    position: str = answer.json()["position"]
    return position


def test_two_replicas_answer_and_what_one_is_sent_both_know(project: Project, door: Door) -> None:
    replicas = project.containers("server")
    assert len(replicas) == 2
    assert httpx.get(door.lists(0)).status_code == 200
    position = put(door, "new")
    ask = (
        "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8000); "
        f"c.request('GET', '/v1/videos/new?min_position={position}'); "
        "print(c.getresponse().status)"
    )
    for replica in replicas:
        assert told("exec", replica, "python", "-c", ask).strip() == "200"


def test_prometheus_sees_every_replica_and_how_training_went(
    project: Project, ports: dict[str, str]
) -> None:
    assert project.containers("prometheus")
    eventually(lambda: series(ports, 'up{job="recommender"}') == [1, 1], within=60)
    eventually(lambda: series(ports, "reco_training_succeeded") == [1], within=60)


def test_the_log_keeps_strangers_out_and_forgets_nothing(project: Project) -> None:
    (redis,) = project.containers("redis")
    assert "NOAUTH" in told("exec", redis, "redis-cli", "ping")
    ask = 'redis-cli --no-auth-warning -a "$(cut -d" " -f2 /secrets/redis.conf)" config get'
    for name, value in (("maxmemory-policy", "noeviction"), ("appendfsync", "always")):
        assert value in told("exec", redis, "sh", "-c", f"{ask} {name}").split()


def test_a_rolling_restart_fails_no_request(project: Project, door: Door) -> None:
    with door.asked():
        for replica in project.containers("server"):
            told("restart", "--time", "20", replica, seconds=60)
            eventually(lambda one=replica: healthy(one), within=60)  # type: ignore[misc] # bound now
            time.sleep(3)  # the balancer has looked again
    assert door.answered > 500
    assert door.failed == []


def test_a_replica_that_dies_fails_no_reader(project: Project, door: Door) -> None:
    first, _ = project.containers("server")
    with door.asked():
        time.sleep(1)
        told("kill", first)
        time.sleep(5)
    assert door.answered > 200
    assert door.failed == []
    told("start", first)
    eventually(lambda: healthy(first), within=60)


def test_down_and_up_loses_nothing(project: Project, door: Door) -> None:
    put(door, "kept")
    project.compose("down", "--timeout", "20")
    project.compose("up", "--detach", "--wait", "--no-build", seconds=UP_SECONDS)
    answer = httpx.get(f"{door.url}/v1/videos/kept")
    assert answer.status_code == 200, answer.text
