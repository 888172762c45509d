"""The console's files, read once. Knows types and caching; nothing of what the page asks."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

FOLDER: Final = Path(__file__).parents[1] / "console"
PAGE: Final = "index.html"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Its own files and this service, nothing else. Text never becomes elements: no type is trusted.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class StaticFile(NamedTuple):
    """A file as it is sent."""

    body: bytes
    media_type: str
    etag: str


def console_router() -> APIRouter:
    """Return the routes of the page and of what it is made of; it is read when first asked for."""
    files = cache(_read_all)
    router = APIRouter(include_in_schema=False)

    @router.get("/console")
    async def get_console(request: Request) -> Response:
        """Return the page."""
        return _answer(files()[PAGE], request)

    @router.get("/console/{name}")
    async def get_console_file(name: str, request: Request) -> Response:
        """Return a file of the page."""
        if name == PAGE or name not in files():
            raise HTTPException(404, f"the console has no file {name[:80]!r}")
        return _answer(files()[name], request)

    return router


def _read_all() -> dict[str, StaticFile]:
    return {file.name: _read(file) for file in FOLDER.iterdir() if file.suffix in TYPES}


def _read(file: Path) -> StaticFile:
    body = file.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return StaticFile(body, TYPES[file.suffix], etag)


def _answer(file: StaticFile, request: Request) -> Response:
    """Return the file, or 304 to a browser that has it: it asks each time, for an update shows."""
    headers = {
        "ETag": file.etag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
    }
    known = request.headers.get("if-none-match", "")
    if file.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers=headers, media_type=file.media_type)
