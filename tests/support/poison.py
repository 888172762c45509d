"""Draws events that a log can hold and that no client of ours would have written."""

import numpy as np
from hypothesis import strategies as st

from eventlog.events import (
    KINDS,
    Event,
    InteractionRecorded,
    UserErased,
    VideoDeleted,
    VideoHidden,
    VideoRetold,
    VideoShown,
    VideoUpserted,
)
from tests.support.server import WIDTHS


def bytes_of(width: int) -> st.SearchStrategy[bytes]:
    """Draw what may stand for `width` features: good ones, extreme ones, too few, no floats."""
    extremes = [0.0, 1e-45, 1e20, -3e38, 3.4e38, float("inf"), float("nan")]
    return (
        st.integers(0, 3).map(lambda n: np.random.default_rng(n).normal(size=width).astype("<f4"))
        | st.sampled_from(extremes).map(lambda x: np.full(width, x, "<f4"))
    ).map(bytes) | st.binary(max_size=9)


VIDEO_IDS = st.sampled_from(["video-00000", "video-00001", "a", "", "\x00"]) | st.text(max_size=3)
USER_IDS = st.sampled_from(["user-00000", "user-00001", "u", ""]) | st.text(max_size=3)
MOMENTS = st.floats()
FEATURES = st.fixed_dictionaries(
    {}, optional={**{name: bytes_of(width) for name, width in WIDTHS.items()}, "smell": st.binary()}
)
ODDITIES = (
    st.none()
    | st.floats()
    | st.binary(max_size=3)
    | st.text(max_size=3)
    | st.sampled_from(["0001-01-01", "9999-12-31T23:59:59-23:59", "2026-01-31T12:00:00Z"])
)
METADATA = st.dictionaries(
    st.sampled_from(["tags", "uploader", "language", "published_at", "expires_at", "title"]),
    ODDITIES | st.lists(ODDITIES, max_size=2) | st.dictionaries(st.text(max_size=1), ODDITIES),
    max_size=4,
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        VideoUpserted,
        video_id=VIDEO_IDS,
        features=FEATURES,
        metadata=METADATA,
        recorded_at=MOMENTS,
    ),
    st.builds(VideoRetold, video_id=VIDEO_IDS, metadata=METADATA, recorded_at=MOMENTS),
    *(
        st.builds(kind, video_id=VIDEO_IDS, recorded_at=MOMENTS)
        for kind in (VideoDeleted, VideoHidden, VideoShown)
    ),
    st.builds(
        InteractionRecorded,
        user_id=USER_IDS,
        video_id=VIDEO_IDS,
        kind=st.sampled_from(KINDS),
        timestamp=MOMENTS,
        recorded_at=MOMENTS,
    ),
    st.builds(UserErased, user_id=USER_IDS, recorded_at=MOMENTS),
)
