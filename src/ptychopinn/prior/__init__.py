"""A trained network that takes counting noise off the image of the solver, as far as the photons support it."""

from typing import TYPE_CHECKING

from ptychopinn.lazy import loads

if TYPE_CHECKING:
    from ptychopinn.prior.apply import PriorEffect, with_prior
    from ptychopinn.prior.canvas import PriorCanvas, canvas_of
    from ptychopinn.prior.files import Prior, default_file, load_prior, save_prior
    from ptychopinn.prior.network import PriorNetwork
    from ptychopinn.prior.recipe import DEFAULT, PriorRecipe, PriorRecord

__all__ = [
    "DEFAULT",
    "Prior",
    "PriorCanvas",
    "PriorEffect",
    "PriorNetwork",
    "PriorRecipe",
    "PriorRecord",
    "canvas_of",
    "default_file",
    "load_prior",
    "save_prior",
    "with_prior",
]

__getattr__ = loads(
    globals(),
    {
        "PriorEffect": "ptychopinn.prior.apply",
        "with_prior": "ptychopinn.prior.apply",
        "PriorCanvas": "ptychopinn.prior.canvas",
        "canvas_of": "ptychopinn.prior.canvas",
        "DEFAULT": "ptychopinn.prior.recipe",
        "Prior": "ptychopinn.prior.files",
        "default_file": "ptychopinn.prior.files",
        "load_prior": "ptychopinn.prior.files",
        "save_prior": "ptychopinn.prior.files",
        "PriorNetwork": "ptychopinn.prior.network",
        "PriorRecipe": "ptychopinn.prior.recipe",
        "PriorRecord": "ptychopinn.prior.recipe",
    },
)
