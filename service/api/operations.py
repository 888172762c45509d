"""What operators ask: which model, alive, ready, metrics."""

from fastapi import APIRouter, Request
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from service.api.dependencies import ServicesDep, ViewDep
from service.api.schemas import Health, ModelReply, Problem, QuarantinedEvent
from service.errors import NotReady

router = APIRouter(tags=["operations"])


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
        metrics=manifest.metrics,
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
    """Return every metric in the format that Prometheus asked for."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(services.telemetry.registry), headers={"content-type": media_type})
