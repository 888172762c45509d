"""docker-compose.yml, brought up: two replicas, and nothing lost whoever is restarted."""

import math
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.containers import Project, built, state, told
from tests.support.door import Door
from tests.support.monitoring import queries
from tests.support.redis import free_port
from tests.support.server import eventually
from tests.support.traffic import traffic

UP_SECONDS = 300
# Four scrapes of what prometheus.yml asks for.
WINDOW = "40s"
pytestmark = [pytest.mark.e2e, pytest.mark.engine, pytest.mark.timeout(900)]


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
        up(project)
        yield project
    finally:
        project.compose("--profile", "keys", "down", "--volumes", "--timeout", "20")


@pytest.fixture
def door(ports: dict[str, str]) -> Door:
    return Door(int(ports["PORT"]))


def up(project: Project) -> None:
    project.compose("up", "--detach", "--wait", "--no-build", seconds=UP_SECONDS)


def healthy(container: str) -> bool:
    """Tell whether a container runs and is well."""
    found = state(container)
    return bool(found["Running"]) and found["Health"]["Status"] == "healthy"


def samples(ports: dict[str, str], query: str) -> list[float]:
    """Return the values that Prometheus finds."""
    url = f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}/api/v1/query"
    reply = httpx.get(url, params={"query": query}).json()
    assert reply["status"] == "success", reply
    return [float(one["value"][1]) for one in reply["data"]["result"]]


def test_two_replicas_answer_and_what_one_is_sent_both_know(project: Project, door: Door) -> None:
    replicas = project.containers("server")
    assert len(replicas) == 2
    assert httpx.get(door.lists(0)).status_code == 200
    position = door.put("new")
    ask = (
        "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8000); "
        f"c.request('GET', '/v1/videos/new?min_position={position}'); "
        "print(c.getresponse().status)"
    )
    for replica in replicas:
        assert told("exec", replica, "python", "-c", ask).strip() == "200"


def test_the_balancer_hands_on_what_a_request_is_called(project: Project, door: Door) -> None:
    assert project.containers("balancer")
    answer = httpx.get(door.lists(0), headers={"x-request-id": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    assert httpx.get(door.lists(0)).headers["x-request-id"]


def test_prometheus_sees_every_replica_and_how_training_went(
    project: Project, ports: dict[str, str]
) -> None:
    assert project.containers("prometheus")
    eventually(lambda: samples(ports, 'up{job="recommender"}') == [1, 1], within=60)
    eventually(lambda: samples(ports, "reco_training_succeeded") == [1], within=60)


def test_every_panel_has_data_of_both_replicas(
    project: Project, ports: dict[str, str], door: Door
) -> None:
    assert project.containers("prometheus")
    waiting = {asked.expr: asked for asked in queries(WINDOW)}
    with traffic(door.url):

        def answered() -> bool:
            for expr in list(waiting):
                if any(math.isfinite(value) for value in samples(ports, expr)):
                    del waiting[expr]
            time.sleep(1)
            return not waiting

        until = time.monotonic() + 120
        while not answered() and time.monotonic() < until:
            pass
    assert list(waiting.values()) == []
    lists = 'http_requests_total{route="/v1/users/{user_id}/recommendations"}'
    assert len(samples(ports, f"sum by (instance) ({lists})")) == 2


def test_the_log_keeps_strangers_out_and_forgets_nothing(project: Project) -> None:
    (redis,) = project.containers("redis")
    assert "NOAUTH" in told("exec", redis, "redis-cli", "ping")
    ask = 'redis-cli --no-auth-warning -a "$(cut -d" " -f2 /secrets/redis.conf)" config get'
    for name, value in (("maxmemory-policy", "noeviction"), ("appendfsync", "always")):
        assert value in told("exec", redis, "sh", "-c", f"{ask} {name}").split()


def test_a_rolling_restart_fails_no_request(project: Project, door: Door) -> None:
    with door.asked(writing=True):
        for replica in project.containers("server"):
            told("restart", "--time", "20", replica, seconds=60)
            eventually(lambda one=replica: healthy(one), within=60)  # type: ignore[misc] # bound now
            time.sleep(3)  # the balancer has looked again
    assert door.failed == []
    assert door.answered > 500
    assert len(door.written) > 50
    assert [one for one in door.written if not door.knows(one)] == []


def test_a_replica_that_dies_fails_no_reader(project: Project, door: Door) -> None:
    first, _ = project.containers("server")
    with door.asked(writing=False):
        time.sleep(1)
        told("kill", first)
        time.sleep(5)
    assert door.failed == []
    assert door.answered > 200
    told("start", first)
    eventually(lambda: healthy(first), within=60)


def test_down_and_up_loses_nothing(project: Project, door: Door) -> None:
    door.put("kept")
    project.compose("down", "--timeout", "20")
    up(project)
    assert door.knows("kept")


def test_with_keys_nobody_is_answered_without_one(
    project: Project, ports: dict[str, str], door: Door
) -> None:
    printed = project.compose("run", "--rm", "keys", "create", "feed", "--scope", "read")
    (token,) = re.findall(r"reco_\S+", printed)
    guarded = Project(project.name, {**ports, "KEYS": "keys"})
    up(guarded)
    assert httpx.get(door.lists(0)).status_code == 401
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.get(door.lists(0), headers=headers).status_code == 200
    guarded.compose("run", "--rm", "keys", "revoke", "feed")
    # Without a restart: the servers look at the folder, not at the file that was there.
    eventually(lambda: httpx.get(door.lists(0), headers=headers).status_code == 401, within=20)
