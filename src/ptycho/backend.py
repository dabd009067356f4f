"""Which backend runs: one rule for the workflows and the commands.

A request is, in this order: what the caller gives (a flag), a setting that differs from its default, the environment
variable `PTYCHOPINN_BACKEND`. Nothing requested: `pytorch` trains, and an archive is run by its own backend. A backend
that cannot run is an error; there is no silent fall-back. `ptycho_torch` is always PyTorch: see `only_pytorch`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ptychopinn.errors import ConfigError

BACKENDS = ("pytorch", "tensorflow")
DEFAULT = "pytorch"
VARIABLE = "PTYCHOPINN_BACKEND"
_pinned: ContextVar[bool] = ContextVar("_pinned", default=False)


@contextmanager
def only_pytorch() -> Iterator[None]:
    """Within the block PyTorch is requested, whatever settings and the variable name."""
    token = _pinned.set(True)
    try:
        yield
    finally:
        _pinned.reset(token)


def requested_backend(given: str | None = None, configured: str = DEFAULT) -> str | None:
    """The backend that was asked for, or None; a `ConfigError` for a name that is no backend has the place of it.

    `given` is what the caller names; `configured`, the field `backend` of a config, asks for nothing at its default, so
    that the variable governs clients whose settings have no such field.

    Args:
        given: what the caller names; wins over all else.
        configured: the field `backend` of a config; its default asks for nothing, so that the variable governs
            clients whose settings have no such field.

    Raises:
        ConfigError: a name that is no backend; the message names where it stands.
    """
    if _pinned.get():
        return "pytorch"
    places = (("backend", given), ("backend", configured if configured != DEFAULT else ""))
    for where, name in (*places, (VARIABLE, os.environ.get(VARIABLE))):
        if name and name.strip().lower() not in BACKENDS:
            raise ConfigError(f"{where} = {name!r} is no backend; choose one of {', '.join(BACKENDS)}")
        if name:
            return name.strip().lower()
    return None


def training_backend(given: str | None = None, configured: str = DEFAULT) -> str:
    """The backend that trains: the requested one, else `pytorch`; a `ConfigError` if it cannot run here.

    Raises:
        ConfigError: a name that is no backend, or one that cannot run here.
    """
    wanted = requested_backend(given, configured) or DEFAULT
    if wanted != DEFAULT:
        raise ConfigError(
            f"backend {wanted!r} is not available in this version of ptychopinn; choose {DEFAULT} by "
            f"--backend {DEFAULT} or backend='{DEFAULT}', and unset {VARIABLE} where it names {wanted}"
        )
    return wanted


def loading_backend(
    archive: str, given: str | None = None, configured: str = DEFAULT, *, converts: bool = False
) -> str:
    """The backend that runs a saved model, which is that of the `archive`; a `ConfigError` if another is requested.

    Args:
        archive: the backend that the archive names.
        given: as for `requested_backend`.
        configured: as for `requested_backend`.
        converts: whether PyTorch runs the model too, as it does those of the earlier implementation.

    Raises:
        ConfigError: the request and the archive differ, and no conversion exists; both are named.
    """
    wanted = requested_backend(given, configured)
    if converts and wanted in (None, DEFAULT):
        return DEFAULT
    if converts:
        return training_backend(given, configured)
    wanted = wanted or archive
    if wanted != archive:
        raise ConfigError(
            f"backend {wanted!r} was requested but the model was saved by backend {archive!r}, and there is no "
            f"conversion between them; leave the choice open or ask for {archive} (--backend, {VARIABLE})"
        )
    return archive
