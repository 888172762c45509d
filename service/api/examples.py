"""What requests and replies look like, for the OpenAPI document. Knows names; computes nothing.

Every request is one that the service takes with the sample bundle; a test sends them all.
"""

from collections.abc import Mapping
from typing import Any, Final

ANSWERED_FROM: Final = {
    "bundle_id": "20261125T204404-56733ed703",
    "position": "01a215759a0a4c6f-0000000000000007",
}
POSITION: Final = {"position": ANSWERED_FROM["position"]}
# The 32 acoustic numbers of the sample's videos.
FEATURES: Final = {
    "acoustic": {
        "dtype": "float16",
        "data": "ADgAvAA0Zi4AuAA8ALRmMgA4ALwANGYuALgAPAC0ZjIA"
        "OAC8ADRmLgC4ADwAtGYyADgAvAA0Zi4AuAA8ALRmMg==",
    }
}
METADATA: Final = {
    "title": "Two cats and a door",
    "tags": ["cats", "funny"],
    "uploader": "user-00007",
    "language": "en",
    "published_at": "2026-01-31T12:00:00Z",
}
VIDEO: Final = {"features": FEATURES, "metadata": METADATA}
KNOWN: Final = {"metadata": METADATA, "state": "live"}
PLACES: Final = [
    {"video_id": "video-01838", "score": 0.7898, "source": "personal"},
    {"video_id": "my-first-video", "score": 0.6964, "source": "fresh"},
]
INTERACTION: Final = {"user_id": "user-00001", "video_id": "video-00001", "kind": "like"}
SESSION: Final = [{"video_id": "video-00001", "kind": "like"}]

PATH: Final[Mapping[str, str]] = {"user_id": "user-00001", "video_id": "my-first-video"}
BODIES: Final[Mapping[str, Any]] = {
    "RecommendationBody": {"k": 5, "session": SESSION, "tags_none": ["news"]},
    "RecommendationBatch": {"requests": [{"user_id": "user-00001", "k": 5}, {"k": 3}]},
    "VideoBody": VIDEO,
    "VideoPatch": {"state": "live", "metadata": {"title": "Two cats, one door"}},
    "VideoBatch": {"videos": [{"video_id": "my-first-video", **VIDEO}]},
    "InteractionBatch": {"interactions": [INTERACTION]},
}
LINES: Final = (
    '{"video_id": "my-first-video", "features": {"acoustic": {"dtype": "float16", "data": "'
    f"{FEATURES['acoustic']['data']}"
    '"}}}\n'
)
TOLD: Final = (
    '{"event":"progress","lines":1,"accepted":1,"rejected":0,'
    f'"position":"{POSITION["position"]}","degraded":null}}\n'
    '{"event":"ended","lines":1,"accepted":1,"rejected":0,'
    f'"position":"{POSITION["position"]}","degraded":null,"problem":null}}\n'
)
REPLIES: Final[Mapping[str, Any]] = {
    "UserRecommendations": {
        "user_id": "user-00001",
        **ANSWERED_FROM,
        "recommendations": PLACES,
        "next_cursor": None,
    },
    "RecommendationBatchReply": {
        **ANSWERED_FROM,
        "results": [
            {
                "user_id": "user-00001",
                **ANSWERED_FROM,
                "recommendations": PLACES,
                "next_cursor": None,
            }
        ],
    },
    "SimilarVideos": {
        "video_id": "my-first-video",
        **ANSWERED_FROM,
        "recommendations": [{"video_id": "video-00495", "score": 0.6964, "source": "similar"}],
    },
    "VideoList": {
        **ANSWERED_FROM,
        "recommendations": [{"video_id": "my-first-video", "score": 3.0, "source": "fresh"}],
    },
    "VideoWritten": {"video_id": "my-first-video", **POSITION},
    "Written": POSITION,
    "VideoReply": {"video_id": "my-first-video", **KNOWN, "vector": None, **ANSWERED_FROM},
    "VideoPage": {
        **ANSWERED_FROM,
        "videos": [{"video_id": "my-first-video", **KNOWN}],
        "next_cursor": None,
    },
    "BatchReply": {
        "results": [{"video_id": "my-first-video", "status": 201, **POSITION, "problem": None}]
    },
    "InteractionsWritten": {**POSITION, "accepted": 1, "results": []},
    "UserReply": {
        "user_id": "user-00001",
        "known": True,
        "trained_interactions": 24,
        "recorded_interactions": 1,
        "seen": 25,
        **ANSWERED_FROM,
    },
    "UserExport": {
        "user_id": "user-00001",
        **ANSWERED_FROM,
        "vector": [0.6, -0.8],
        "trained_interactions": 1,
        "seen_in_training": ["video-00003"],
        "history": [{"video_id": "video-00001", "place": 0, "weight": 2.0}],
    },
    "ModelReply": {
        **ANSWERED_FROM,
        "created_at": "2026-11-25T20:44:04+00:00",
        "dataset": "sample",
        "vector_dim": 64,
        "modalities": {"visual": 64, "acoustic": 32, "textual": 48},
        "videos": 2001,
        "users": 1000,
        "trained_videos": 2000,
        "arrivals": 1,
        "index": {"kind": "flat", "recall_at_20": 1.0},
        "metrics": {"overall": {"recall@20": 0.31}},
        "examples": {"users": ["user-00000"], "videos": ["video-00000"]},
        "quarantined": 0,
        "quarantine": [],
    },
    "Health": {"status": "live"},
}
