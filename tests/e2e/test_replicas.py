"""Several services behind one log: at one position they answer alike, byte for byte."""

import random
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.position import Place, place_of
from models.bundle.reader import read_current_id
from models.bundle.writer import make_current
from service.catalog import loading
from tests.support.asking import Asked, answers, asking
from tests.support.bundles import write_small_bundle
from tests.support.damage import reseal
from tests.support.redis import RedisServer
from tests.support.server import Api, Process, eventually, features, serving, settings_for
from tests.support.stories import Step, random_step, steps, tell

pytestmark = pytest.mark.e2e

REPLICAS = 3
# What the clocks of the three say, in seconds from the true time.
SKEWS = (0, 300, -300)
TRAINED = 60


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one bundle, to be copied."""
    root = tmp_path_factory.mktemp("trained")
    write_small_bundle(root)
    return root


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle of the same videos and users, with another network."""
    root = tmp_path_factory.mktemp("newer")
    return root / write_small_bundle(root, epochs=2)


def swap(root: Path, newer: Path) -> None:
    """Bring a bundle that has read nothing of the log, and make it current."""
    shutil.copytree(newer, root / newer.name)
    make_current(root, newer.name)


def serves(replica: Asked, bundle_id: str) -> bool:
    return bool(replica.request("GET", "/v1/model").json()["bundle_id"] == bundle_id)


def assert_alike(replicas: list[Asked], position: str) -> dict[str, bytes]:
    first, *others = [answers(replica, position) for replica in replicas]
    for other in others:
        assert other == first
    return first


# In one process: any story


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    story=st.lists(steps(REPLICAS), min_size=20, max_size=60), at_once=st.sampled_from([1, 2, 7])
)
def test_replicas_agree_whatever_was_told_and_when_they_learnt_of_it(
    trained: Path,
    newer: Path,
    tmp_path_factory: pytest.TempPathFactory,
    story: list[Step],
    at_once: int,
) -> None:
    folder = tmp_path_factory.mktemp("story")
    root = Path(shutil.copytree(trained, folder / "bundles"))
    wanted, last = settings_for(root, folder / "events.db"), ""
    with ExitStack() as stack:
        replicas: list[Asked] = [stack.enter_context(Api(wanted)).ready() for _ in range(REPLICAS)]
        for step in story:
            last = tell(replicas[step.replica], step, last)
        before = assert_alike(replicas, last)
        # One that starts now reads it all at once, another one in small pieces.
        replicas.append(stack.enter_context(Api(wanted)).ready())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loading, "READ_LIMIT", at_once)
            replicas.append(stack.enter_context(Api(wanted)).ready())
        assert assert_alike(replicas, last) == before
        swap(root, newer)
        eventually(lambda: all(serves(replica, newer.name) for replica in replicas))
        replicas.append(stack.enter_context(Api(wanted)).ready())
        assert assert_alike(replicas, last) != before


def test_an_erased_user_is_gone_everywhere_and_no_restart_or_older_bundle_brings_them_back(
    trained: Path, newer: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(trained, tmp_path / "bundles"))
    wanted = settings_for(root, tmp_path / "events.db")
    with Api(wanted) as writer, Api(wanted) as other:
        replicas = [writer.ready(), other.ready()]
        users = ["user-00003", "newcomer"]
        assert all(writer.met(user, "like", "video-00002").is_success for user in users)
        sources = [listed(writer, user, "")[0]["source"] for user in users]
        assert sources == ["personal", "fold_in"]
        last = [other.erase(user).json()["position"] for user in users][-1]
        # The newer bundle was trained on their interactions: it has vectors of them.
        for swapped in (False, True):
            if swapped:
                swap(root, newer)
                eventually(lambda: all(serves(replica, newer.name) for replica in replicas))
            with Api(wanted) as restarted:
                for replica in (*replicas, restarted.ready()):
                    stranger = listed(replica, "stranger", last)
                    assert {place["source"] for place in stranger} == {"popular", "fresh"}
                    for user in users:
                        assert listed(replica, user, last) == stranger


def listed(replica: Api, user: str, position: str) -> list[dict[str, str]]:
    path = f"/v1/users/{user}/recommendations?k=500&min_position={position}"
    found: list[dict[str, str]] = replica.get(path).json()["recommendations"]
    return found


# In processes behind one Redis, with clocks that are minutes apart


class Fleet(NamedTuple):
    """Three services, their bundles and their Redis."""

    replicas: list[Asked]
    bundles: Path
    redis: RedisServer


@contextmanager
def replica_of(
    bundles: Path, redis: RedisServer, folder: Path, *, skew: int = 0, bundle_poll: float = 0.1
) -> Iterator[tuple[Process, httpx.Client]]:
    """Serve with a clock that is wrong by `skew` seconds."""
    folder.mkdir(exist_ok=True)
    # Python runs this file before all else.
    (folder / "sitecustomize.py").write_text(
        f"import time\ntrue = time.time\ntime.time = lambda: true() + {skew}\n", "utf-8"
    )
    env = {"PYTHONPATH": str(folder), "RECO_BUNDLE_POLL_SECONDS": str(bundle_poll)}
    flags = ["--bundles", str(bundles), "--event-log", redis.url]
    with serving(*flags, env=env) as process, asking(process.url) as http:
        eventually(lambda: http.get("/readyz").status_code == 200)
        yield process, http


@pytest.fixture(scope="module")
def fleet(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    bundles = Path(shutil.copytree(trained, folder / "bundles"))
    with RedisServer(folder / "redis") as redis, ExitStack() as stack:
        redis.start()
        replicas: list[Asked] = []
        for skew in SKEWS:
            made = replica_of(bundles, redis, folder / f"{skew}", skew=skew)
            _, http = stack.enter_context(made)
            replicas.append(http)
        yield Fleet(replicas, bundles, redis)


def test_their_clocks_are_minutes_apart(fleet: Fleet) -> None:
    started = [metric(replica, "reco_bundle_refusals_created") for replica in fleet.replicas]
    apart = [moment - started[0] for moment in started]
    assert apart == pytest.approx(SKEWS, abs=60)


def metric(replica: Asked, name: str) -> float:
    text = replica.request("GET", "/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_what_one_replica_has_acknowledged_every_other_one_shows_at_its_position(
    fleet: Fleet,
) -> None:
    """Cases 21 and 38."""
    for number in range(30):
        writer = fleet.replicas[number % REPLICAS]
        name = f"own-{number}"
        put = writer.request("PUT", f"/v1/videos/{name}", json={"features": features(number)})
        position = put.json()["position"]
        for reader in fleet.replicas:
            path = f"/v1/videos/{name}/similar?k=3&min_position={position}"
            assert reader.request("GET", path).status_code == 200
    for number in range(30):
        gone = fleet.replicas[number % REPLICAS].request("DELETE", f"/v1/videos/own-{number}")
        path = f"/v1/videos/own-{number}?min_position={gone.json()['position']}"
        assert {reader.request("GET", path).status_code for reader in fleet.replicas} == {404}


def test_a_write_sent_again_to_another_replica_is_recorded_once(fleet: Fleet) -> None:
    length = fleet.redis.ask("XLEN", "{reco}:events")
    key, body = {"idempotency-key": "one"}, {"features": features(1)}
    sent = [r.request("PUT", "/v1/videos/once", json=body, headers=key) for r in fleet.replicas]
    assert len({response.json()["position"] for response in sent}) == 1
    assert fleet.redis.ask("XLEN", "{reco}:events") == length + 1


def test_a_long_story_leaves_replicas_alike_whatever_their_clocks_say(
    fleet: Fleet, newer: Path, tmp_path: Path
) -> None:
    """Cases 32 and 38."""
    rng, last = random.Random(5), ""
    for _ in range(250):
        step = random_step(rng, REPLICAS)
        last = tell(fleet.replicas[step.replica], step, last)
    before = assert_alike(fleet.replicas, last)
    with replica_of(fleet.bundles, fleet.redis, tmp_path / "late", skew=3600) as (_, late):
        replicas = [*fleet.replicas, late]
        assert assert_alike(replicas, last) == before
        swap(fleet.bundles, newer)
        eventually(lambda: all(serves(replica, newer.name) for replica in replicas))
        assert assert_alike(replicas, last) != before
    for replica in fleet.replicas:
        assert metric(replica, "reco_ingest_to_visible_seconds_count") > 0
        assert metric(replica, "reco_ingest_to_visible_seconds_sum") >= 0
        assert metric(replica, "reco_events_quarantined_total") == 0


# One that stood still while the others went on


def test_a_replica_that_slept_through_a_newer_bundle_and_a_trimmed_log_begins_anew(
    trained: Path, tmp_path: Path
) -> None:
    bundles = Path(shutil.copytree(trained, tmp_path / "bundles"))
    with (
        RedisServer(tmp_path / "redis") as redis,
        replica_of(bundles, redis.start(), tmp_path / "a") as (_, awake),
        # It would look for bundles much later: the log must tell it.
        replica_of(bundles, redis, tmp_path / "b", bundle_poll=600) as (process, sleeper),
    ):
        first = awake.put("/v1/videos/a", json={"features": features(1)}).json()["position"]
        assert sleeper.get(f"/v1/videos/a?min_position={first}").status_code == 200
        process._child.send_signal(signal.SIGSTOP)
        for name in ("b%2Fc", "d", "e"):
            last = awake.put(f"/v1/videos/{name}", json={"features": features(2)}).json()
        old = read_current_id(bundles)
        copied = Path(shutil.copytree(bundles / old, bundles / "made"))
        read_to = Place(place_of(first).epoch, 3).position
        make_current(bundles, reseal(copied, log_position=read_to).name)
        shutil.rmtree(bundles / old)
        eventually(lambda: redis.ask("XLEN", "{reco}:events") == 1)
        process._child.send_signal(signal.SIGCONT)
        eventually(lambda: metric(sleeper, "reco_event_log_losses_total") == 1)
        eventually(lambda: sleeper.get("/readyz").status_code == 200)
        expected = assert_alike([awake, sleeper], last["position"])
        assert b'"e"' in expected["/v1/users/stranger/recommendations?k=500"]
        assert sleeper.get("/v1/model").json()["videos"] == TRAINED + 1
