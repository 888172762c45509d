"""A server that answers what a test has written down, and remembers what it was asked."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """One answer; after `wait` seconds, and cut off after `cut` bytes if that is said."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = {}
    wait: float = 0.0
    cut: int | None = None


class Asked(NamedTuple):
    """One request as it came; names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    moment: float


@dataclass
class Script:
    """The answers to come, the last of them for ever, and the requests that came."""

    url: str
    answers: list[Answer]
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def scripted(answers: Sequence[Answer]) -> Iterator[Script]:
    """Answer on a free port of the loopback until the block ends."""
    script = Script("", list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.asked.append(Asked(self.command, self.path, headers, body, time.monotonic()))
            planned = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            time.sleep(planned.wait)
            try:
                self.send_response(planned.status)
                for name, value in planned.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(planned.body)))
                self.end_headers()
                self.wfile.write(planned.body[: planned.cut])
            except OSError:
                self.close_connection = True
            if planned.cut is not None:
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - its way to say it

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - its name for it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
