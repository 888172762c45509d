"""What operators ask: which model, alive, ready, metrics."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, Request
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from models.ids import UserId, VideoId
from service.api.dependencies import ServicesDep, ViewDep
from service.api.replies import Examples, Health, IndexReply, ModelReply, Problem, QuarantinedEvent
from service.catalog.view import View
from service.errors import NotReady

router = APIRouter(tags=["operations"])

MAX_EXAMPLES: Final = 12


@router.get("/v1/model")
async def get_model(view: ViewDep) -> ModelReply:
    """Return the bundle that is served, its offline metrics, and the sizes of what is known now."""
    manifest = view.snapshot.manifest
    return ModelReply(
        bundle_id=view.bundle_id,
        position=view.position,
        created_at=manifest.created_at,
        dataset=manifest.dataset,
        vector_dim=manifest.vector_dim,
        modalities=manifest.modalities,
        videos=view.live_videos,
        users=manifest.users,
        trained_videos=manifest.videos,
        arrivals=int(view.live[manifest.videos :].sum()),
        index=IndexReply(kind=manifest.index.kind, recall_at_20=manifest.index.recall_at_20),
        metrics=manifest.metrics,
        examples=_examples(view),
        quarantined=view.overlay.quarantined,
        quarantine=[
            QuarantinedEvent(position=entry.position, fault=entry.fault)
            for entry in view.overlay.quarantine
        ],
    )


@router.get("/livez")
async def get_livez() -> Health:
    """Answer as long as the event loop runs; asks nothing else."""
    return Health(status="live")


@router.get("/readyz", responses={503: {"model": Problem}})
async def get_readyz(services: ServicesDep) -> Health:
    """Answer 200 once a snapshot has caught up with the log, until then 503 with the reason."""
    if services.catalog.unready:
        raise NotReady(services.catalog.unready)
    return Health(status="ready")


@router.get("/metrics", response_class=Response)
async def get_metrics(request: Request, services: ServicesDep) -> Response:
    """Return every metric in the format that Prometheus asked for.

    Where several processes share the port they are those of all, with the label `process`.
    """
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    metrics = await services.siblings.gather()
    return Response(encode(metrics), headers={"content-type": media_type})


def _examples(view: View) -> Examples:
    """Return ids of the bundle that are still there."""
    bundle = view.snapshot.bundle
    return Examples(
        users=[u for u in _spread(bundle.user_ids) if view.trained_interactions(UserId(u))],
        videos=[v for v in _spread(bundle.video_ids) if view.row(VideoId(v)) is not None],
    )


def _spread(ids: Sequence[str]) -> Sequence[str]:
    return ids[:: max(1, len(ids) // MAX_EXAMPLES)][:MAX_EXAMPLES]
