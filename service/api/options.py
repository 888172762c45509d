"""What may be asked of lists, in a query or a body alike. Knows names and bounds; no resource."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from eventlog.events import KINDS, Kind
from models.bundle.metadata import moment_of
from models.ids import UserId, VideoId
from service.api.bodies import Flag, Id, Moment, Strict, Tag
from service.api.dependencies import MAX_K
from service.catalog.facets import Filter
from service.recommend.lists import Window
from service.recommend.request import DEFAULT_K, Wanted

MAX_TAGS = 20
MAX_EXCLUDED = 1000
MAX_SESSION = 200
MAX_USERS = 256
MAX_CURSOR = 12_000

Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS)]


class Filters(BaseModel):
    """How long a list is and what is told of its videos. All conditions hold at once."""

    k: int = Field(DEFAULT_K, ge=1, le=MAX_K, description="Length of the list, K.")
    tags_any: Tags = Field([], description="Only videos with one of these tags at least.")
    tags_all: Tags = Field([], description="Only videos with all of these tags.")
    tags_none: Tags = Field([], description="Only videos with none of these tags.")
    uploader: str | None = Field(None, max_length=512, description="Only videos of this uploader.")
    language: str | None = Field(
        None, max_length=35, description="Only videos of this language, written as in metadata."
    )
    published_after: Moment | None = Field(
        None, description="Only videos published at this time or later."
    )
    published_before: Moment | None = Field(
        None, description="Only videos published before this time."
    )

    def matching(self) -> Filter:
        """Return what metadata must say."""
        after, before = self.published_after, self.published_before
        return Filter(
            tags_any=frozenset(self.tags_any),
            tags_all=frozenset(self.tags_all),
            tags_none=frozenset(self.tags_none),
            uploader=self.uploader,
            language=self.language,
            published_after=None if after is None else moment_of(after),
            published_before=None if before is None else moment_of(before),
        )


class ListOptions(Filters):
    """Which videos may be in a list beside."""

    exclude: list[Id] = Field(
        [], max_length=MAX_EXCLUDED, description="Ids of videos to leave out; unknown ones may be."
    )


class CatalogQuery(Filters):
    """A part of all videos."""

    cursor: str | None = Field(
        None, max_length=MAX_CURSOR, description="`next_cursor` of the answer before."
    )


class VideoListQuery(ListOptions):
    """Options of a list that is for everybody."""

    user_id: Id | None = Field(None, description="Leave out what this user has seen.")

    def wanted(self, now: float) -> Wanted:
        """Return what is asked for at `now`."""
        return Wanted(
            now=now,
            k=self.k,
            exclude=frozenset(map(VideoId, self.exclude)),
            matching=self.matching(),
            seen_by=None if self.user_id is None else UserId(self.user_id),
        )


class TrendingQuery(VideoListQuery):
    """How far back is looked, and at what."""

    window: Window = Field("day", description="How far back is looked.")
    kind: list[Kind] = Field(
        [], max_length=len(KINDS), description="Kinds that count; by default all with a weight."
    )

    def weights(self, weights: Mapping[Kind, float]) -> Mapping[Kind, float]:
        """Return those of `weights` that count."""
        return {kind: weights[kind] for kind in self.kind or weights}


class UserOptions(ListOptions):
    """Options of a list that is for one user."""

    exclude_uploader: Literal["self"] | None = Field(
        None, description="`self`: leave out what the user has uploaded (metadata.uploader)."
    )

    diversity: float = Field(
        0, ge=0, le=1, allow_inf_nan=False, description="From 0, what suits best, to 1, all unlike."
    )
    explore: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of places for arrivals at least; by default that of the service.",
    )
    seed: int | None = Field(
        None, ge=0, lt=1 << 63, description="Draws the arrivals; by default user and position do."
    )
    paged: bool = Field(
        default=False, description="Give a `next_cursor`; with a `cursor` there is one."
    )
    cursor: str | None = Field(
        None, max_length=MAX_CURSOR, description="`next_cursor` of the answer before."
    )
    explain: Flag = Field(default=False, description="Whether to say why each video is there.")


class SessionEvent(Strict):
    """A video that was met in this session, and how."""

    video_id: Id
    kind: Kind = "view"


class RecommendationBody(Strict, UserOptions):
    """A list for a user, or for somebody without a name, who has met the videos of a session."""

    user_id: Id | None = Field(None, description="Nobody we know: leave it out.")
    session: list[SessionEvent] = Field(
        [],
        max_length=MAX_SESSION,
        description="What was met in this session, oldest first. Nothing of it is recorded.",
    )


class RecommendationBatch(Strict):
    """Lists for many, each asked for by itself."""

    requests: Annotated[list[RecommendationBody], Field(min_length=1, max_length=MAX_USERS)]
