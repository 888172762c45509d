"""Every setting of the service. Each is also RECO_<NAME> in the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventlog.events import Kind

Weight = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Read once, at the composition root; frozen from then on."""

    model_config = SettingsConfigDict(env_prefix="RECO_", frozen=True, extra="forbid")

    bundles: Path = Field(
        Path(".reco/bundles"), description="Folder that holds the bundles and CURRENT."
    )
    event_log: str = Field(
        "sqlite:///.reco/events.db",
        description="Where events are kept: sqlite:///relative/path, sqlite:////absolute/path, "
        "redis://host:port/database or rediss://….",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    max_body_bytes: int = Field(
        4 << 20, ge=1024, description="Largest request body; a larger one is answered 413."
    )
    min_position_wait_seconds: float = Field(
        2.0, ge=0, le=60, description="How long a read waits for its min_position before 503."
    )
    write_visible_wait_seconds: float = Field(
        5.0, ge=0, le=60, description="How long a write waits to be visible here before it replies."
    )
    log_poll_seconds: float = Field(
        0.05, gt=0, le=10, description="How often a SQLite event log is read for others' events."
    )
    bundle_poll_seconds: float = Field(
        2.0, gt=0, le=3600, description="How often CURRENT is read for a new bundle."
    )
    history_limit: int = Field(
        10_000, ge=1, description="Interactions since the bundle that are kept for one user."
    )
    kind_weights: dict[Kind, Weight] = Field(
        {"view": 1, "like": 2, "share": 3, "follow-through": 2, "skip": -0.5, "dislike": -2},
        description="What each kind of interaction says, as JSON; negative for dislike. Kinds that "
        "are left out weigh what they weigh by default. Alike on every replica.",
    )
    worker_threads: int = Field(
        2, ge=1, le=64, description="Threads that search and fuse beside the event loop."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line that is written."
    )
    log_format: Literal["console", "json"] = Field("console", description="Shape of a log line.")

    @field_validator("kind_weights", mode="after")
    @classmethod
    def _complete(cls, weights: dict[Kind, float]) -> dict[Kind, float]:
        defaults: dict[Kind, float] = cls.model_fields["kind_weights"].default
        return {**defaults, **weights}
