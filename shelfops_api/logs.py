"""One JSON object per log line, with the request id, for our own records and for those of uvicorn and libraries."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog

_TAKEN_OVER = ("", "uvicorn", "uvicorn.error", "uvicorn.access")
_SILENT = ("uvicorn.access",)  # our own line per request says more
_SOCKET_LINES = ('%s - "WebSocket', "connection ")  # uvicorn's, with the whole query: so does ours

_SHARED: Final[tuple[structlog.typing.Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
"""What is added to every line, whether it is ours or a library's."""


def _is_wanted(record: logging.LogRecord) -> bool:
    return not (record.name == "uvicorn.error" and str(record.msg).startswith(_SOCKET_LINES))


def _handler(shared: Sequence[structlog.typing.Processor]) -> logging.Handler:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.addFilter(_is_wanted)
    return handler


@contextmanager
def json_logs(level: str, retailer: str) -> Iterator[None]:
    """Log as JSON to standard error within the block, then put the handlers back that were there.

    Every line says whose service it is, under `dataset`, as the pipeline's lines do.

    Tracebacks are plain text without local variables, which could hold a secret.
    """

    def name_retailer(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("dataset", retailer)
        return event

    shared = [name_retailer, *_SHARED]
    configured = structlog.get_config()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    loggers = [logging.getLogger(name) for name in _TAKEN_OVER]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [], logger.name not in _SILENT
    loggers[0].handlers = [_handler(shared)]
    loggers[0].setLevel(level.upper())
    try:
        yield
    finally:
        for logger, handlers, old_level, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(old_level)
        structlog.configure(**configured)
