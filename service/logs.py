"""How log lines look, and which request they are about. Knows no room of the service."""

import logging
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import structlog


@dataclass
class About:
    """The request that is being worked on, and the view that answers it, once there is one."""

    request_id: str
    bundle_id: str | None = None
    position: str | None = None


ABOUT: Final[ContextVar[About | None]] = ContextVar("about", default=None)


def configure_logging(*, level: str, style: str, process: int | None = None) -> None:
    """Send our lines and those of libraries to stderr in one shape: `console` or `json`.

    Where there are several processes each says in its lines which `process` it is.
    """
    shared: list[structlog.typing.Processor] = [
        _add_request,
        *([] if process is None else [_Process(process)]),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
    )
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        # The renderer's own tracebacks show the values of local variables: ids among them.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    # A traceback as one field in JSON; the console renderer draws its own.
    last = [structlog.processors.format_exc_info, render] if style == "json" else [render]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class _Process:
    """Says in a line which process wrote it; what the line says itself wins."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(
        self, _: structlog.typing.WrappedLogger, __: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        line.setdefault("process", self._number)
        return line


def _add_request(
    _: structlog.typing.WrappedLogger, __: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Say in a line that is written within a request which one it is; what it says itself wins."""
    about = ABOUT.get()
    if about is not None:
        said = {name: value for name, value in vars(about).items() if value is not None}
        line.update({**said, **line})
    return line
