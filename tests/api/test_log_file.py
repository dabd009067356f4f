"""A log that the disk refuses stops no run, and says so once."""

import errno
import logging
from pathlib import Path

import pytest

from ptychopinn.api.log_file import LogFile


def test_a_full_disk_ends_the_log_and_not_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.Logger("test")
    log = LogFile(tmp_path / "run.log")
    logger.addHandler(log)
    logger.info("first")

    def refuse(text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    log.stream.write = refuse  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING, "ptychopinn"):
        logger.info("second")
        logger.info("third")
    log.close()
    assert (tmp_path / "run.log").read_text() == "first\n"
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/run.log: cannot be written any more (No space left on device); this log is incomplete"
    ]
    assert capsys.readouterr().err == ""
