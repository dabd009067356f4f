"""Which backend is asked for: one rule for the recipe, the commands, the client packages and the environment.

A request is, in this order: what the caller gives (a flag, an override), a setting that differs from its default, the
variable `PTYCHOPINN_BACKEND`. Nothing requested: `pytorch` trains, and an archive is run by its own backend.
A backend that cannot run is an error; there is no silent fall-back. `ptycho_torch` is always PyTorch: see
`only_pytorch`. `ptychopinn.api.backends` runs what is chosen here.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Literal, get_args

from ptychopinn.errors import ConfigError

logger = logging.getLogger("ptychopinn")

Backend = Literal["pytorch", "tensorflow"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
DEFAULT: Backend = "pytorch"
VARIABLE = "PTYCHOPINN_BACKEND"
PIP_LINE = "pip install 'ptychopinn[tensorflow]'"
_pinned: ContextVar[bool] = ContextVar("_pinned", default=False)


@contextmanager
def only_pytorch() -> Iterator[None]:
    """Within the block PyTorch is requested, whatever settings and the variable name."""
    token = _pinned.set(True)
    try:
        yield
    finally:
        _pinned.reset(token)


def requested_backend(given: str | None = None, configured: str = DEFAULT) -> Backend | None:
    """The backend that was asked for, or None.

    Args:
        given: what the caller names; wins over all else.
        configured: the field `backend` of a recipe or config; its default asks for nothing, so that the variable
            governs clients whose settings have no such field.

    Raises:
        ConfigError: a name that is no backend; the message names where it stands.

    >>> requested_backend("TensorFlow")
    'tensorflow'
    """
    if _pinned.get():
        return "pytorch"
    places = (("backend", given), ("backend", configured if configured != DEFAULT else ""))
    for where, name in (*places, (VARIABLE, os.environ.get(VARIABLE))):
        wanted = (name or "").strip().lower()
        if name and wanted not in BACKENDS:
            raise ConfigError(f"{where} = {name!r} is no backend; choose one of {', '.join(BACKENDS)}")
        if name:
            return wanted  # type: ignore[return-value]
    return None


def check_installed(backend: str) -> None:
    """Refuse a backend whose packages are missing; nothing is imported.

    Raises:
        ConfigError: with the line that installs them.
    """
    if backend != DEFAULT and not _is_installed():
        raise ConfigError(
            f"the backend {backend} needs packages that are not installed; {PIP_LINE}, or choose {DEFAULT} by "
            f"--backend {DEFAULT} or backend={DEFAULT}, and unset {VARIABLE} where it names {backend}"
        )


def _is_installed() -> bool:
    return all(find_spec(name) is not None for name in ("tensorflow", "keras"))


def training_backend(given: str | None = None, configured: str = DEFAULT) -> Backend:
    """The backend that trains: the requested one, else `pytorch`; arguments as for `requested_backend`.

    Raises:
        ConfigError: a name that is no backend, or one that is not installed.
    """
    wanted = requested_backend(given, configured) or DEFAULT
    check_installed(wanted)
    return wanted


def loading_backend(
    archive: Backend | Sequence[Backend], given: str | None = None, configured: str = DEFAULT, obstacle: str = ""
) -> Backend:
    """The backend that runs a saved model: the requested one, else that of the archive.

    Args:
        archive: whose weights the archive holds, the one that wrote it first.
        given: as for `requested_backend`.
        configured: as for `requested_backend`.
        obstacle: why TensorFlow cannot run the model; PyTorch can run every one.

    Raises:
        ConfigError: the request and the archive differ, and no conversion exists: both are named; or the requested
            backend is not installed.
    """
    holds = (archive,) if isinstance(archive, str) else tuple(archive)
    wanted = requested_backend(given, configured)
    if wanted is None:
        if holds[0] == "pytorch" or (_is_installed() and not obstacle):
            return holds[0]
        reason = obstacle or f"TensorFlow is not installed ({PIP_LINE})"
        logger.info("PyTorch runs this model of the backend tensorflow, since %s", reason)
        return "pytorch"
    if wanted == "tensorflow" and obstacle:
        raise ConfigError(
            f"backend {wanted!r} was requested but the model was saved by backend {holds[0]!r}, and there is no "
            f"conversion between them for this model: {obstacle}; leave the choice open or ask for pytorch "
            f"(--backend, {VARIABLE})"
        )
    check_installed(wanted)
    return wanted
