"""What FastAPI would make on the first request is made before any comes."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import routing

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
