"""Every operation against a real service, by both clients; and nothing of the API left out."""

import array
import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import pytest

from client import (
    AsyncClient,
    Client,
    Interaction,
    Problem,
    RejectedLine,
    Video,
    encode_numbers,
    models,
    options,
)
from client.importing import PATH
from service.app import create_app
from service.settings import Settings
from tests.support.bundles import write_small_bundle
from tests.support.clients import Way, connected
from tests.support.server import features, serving

pytestmark = pytest.mark.e2e

WAYS: list[Way] = ["waiting", "asyncio"]
# What a client has no use for: probes, scrapers, pages.
NOT_OURS = {"/livez", "/readyz", "/metrics", "/console", "/console/{name}"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("client")
    write_small_bundle(root / "bundles")
    log = f"sqlite:///{root}/events.db"
    with serving("--bundles", str(root / "bundles"), "--event-log", log) as process:
        process.wait_for(r"Ready: bundle (\S+)\.")
        yield process.url


@pytest.fixture(params=WAYS)
def client(request: pytest.FixtureRequest, url: str) -> Iterator[Client]:
    with connected(request.param, url) as client:
        yield client


def test_a_video_lives_from_put_to_delete(client: Client) -> None:
    written = client.put_video("a/b?.", features(1), {"title": "t", "tags": ["x"]})
    assert (written.video_id, bool(written.position)) == ("a/b?.", True)
    known = client.video("a/b?.", vector=True)
    assert (known.metadata["title"], known.state) == ("t", "live")
    assert np.linalg.norm(known.vector or ()) == pytest.approx(1)
    assert len(client.similar("a/b?.", k=3, tags_none=["x"]).recommendations) == 3
    client.patch_video("a/b?.", state="hidden", metadata={"title": None})
    assert client.video("a/b?.").state == "hidden"
    assert "title" not in client.video("a/b?.").metadata
    client.delete_video("a/b?.")
    with pytest.raises(Problem) as caught:
        client.video("a/b?.")
    assert caught.value.status == 404


@pytest.mark.parametrize("name", ["trending", "fresh", "..", "%2F", "é"])
def test_no_id_is_taken_for_something_else(client: Client, name: str) -> None:
    client.put_video(name, features(2))
    assert client.video(name).video_id == name
    client.delete_video(name)


def test_arrays_are_sent_as_base64_and_need_no_numpy(client: Client) -> None:
    drawn = features(5)
    forms: dict[str, Any] = {
        "list": drawn,
        "numpy": {name: np.array(row, np.float32) for name, row in drawn.items()},
        "array": {name: array.array("f", row) for name, row in drawn.items()},
        "half": {name: encode_numbers(row, "float16") for name, row in drawn.items()},
    }
    for name, form in forms.items():
        client.put_video(name, form)
    twins = {place.video_id: place.score for place in client.similar("list", k=3).recommendations}
    assert set(twins) == {"numpy", "array", "half"}
    assert min(twins.values()) > 0.999
    for name in forms:
        client.delete_video(name)


def test_a_number_beyond_float16_is_refused_before_it_is_sent() -> None:
    with pytest.raises(OverflowError):
        encode_numbers([1e5], "float16")


def test_a_user_is_recommended_to_told_of_exported_and_erased(client: Client) -> None:
    session = client.session()
    before = session.recommend("user-00003", k=5)
    assert [place.source for place in before.recommendations] == ["personal"] * 5
    first = before.recommendations[0].video_id
    receipt = session.record(
        [
            Interaction(user_id="visitor", video_id=first, kind="like", timestamp=1.5e9),
            Interaction(user_id="visitor", video_id="nowhere", kind="view"),
        ]
    )
    assert (receipt.accepted, [note.place for note in receipt.results]) == (2, [1])
    assert first not in {p.video_id for p in session.recommend("visitor", k=60).recommendations}
    known = session.user("visitor")
    assert (known.known, known.recorded_interactions) == (True, 2)
    assert session.export_user("visitor").history[0].video_id == first
    session.erase_user("visitor")
    assert not session.user("visitor").known


def test_lists_for_everybody_and_for_many(client: Client) -> None:
    lists = client.recommend_batch([{"user_id": "user-00001", "k": 2}, {"k": 3}])
    assert [len(one.recommendations) for one in lists.results] == [2, 3]
    met = [{"video_id": "video-00001", "kind": "like"}]
    asked = client.recommend_in_session(met, k=4, exclude=["video-00002"])
    assert asked.user_id is None
    assert {place.source for place in asked.recommendations} == {"fold_in"}
    assert len(client.trending(k=4, window="week", kind=["like"]).recommendations) == 4
    client.put_video("newest", features(9))
    assert client.fresh(k=1).recommendations[0].video_id == "newest"
    client.delete_video("newest")
    page = client.videos(k=50)
    rest = client.videos(k=50, cursor=page.next_cursor or "")
    assert (len(page.videos) + len(rest.videos), rest.next_cursor) == (60, None)
    assert client.model().videos == 60


def test_a_problem_names_the_field_and_what_was_expected(client: Client) -> None:
    with pytest.raises(Problem) as caught:
        client.put_video("short", {"visual": [1.0, 2.0]})
    assert caught.value.status == 422
    assert caught.value.field == "body.features.visual"
    assert "expected 64 numbers, got 2" in caught.value.detail


def test_a_batch_tells_of_each_video(client: Client) -> None:
    sent = [Video(video_id=f"b{n}", features=features(n)) for n in range(3)]
    sent[1] = Video(video_id="bad", features={"visual": [1.0]})
    reply = client.put_videos(sent)
    assert [result.status for result in reply.results] == [201, 422, 201]
    assert client.video("b2", min_position=reply.position).video_id == "b2"
    for name in ("b0", "b2"):
        client.delete_video(name)


def test_an_import_tells_of_every_video_by_its_number(client: Client) -> None:
    sent = [Video(video_id=f"i{n}", features=features(n % 9)) for n in range(30)]
    sent[7] = Video(video_id="bad", features={"visual": [1.0]})
    *told, done = client.import_videos(sent)
    assert [one.line for one in told if isinstance(one, RejectedLine)] == [8]
    assert not isinstance(done, RejectedLine)
    assert (done.lines, done.accepted, done.rejected) == (30, 29, 1)
    for n in range(30):
        client.delete_video(f"i{n}")


# Completeness


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("document")
    settings = Settings(bundles=root, event_log=f"sqlite:///{root}/events.db")
    made: dict[str, Any] = create_app(settings).openapi()
    return made


def test_every_operation_of_the_api_is_a_method(
    document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from client import calls  # noqa: PLC0415 - watched here alone

    asked = {("POST", PATH)}
    for name, make in inspect.getmembers(calls, inspect.isfunction):
        if "Call[" in str(inspect.signature(make).return_annotation):
            lines = (make.__doc__ or "").rstrip(".").split(" ")
            asked.add((lines[0], lines[1]))
            assert callable(getattr(Client, name, None)), name
            assert callable(getattr(AsyncClient, name, None)), name
    served = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if path not in NOT_OURS
    }
    assert asked == served


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/users/{user_id}/recommendations", options.UserOptions),
        ("/v1/videos/{video_id}/similar", options.VideoListOptions),
        ("/v1/videos/trending", options.TrendingOptions),
        ("/v1/videos/fresh", options.VideoListOptions),
        ("/v1/videos", options.CatalogOptions),
        ("/v1/users/{user_id}", options.ReadOptions),
        ("/v1/model", options.ReadOptions),
    ],
)
def test_every_parameter_of_a_list_is_an_option(
    document: dict[str, Any], path: str, kind: type
) -> None:
    parameters = document["paths"][path]["get"]["parameters"]
    wanted = {one["name"] for one in parameters if one["in"] == "query"}
    assert set(get_type_hints(kind)) == wanted


@pytest.mark.parametrize(
    ("reply", "schema"),
    [
        (models.Recommendations, "UserRecommendations"),
        (models.Recommendation, "PersonalVideo"),
        (models.Explanation, "Explained"),
        (models.Nearest, "NearestWatched"),
        (models.RecommendationBatch, "RecommendationBatchReply"),
        (models.VideoList, "VideoList"),
        (models.VideoFacts, "VideoReply"),
        (models.VideoPage, "VideoPage"),
        (models.ListedVideo, "ListedVideo"),
        (models.VideoWritten, "VideoWritten"),
        (models.Written, "Written"),
        (models.VideoBatch, "BatchReply"),
        (models.BatchResult, "BatchResult"),
        (models.InteractionsWritten, "InteractionsWritten"),
        (models.UserFacts, "UserReply"),
        (models.UserExport, "UserExport"),
        (models.HistoryEntry, "HistoryEntry"),
    ],
)
def test_a_reply_has_the_fields_of_its_schema(
    document: dict[str, Any], reply: type, schema: str
) -> None:
    described = document["components"]["schemas"][schema]["properties"]
    assert {field.name for field in fields(reply)} == set(described)


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {n: list(inspect.signature(f).parameters) for n, f in found if n[0] != "_"}

    assert methods(Client) == methods(AsyncClient)
