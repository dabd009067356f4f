"""What textures are made from: grids, random fields, soft shapes, and the pair of fields that a material is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Texture:
    """Absorption and phase delay of a material, each (Y, X) with smallest value 0 and largest 1.

    The two are correlated but not proportional, as for a sample of more than one chemical element.
    """

    absorption: Field
    phase: Field


def stretched(absorption: Field, phase: Field) -> Texture:
    """A texture of any two fields, each stretched to [0, 1]."""
    return Texture(to_unit(absorption), to_unit(phase))


def to_unit(field: Field) -> Field:
    """Stretch to [0, 1], 0.2 % clipped on each side so that outliers do not set the contrast; 0 where constant."""
    low, high = np.quantile(field, [0.002, 0.998])
    if high <= low:
        low, high = field.min(), field.max()
    if high <= low:
        return np.zeros_like(field)
    return np.clip((field - low) / (high - low), 0, 1)


def grid(shape: tuple[int, int]) -> tuple[Field, Field]:
    """Rows (Y, 1) and columns (1, X) of a picture."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return y.astype(np.float64), x.astype(np.float64)


def random_field(shape: tuple[int, int], exponent: float, rng: np.random.Generator) -> Field:
    """Gaussian field of mean 0 and deviation 1 with power spectrum |k|^-exponent."""
    from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq

    k = np.hypot(fftfreq(shape[0])[:, None], rfftfreq(shape[1])[None])
    k[0, 0] = np.inf
    field = irfft2(rfft2(rng.standard_normal(shape)) * k ** (-exponent / 2), s=shape)
    return (field - field.mean()) / field.std()


def disk(shape: tuple[int, int], centre: tuple[float, float], radius: float, softness: float) -> Field:
    """1 inside, 0 outside, a linear edge `softness` px wide."""
    y, x = grid(shape)
    return np.clip((radius - np.hypot(y - centre[0], x - centre[1])) / softness + 0.5, 0, 1)
