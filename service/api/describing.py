"""Completes the OpenAPI document: bodies that routes read themselves, problems, examples.

Knows the document's form and all paths; asks no service.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from service.api.decoding import body_schemas
from service.api.examples import BODIES, LINES, PATH, REPLIES, TOLD
from service.api.problems import OTHERS, PROBLEMS
from service.api.protection.access import PROBLEM_CONTENT, describe_needs

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
# Answered by the server itself, before anything of ours.
NO_HTTP: Final = {
    "description": "No HTTP that can be read, or a URL of more than 64 KiB",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


def complete(document: dict[str, Any], *, keys_needed: bool) -> dict[str, Any]:
    """Return the `document` that FastAPI has made of the routes, with what they do not declare."""
    document["components"]["schemas"].update(body_schemas())
    for path, method, operation in _operations(document):
        _tell_problems(path, method, operation)
        _give_examples(operation)
    if keys_needed:
        describe_needs(document)
    return document


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _tell_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    """Put every status that the operation may be refused with into the place of FastAPI's."""
    good = {code: one for code, one in operation["responses"].items() if code.startswith("2")}
    statuses = {422}
    if path.startswith("/v1/") or path == "/readyz":
        statuses.add(503)
    if "{video_id}" in path and method in {"get", "patch"}:
        statuses.add(404)
    if path.startswith("/console/"):
        statuses.add(404)
    if "requestBody" in operation:
        statuses |= {408, 413, 415}
    told = {str(status): _problem(status) for status in sorted(statuses)}
    operation["responses"] = {**good, "400": NO_HTTP, **told}


def _problem(status: int) -> dict[str, Any]:
    """Return what is said of refusals with `status`: every title that they may have."""
    titles = {answer.title for answer in PROBLEMS.values() if answer.status == status}
    if not titles:
        titles = {OTHERS[status].title}
    return {"description": "; ".join(sorted(titles)), "content": PROBLEM_CONTENT}


def _give_examples(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in PATH:
            parameter["example"] = PATH[parameter["name"]]
    body = operation.get("requestBody", {}).get("content", {})
    replies = [one.get("content", {}) for one in operation["responses"].values()]
    for contents, examples, lines in (
        (body, BODIES, LINES),
        *((r, REPLIES, TOLD) for r in replies),
    ):
        if NDJSON in contents:
            contents[NDJSON]["example"] = lines
        name = contents.get(JSON, {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if name in examples:
            contents[JSON]["example"] = examples[name]
