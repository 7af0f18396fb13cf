"""Logs must not harm whoever writes them."""

import errno
import io
import sys

import pytest

from tocsin import log


class FullDisk(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", FullDisk())
    logger = log.Loggers()()
    for level in (logger.info, logger.warning, logger.error):
        level("what nobody can read")


def test_a_line_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    log.Loggers()().error('{"event": "x"}')
    assert written.getvalue() == '{"event": "x"}\n'
