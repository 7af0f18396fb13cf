"""Logs: one line for each thing worth knowing, JSON unless a person watches. Control characters are neutralised.

Ids, never secrets or bodies: whoever logs passes what may be read by anybody who reads logs.
"""

import contextlib
import logging
import re
import sys
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configure(*, terminal: bool | None = None) -> None:
    """Write logs to standard error: coloured lines on a terminal, JSON elsewhere."""
    for_people = sys.stderr.isatty() if terminal is None else terminal
    render: Processor = structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            neutralise,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=Loggers(),
        cache_logger_on_first_use=True,
    )


class Logger(structlog.PrintLogger):
    """A line that can't be written (its disk is full, its reader gone) is lost: nobody who logs fails for it."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


class Loggers:
    """Makes them, all on standard error."""

    def __call__(self, *_: Any) -> Logger:
        return Logger(sys.stderr)


def neutralise(_: Any, __: str, event: EventDict) -> EventDict:
    """No value breaks a line or drives a terminal; a traceback keeps its line breaks."""
    return {
        key: plain(value) if isinstance(value, str) and key != "exception" else value for key, value in event.items()
    }


def plain(text: str) -> str:
    """The text with its control characters written out."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
