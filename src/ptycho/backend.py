"""Which backend runs the workflows and the commands: the rule of the core, under the names of this package."""

from ptychopinn.config.backend import (
    BACKENDS,
    DEFAULT,
    VARIABLE,
    loading_backend,
    only_pytorch,
    requested_backend,
    training_backend,
)

__all__ = [
    "BACKENDS",
    "DEFAULT",
    "VARIABLE",
    "loading_backend",
    "only_pytorch",
    "requested_backend",
    "training_backend",
]
