"""Every setting of the service. Each is also RECO_<NAME> in the environment."""

import sys
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from eventlog.events import Kind
from service.catalog.milvus.address import read_address

FAISS: Final = "faiss"
Weight = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
# As browsers send it: no path, no slash at the end, lower case.
Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:_-]+)$")]


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
    index: str = Field(
        FAISS,
        description="Where vectors are searched: faiss (in this process), "
        "milvus://host:port/database, or https://… for one over TLS.",
    )
    index_token: SecretStr | None = Field(
        None, description="What Milvus knows us by: user:password or a token. Never logged."
    )
    index_timeout_seconds: float = Field(
        0.5,
        gt=0,
        le=60,
        description="How long a search in Milvus may take before the bundle's own index answers.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that listen at this port, each a replica of its own; more than one "
        "needs Linux. What else is set is each one's.",
    )
    max_body_bytes: int = Field(
        4 << 20, ge=1024, description="Largest request body; a larger one is answered 413."
    )
    body_seconds: float = Field(
        20.0, gt=0, le=3600, description="How long a request's body may take to come before 408."
    )
    max_concurrency: int = Field(
        32,
        ge=1,
        le=10_000,
        description="Reads that are worked on at once, and as many writes; others wait in line.",
    )
    max_waiting: int = Field(
        32,
        ge=0,
        le=100_000,
        description="Reads that may wait in line, and as many writes; any more are answered 503.",
    )
    max_waiting_seconds: float = Field(
        0.5, gt=0, le=60, description="How long a request waits in line before it is answered 503."
    )
    api_keys: Path | None = Field(
        None, description="File of API keys (`keys create`); without one all may do all."
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (), description="Origins whose pages may ask, separated by commas; * for all."
    )
    docs: Literal["on", "off"] = Field("on", description="Whether /docs and /openapi.json exist.")
    console: Literal["on", "off"] = Field(
        "on", description="Whether /console exists, a page to look at what is served."
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
    fresh_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of a user's places that arrivals get at least; a request may ask for "
        "another.",
    )
    fresh_half_life_hours: float = Field(
        24.0,
        gt=0,
        le=10_000,
        description="Age at which the chances of an arrival for these places have halved; after "
        "five times that it has none. Alike on every replica.",
    )
    fresh_half_life_viewers: float = Field(
        20.0,
        gt=0,
        le=1_000_000,
        description="The same for how many users have met it. Alike on every replica.",
    )
    kind_weights: dict[Kind, Weight] = Field(
        {"view": 1, "like": 2, "share": 3, "follow-through": 2, "skip": -0.5, "dislike": -2},
        description="What each kind of interaction says, as JSON; negative for dislike. Kinds that "
        "are left out weigh what they weigh by default. Alike on every replica.",
    )
    worker_threads: int = Field(
        2, ge=1, le=64, description="Threads that search and fuse beside the event loop."
    )
    inspected_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of users' lists, at most, that are compared with exact search beside "
        "the serving; a fiftieth of a core at most. 0 for none.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where arrivals are fused and vectors searched: cpu, cuda, or auto for CUDA "
        "where it is.",
    )
    traces: str | None = Field(
        None,
        pattern=r"^https?://",
        description="OTLP collector that traces are sent to over HTTP, as "
        "http://host:4318/v1/traces; needs the extra `tracing`.",
    )
    traces_share: float = Field(
        0.01, ge=0, le=1, description="Share of the traces that begin here which is kept."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line that is written."
    )
    log_format: Literal["console", "json"] = Field("console", description="Shape of a log line.")
    access_log: Literal["off", "routes", "paths"] = Field(
        "off",
        description="A log line for each answer, by route template; with `paths` also the path, "
        "which holds ids of users.",
    )

    @property
    def exposed(self) -> bool:
        """Whether others than this machine can ask, and nobody has to say who they are."""
        return self.api_keys is None and not _is_loopback(self.host)

    @field_validator("processes", mode="after")
    @classmethod
    def _forked(cls, processes: int) -> int:
        # Elsewhere the last one to listen may get all connections, and forks of torch may hang.
        if processes > 1 and sys.platform != "linux":
            raise ValueError("more than one process needs Linux")
        return processes

    @field_validator("index", mode="after")
    @classmethod
    def _reachable(cls, index: str) -> str:
        if index != FAISS:
            read_address(index)
            if find_spec("pymilvus") is None:
                raise ValueError("needs pymilvus: install the extra `milvus`")
        return index

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _listed(cls, origins: Any) -> Any:
        if not isinstance(origins, str):
            return origins
        return tuple(origin.strip() for origin in origins.split(",") if origin.strip())

    @field_validator("kind_weights", mode="after")
    @classmethod
    def _complete(cls, weights: dict[Kind, float]) -> dict[Kind, float]:
        defaults: dict[Kind, float] = cls.model_fields["kind_weights"].default
        return {**defaults, **weights}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
