"""Whatever JSON comes: never a 5xx, and accepted means recorded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.position import START, Position
from models.modality import MODALITIES
from tests.support.server import WIDTHS, Api, settings_for

TEXTS = st.text(st.characters(), max_size=8)  # lone surrogates too
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**30), 1e39, 2**63, 2**64])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
)
FLOATS = st.floats(-1e4, 1e4, width=32)


def _row(width: int) -> st.SearchStrategy[list[float]]:
    few = st.lists(FLOATS | NUMBERS, min_size=2, max_size=3)
    return few.map(lambda numbers: (numbers * width)[:width])


ROWS = {name: _row(width) for name, width in WIDTHS.items()}
FEATURES = st.fixed_dictionaries({}, optional=dict(ROWS)) | st.dictionaries(
    st.sampled_from(MODALITIES) | TEXTS, ANYTHING, max_size=3
)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXTS | SCALARS,
        "tags": st.lists(TEXTS, max_size=3) | ANYTHING,
        "uploader": TEXTS | SCALARS,
        "published_at": st.datetimes().map(str) | st.datetimes().map(lambda d: f"{d}Z") | TEXTS,
    },
)
VIDEOS = st.fixed_dictionaries({"features": FEATURES}, optional={"metadata": METADATA})
IDS = st.sampled_from(["user-00000", "video-00001", "x"]) | TEXTS
INTERACTIONS = st.fixed_dictionaries(
    {"user_id": IDS, "video_id": IDS, "kind": st.sampled_from(["view", "like"]) | SCALARS},
    optional={"timestamp": NUMBERS | st.datetimes().map(lambda d: f"{d}Z") | TEXTS},
)
PATIENT = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@pytest.fixture(scope="module")
def fuzzed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with Api(settings_for(trained, tmp_path_factory.mktemp("fuzz") / "events.db")) as api:
        yield api.ready()


def send(api: Api, method: str, path: str, body: Any) -> tuple[int, int, dict[str, Any]]:
    """Return the status, the number of events it recorded, and the reply, which is strict JSON."""
    before = api.head()
    headers = {"content-type": "application/json"}
    response = api.request(method, path, content=json.dumps(body).encode(), headers=headers)
    reply: dict[str, Any] = json.loads(response.text, parse_constant=pytest.fail)
    recorded = api.entries(Position(before or START), 2000)
    return response.status_code, len(recorded), reply


@PATIENT
@given(body=VIDEOS | ANYTHING)
def test_any_video_is_recorded_or_refused(fuzzed: Api, body: Any) -> None:
    status, recorded, _ = send(fuzzed, "PUT", "/v1/videos/fuzz", body)
    assert (status, recorded) in {(201, 1), (200, 1), (422, 0)}
    if recorded:
        places = fuzzed.similar("fuzz", 5) + fuzzed.recommend("user-00001", 5)
        assert all(abs(place["score"]) < 1e6 for place in places)


@PATIENT
@given(body=st.lists(INTERACTIONS, max_size=3).map(lambda rows: {"interactions": rows}) | ANYTHING)
def test_any_interactions_are_recorded_or_refused(fuzzed: Api, body: Any) -> None:
    status, recorded, reply = send(fuzzed, "POST", "/v1/interactions", body)
    if status == 202:
        assert recorded == reply["accepted"] == len(body["interactions"])
    else:
        assert (status, recorded) == (422, 0)


@PATIENT
@given(body=st.lists(VIDEOS | ANYTHING, max_size=3).map(lambda rows: {"videos": rows}) | ANYTHING)
def test_any_batch_records_what_it_says_it_did(fuzzed: Api, body: Any) -> None:
    for row in body.get("videos") or [] if isinstance(body, dict) else []:
        if isinstance(row, dict) and "features" in row:
            row.setdefault("video_id", "fuzz")
    status, recorded, reply = send(fuzzed, "POST", "/v1/videos:batch", body)
    if status == 200:
        assert recorded == sum(result["status"] < 300 for result in reply["results"])
        assert len(reply["results"]) == len(body["videos"])
    else:
        assert (status, recorded) == (422, 0)


@PATIENT
@given(raw=st.binary(max_size=40))
def test_any_bytes_are_refused(fuzzed: Api, raw: bytes) -> None:
    before = fuzzed.head()
    assert fuzzed.put_raw("/v1/videos/bytes", raw).status_code == 422
    assert fuzzed.head() == before


@PATIENT
@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), k=TEXTS)
def test_any_id_and_any_query_are_answered(fuzzed: Api, name: str, k: str) -> None:
    query = quote(k.encode("utf-8", "surrogatepass"))
    path = f"/v1/users/{quote(name, safe='').replace('.', '%2E')}/recommendations?k={query}"
    assert fuzzed.get(path).status_code in {200, 422}
