"""Talks to the recommender over HTTP, waiting or with asyncio. Knows the API; nothing of ours.

from client import Client

with Client("http://127.0.0.1:8000", api_key=KEY) as reco:
    for place in reco.recommend("user-00001", k=10).recommendations:
        print(place.video_id, place.score)
"""

from client.blocking import Client
from client.concurrent import AsyncClient
from client.encoding import encode_numbers
from client.errors import Fault, Problem, RecommenderError, UnexpectedAnswer, Unreachable
from client.models import (
    BatchResult,
    Explanation,
    HistoryEntry,
    ImportProgress,
    Interaction,
    InteractionsWritten,
    ListedVideo,
    Model,
    Nearest,
    Note,
    Recommendation,
    RecommendationBatch,
    Recommendations,
    RejectedLine,
    UserExport,
    UserFacts,
    Video,
    VideoBatch,
    VideoFacts,
    VideoList,
    VideoPage,
    VideoWritten,
    Written,
)
from client.retrying import NEVER, Retries

__all__ = [
    "NEVER",
    "AsyncClient",
    "BatchResult",
    "Client",
    "Explanation",
    "Fault",
    "HistoryEntry",
    "ImportProgress",
    "Interaction",
    "InteractionsWritten",
    "ListedVideo",
    "Model",
    "Nearest",
    "Note",
    "Problem",
    "Recommendation",
    "RecommendationBatch",
    "Recommendations",
    "RecommenderError",
    "RejectedLine",
    "Retries",
    "UnexpectedAnswer",
    "Unreachable",
    "UserExport",
    "UserFacts",
    "Video",
    "VideoBatch",
    "VideoFacts",
    "VideoList",
    "VideoPage",
    "VideoWritten",
    "Written",
    "encode_numbers",
]
