"""What the core says, under the names that a client's task log shows."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

CORE = "ptychopinn"
CLIENT = "ptychopinn-torch"
"""The client shows the lines of this logger and of its children, and no others."""


class _Renamed(logging.Handler):
    """Passes every record on under the client's name in place of the core's."""

    def emit(self, record: logging.LogRecord) -> None:
        name = CLIENT + record.name.removeprefix(CORE)
        target = logging.getLogger(name)
        if target.isEnabledFor(record.levelno):
            target.handle(logging.makeLogRecord({**record.__dict__, "name": name}))


@contextmanager
def client_log() -> Iterator[None]:
    """Let the core's lines appear as the client's, once each; calls may be nested, the root logger stays as it is."""
    core = logging.getLogger(CORE)
    if any(isinstance(handler, _Renamed) for handler in core.handlers):
        yield
        return
    handler, propagated = _Renamed(), core.propagate
    core.addHandler(handler)
    core.propagate = False
    try:
        yield
    finally:
        core.propagate = propagated
        core.removeHandler(handler)
