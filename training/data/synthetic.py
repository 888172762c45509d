"""Makes a realistic sample with planted tastes, so that the product runs without a download.

What is planted: every video belongs to topics, every user likes a few; one modality *leads* in each
video and alone tells its topics, the others show topics drawn at random, so fusing all videos alike
is wrong and fusing each in its own way is right. Features show which modality leads. Popularity has
a long tail, some modalities are missing, and some videos are arrivals: no training interaction.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.modality import MODALITIES, Modality
from training.data.dataset import Dataset, Floats, Interactions, Mask, Rows
from training.errors import TrainingError

WIDTHS: Final[dict[Modality, int]] = {"visual": 64, "acoustic": 32, "textual": 48}
TOPICS: Final = 12
TOPIC_NAMES: Final = (
    "dance", "cooking", "football", "cats", "travel", "makeup",
    "guitar", "comedy", "gaming", "gardening", "science", "fashion",
)  # fmt: skip
MISSING_SHARE: Final = 0.08
ARRIVAL_SHARE: Final = 0.05
# An interaction in so many falls on an arrival: all of them are held out, to measure cold start.
ARRIVAL_INTERACTIONS: Final = 0.05
MEAN_INTERACTIONS: Final = 24
FEWEST_INTERACTIONS: Final = 5
NOISE: Final = 0.5
TASTE: Final = 4.0
FIRST_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
DAYS: Final = 90

Values = NDArray[np.float64]


def make_synthetic(*, videos: int, users: int, seed: int) -> Dataset:
    """Make a dataset of `videos` videos and `users` users; one seed, one dataset.

    Raises:
        TrainingError: too few videos or users for tastes to show.
    """
    if videos < 50 or users < 10:  # noqa: PLR2004
        raise TrainingError(
            f"a sample needs at least 50 videos and 10 users, got {videos} and {users}"
        )
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(TOPICS, 0.15), size=videos)
    tastes = rng.dirichlet(np.full(TOPICS, 0.25), size=users)
    leads = rng.choice(len(MODALITIES), size=videos, p=[0.45, 0.25, 0.3])
    features = _draw_features(topics, leads, rng)
    arrival = np.zeros(videos, dtype=bool)
    arrival[rng.choice(videos, size=max(1, int(videos * ARRIVAL_SHARE)), replace=False)] = True
    watched = _draw_interactions(topics, tastes, arrival, rng)
    train, val, test = _hold_out(watched, arrival, rng)
    return Dataset(
        name=f"synthetic-{videos}x{users}-seed{seed}",
        user_ids=[f"user-{row:05d}" for row in range(users)],
        video_ids=[f"video-{row:05d}" for row in range(videos)],
        train=train,
        val=val,
        test=test,
        features=features,
        metadata=_draw_metadata(topics, rng),
    )


def _draw_features(topics: Values, leads: Rows, rng: np.random.Generator) -> dict[Modality, Floats]:
    features: dict[Modality, Floats] = {}
    # The leading modality is never the missing one: a video always tells its topics somehow.
    missing = rng.random((len(topics), len(MODALITIES))) < MISSING_SHARE
    missing[np.arange(len(topics)), leads] = False
    for column, modality in enumerate(MODALITIES):
        led = leads == column
        distraction = rng.dirichlet(np.full(TOPICS, 0.15), size=len(topics))
        told = np.where(led[:, None], topics, distraction)
        style = np.column_stack([led, ~led]) + rng.normal(0, 0.2, (len(topics), 2))
        hidden = np.tanh(
            told @ rng.normal(0, 2.5, (TOPICS, 24)) + style @ rng.normal(0, 1.5, (2, 24))
        )
        matrix = hidden @ rng.normal(0, 24**-0.5, (24, WIDTHS[modality]))
        matrix += rng.normal(0, NOISE / 2, matrix.shape)
        # Raw scales differ between extractors and columns, as they do in the field.
        matrix = matrix * rng.lognormal(0, 1, WIDTHS[modality]) + rng.normal(0, 2, WIDTHS[modality])
        matrix[missing[:, column]] = 0
        features[modality] = matrix.astype(np.float32)
    return features


def _draw_interactions(
    topics: Values, tastes: Values, arrival: Mask, rng: np.random.Generator
) -> list[Rows]:
    """Return the video rows each user watched: more of what they like, more of what is popular."""
    rank = rng.permutation(len(topics)) + 1
    appeal = -0.7 * np.log(rank)
    lengths = FEWEST_INTERACTIONS + rng.geometric(
        1 / (MEAN_INTERACTIONS - FEWEST_INTERACTIONS + 1), size=len(tastes)
    )
    watched: list[Rows] = []
    for taste, length in zip(tastes, lengths, strict=True):
        logits = TASTE * np.log(topics @ taste + 0.02) + appeal
        # Gumbel keys: the best n of logits + noise are n draws without replacement.
        keys = logits + rng.gumbel(size=len(topics))
        count = min(int(length), len(topics) // 2)
        fresh = rng.binomial(count, ARRIVAL_INTERACTIONS)
        old_rows = np.argsort(-np.where(arrival, -np.inf, keys), kind="stable")[: count - fresh]
        new_rows = np.argsort(-np.where(arrival, keys, -np.inf), kind="stable")
        watched.append(np.concatenate([old_rows, new_rows[: min(fresh, arrival.sum())]]))
    return watched


def _hold_out(
    watched: list[Rows], arrival: Mask, rng: np.random.Generator
) -> tuple[Interactions, Interactions, Interactions]:
    users = np.repeat(np.arange(len(watched)), [len(rows) for rows in watched])
    videos = np.concatenate(watched)
    draw = rng.random(len(users))
    # Every first interaction trains: the rows of a user begin with a video that is no arrival.
    first = np.concatenate([[True], np.diff(users) > 0])
    part = np.where(first | (draw < 0.8), 0, np.where(draw < 0.9, 1, 2))  # noqa: PLR2004
    part = np.where(arrival[videos], 1 + (draw < 0.5), part)  # noqa: PLR2004
    train, val, test = (Interactions(users[part == p], videos[part == p]) for p in range(3))
    return train, val, test


def _draw_metadata(topics: Values, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for row, weights in enumerate(topics):
        best = np.argsort(-weights, kind="stable")[:2]
        published = FIRST_DAY + timedelta(minutes=int(rng.integers(DAYS * 24 * 60)))
        rows.append(
            {
                "title": f"{TOPIC_NAMES[best[0]].title()} clip {row}",
                "tags": [TOPIC_NAMES[topic] for topic in best if weights[topic] > 0.1],  # noqa: PLR2004
                "uploader": f"creator-{int(rng.zipf(1.8)) % 200:03d}",
                "published_at": published.isoformat(),
            }
        )
    return rows
