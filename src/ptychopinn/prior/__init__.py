"""A trained network that takes counting noise off the image of the solver, as far as the photons support it."""

from ptychopinn.prior.apply import PriorEffect, with_prior
from ptychopinn.prior.canvas import PriorCanvas, canvas_of
from ptychopinn.prior.files import DEFAULT, Prior, default_file, load_prior, save_prior
from ptychopinn.prior.network import PriorNetwork
from ptychopinn.prior.recipe import PriorRecipe, PriorRecord

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
