"""Bodies are read by the faster of two readers; both must take the same and read the same."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from models.modality import MODALITIES
from service.api.bodies import BatchVideo, VideoBody
from service.api.decoding import Refused, SentVideo, read_batch, read_video


def encode(row: list[float], dtype: str = "<f4") -> str:
    """Return numbers as base64; too large ones become infinite."""
    with np.errstate(over="ignore"):
        return base64.b64encode(np.array(row, dtype).tobytes()).decode()


# On both sides of the largest number that is taken, and of the largest float32.
EDGES = [2.9e38, 3.1e38, 3.4e38, 3.4000001e38, 3.4028235e38, 3.5e38, 1e39, 1e-60, -0.0, 0, 2**53]
NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from(
    [sign * edge for edge in EDGES for sign in (1, -1)]
)
ODDITIES = st.sampled_from([None, True, "1", [1.0], float("nan"), float("inf"), 10**40])
ROWS = st.lists(NUMBERS, min_size=0, max_size=4) | st.lists(NUMBERS | ODDITIES, max_size=4)
NUMBERS_16 = st.floats(width=16) | st.sampled_from([0, 65504, float("inf"), float("nan")])
ENCODED = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["float32", "float16", "float64", None]),
        "data": st.lists(NUMBERS | st.sampled_from([float("nan")]), max_size=4).map(encode)
        | st.lists(NUMBERS_16, max_size=4).map(lambda row: encode(row, "<f2"))
        | st.binary(max_size=9).map(lambda raw: base64.b64encode(raw).decode())
        | st.text("AB=-_ \n", max_size=9)
        | st.sampled_from(["AAAAAB==", "AAAA====", "é", "\ud800", 7, None]),
    },
    optional={"unknown": st.just(1)},
)
FEATURES = st.dictionaries(st.sampled_from([*MODALITIES, "smell"]), ROWS | ENCODED, max_size=3)
METADATA: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "title": st.text(max_size=3) | st.sampled_from([None, 7, "x" * 1001, "\ud800"]),
        "tags": st.lists(st.sampled_from(["a", "", 1]), max_size=2) | st.none(),
        "published_at": st.sampled_from(["2026-01-31T12:00:00Z", "2026-01-31T12:00:00", None]),
        "unknown": st.just(1),
    },
) | st.sampled_from([None, []])
IDS = st.sampled_from(["v", "é" * 256, "é" * 257, "", "a\x00", "\ud800", 7])
VIDEOS = st.fixed_dictionaries(
    {"features": FEATURES}, optional={"metadata": METADATA, "unknown": st.just(1)}
)
OFTEN = settings(max_examples=300, deadline=None, derandomize=True)


def expected(video_id: str, body: VideoBody) -> SentVideo:
    """Return what the schema, the one that clients read, makes of a video."""
    features = {m: np.array(row, "<f4").tobytes() for m, row in body.features.items()}
    return SentVideo(video_id, features, body.metadata.model_dump(exclude_none=True))  # type: ignore[arg-type] # names


@OFTEN
@given(video=VIDEOS)
def test_a_video_is_read_as_the_schema_says(video: dict[str, Any]) -> None:
    try:
        wanted = expected("v", VideoBody.model_validate(video))
    except ValidationError:
        with pytest.raises(RequestValidationError):
            read_video(json.dumps(video).encode(), "v")
    else:
        assert read_video(json.dumps(video).encode(), "v") == wanted


@OFTEN
@given(videos=st.lists(st.tuples(VIDEOS, IDS), min_size=1, max_size=3))
def test_each_video_of_a_batch_is_read_as_the_schema_says(
    videos: list[tuple[dict[str, Any], Any]],
) -> None:
    rows = [{**video, "video_id": video_id} for video, video_id in videos]
    for row, found in zip(rows, read_batch(json.dumps({"videos": rows}).encode()), strict=True):
        try:
            video = BatchVideo.model_validate(row)
        except ValidationError:
            assert isinstance(found, Refused)
            assert found.errors
        else:
            assert found == expected(video.video_id, video)


def test_one_odd_video_changes_nothing_of_what_the_others_say() -> None:
    good = {"video_id": "good", "features": {"visual": [0.1, 1e-3]}, "metadata": {"title": "t"}}
    alone = read_batch(json.dumps({"videos": [good]}).encode())
    beside = read_batch(json.dumps({"videos": [good, {}]}).encode())
    assert beside[0] == alone[0]
    assert isinstance(beside[1], Refused)


@pytest.mark.parametrize(
    "body", [b"\xff\xfe{\x00}\x00", '{"features": {"visual": [1]}}'.encode("utf-16")]
)
def test_json_in_another_encoding_is_read_as_python_reads_it(body: bytes) -> None:
    value = json.loads(body)
    if value:
        assert read_video(body, "v").features["visual"] == np.float32(1).tobytes()
    else:
        with pytest.raises(RequestValidationError):
            read_video(body, "v")


@pytest.mark.parametrize("body", [b"\xff", b"[" * 100_000, b'{"features": ' + b"9" * 5000 + b"}"])
def test_what_cannot_be_parsed_at_all_is_said_to_be_so(body: bytes) -> None:
    for read in (read_batch, lambda raw: read_video(raw, "v")):
        with pytest.raises(HTTPException) as caught:
            read(body)
        assert caught.value.status_code == 400


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_encoded_numbers_are_read_as_those_of_json(dtype: str) -> None:
    row = [0.5, -2.0, 65504.0, 0.0]
    plain = {"features": {"visual": row, "acoustic": row}}
    data = encode(row, {"float32": "<f4", "float16": "<f2"}[dtype])
    mixed = {"features": {"visual": {"dtype": dtype, "data": data}, "acoustic": row}}
    read = [read_video(json.dumps(body).encode(), "v") for body in (plain, mixed)]
    assert read[0] == read[1]


@pytest.mark.parametrize(
    ("row", "field", "told"),
    [
        ({"dtype": "float16", "data": encode([1, 7e4], "<f2")}, "data", "largest float16 is 65504"),
        ({"dtype": "float32", "data": encode([1, 3.402e38])}, "data", "got 3.402e+38 at place 1"),
        ({"dtype": "float32", "data": encode([1, float("nan")])}, "data", "got nan at place 1"),
        ({"dtype": "float32", "data": "AAAA"}, "data", "numbers of 4 bytes each, got 3 bytes"),
        ({"dtype": "float16", "data": "AAAA"}, "data", "numbers of 2 bytes each, got 3 bytes"),
        ({"dtype": "float32", "data": "AAA-"}, "data", "expected base64"),
        ({"dtype": "float32", "data": "AAAAAA"}, "data", "expected base64"),
        ({"dtype": "float32", "data": "AAAAAB=="}, "data", "ends with zero bits"),
        ({"dtype": "float32", "data": ""}, "data", "at least 4 characters"),
        ({"dtype": "float16", "data": encode([0] * 16_385, "<f2")}, "data", "at most 16384"),
        ({"dtype": "float32", "data": "A" * 90_000}, "data", "at most 87384 characters"),
        ({"dtype": "float64", "data": "AAAAAA=="}, "dtype", "'float32' or 'float16'"),
    ],
)
def test_a_fault_in_encoded_numbers_is_named(row: dict[str, str], field: str, told: str) -> None:
    with pytest.raises(RequestValidationError) as caught:
        read_video(json.dumps({"features": {"visual": row}}).encode(), "v")
    (fault,) = caught.value.errors()
    assert fault["loc"] == ("body", "features", "visual", field)
    assert told in fault["msg"]
    (refused,) = read_batch(
        json.dumps({"videos": [{"video_id": "v", "features": {"visual": row}}]}).encode()
    )
    assert isinstance(refused, Refused)
    assert refused.errors[0]["field"] == f"features.visual.{field}"
    assert told in refused.errors[0]["expected"]
