"""Bodies that are too large, or call themselves something else."""

import json
from collections.abc import Iterator

import pytest

from tests.support.server import Api, features

LIMIT = 4 << 20


def test_a_body_that_declares_too_much_is_refused_unread(api: Api) -> None:
    """Case 8."""
    headers = {"content-type": "application/json", "content-length": str(50 << 20)}
    response = api.request("PUT", "/v1/videos/big", content=b"{}", headers=headers)
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert str(LIMIT) in response.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/videos/big", "/v1/videos:batch", "/v1/interactions"])
def test_a_body_that_grows_too_large_chunk_by_chunk_is_refused(api: Api, path: str) -> None:
    """Case 8."""
    method = "PUT" if path.endswith("big") else "POST"
    sent: list[bytes] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            sent.append(b" " * (1 << 20))
            yield sent[-1]

    headers = {"content-type": "application/json"}
    response = api.request(method, path, content=chunks(), headers=headers)
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert len(sent) < 8, "it read on after it knew"
    assert api.head() == ""
    assert api.put_video("good").status_code == 201


def test_a_chunked_body_within_the_limit_is_taken(api: Api) -> None:
    body = json.dumps({"features": features(1)}).encode()
    chunks = iter([body[:100], body[100:], b" " * (LIMIT - len(body))])
    headers = {"content-type": "application/json"}
    assert api.request("PUT", "/v1/videos/fits", content=chunks, headers=headers).status_code == 201


@pytest.mark.parametrize("length", ["-1", "ten", "9" * 30])
def test_a_length_that_is_no_number_causes_no_failure(api: Api, length: str) -> None:
    headers = {"content-type": "application/json", "content-length": length}
    response = api.request("PUT", "/v1/videos/odd", content=b"{}", headers=headers)
    assert response.status_code in {413, 422}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", "ÿ"]
)
def test_a_body_that_is_not_called_json_is_refused_by_name(api: Api, kind: str) -> None:
    body = json.dumps({"features": features(1)}).encode()
    headers = {"content-type": kind.encode("latin-1")}
    response = api.request("PUT", "/v1/videos/odd", content=body, headers=headers)
    assert response.status_code == 415
    assert response.headers["content-type"] == "application/problem+json"
    assert "application/json" in response.json()["detail"]
    assert api.head() == ""


def test_a_body_without_a_content_type_is_refused_by_name(api: Api) -> None:
    response = api.request("POST", "/v1/interactions", content=b'{"interactions": []}')
    assert response.status_code == 415
    assert "got none" in response.json()["detail"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.video+json"]
)
def test_every_way_to_say_json_is_taken(api: Api, kind: str) -> None:
    body = json.dumps({"features": features(1)}).encode()
    response = api.request("PUT", "/v1/videos/v", content=body, headers={"content-type": kind})
    assert response.status_code == 201
