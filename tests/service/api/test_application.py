"""What FastAPI would make on the first request is made before any comes."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import routing
from fastapi._compat import v2

from tests.support.server import Api, settings_for


def test_the_first_request_makes_no_routes(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = routing._EffectiveRouteContext
    make, made = kind.from_api_route, list[Any]()

    def noted(**context: Any) -> Any:
        made.append(context)
        return make(**context)

    with Api(settings_for(bundles, tmp_path / "events.db")) as api:
        monkeypatch.setattr(kind, "from_api_route", noted)
        assert api.get("/v1/nowhere").status_code == 404
        assert api.get("/livez").status_code == 200
    assert made == []


def test_no_worker_and_no_request_makes_the_fields_of_parameters(
    trained: Path, tmp_path: Path
) -> None:
    """Two threads that make them at once get different ones, and OpenAPI fails of it."""
    made = v2.get_cached_model_fields
    made.cache_clear()
    with Api(settings_for(trained, tmp_path / "events.db")) as api:
        at_first = made.cache_info().misses
        assert api.ready().get("/openapi.json").status_code == 200
        assert api.get("/v1/users/nobody/recommendations?diversity=0.5").status_code == 200
    assert made.cache_info().misses == at_first > 0
