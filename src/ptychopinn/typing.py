"""Array aliases: axis letters are those of docs/glossary.md, order is always (y, x)."""

from typing import TypeAlias

from jaxtyping import Bool, Complex, Float
from torch import Tensor

Patterns: TypeAlias = Float[Tensor, "*batch H W"]
"""Amplitudes, sqrt(photons), or intensities, photons; the name of the argument says which."""
Mask: TypeAlias = Bool[Tensor, "*batch H W"]
"""True where a detector pixel was measured."""
Probe: TypeAlias = Complex[Tensor, "*batch M H W"]
"""Illumination modes, sqrt(photons)."""
Patches: TypeAlias = Complex[Tensor, "*batch H W"]
"""Object windows, one for each pattern."""
Positions: TypeAlias = Float[Tensor, "*batch 2"]
"""(y, x) of patch element (H//2, W//2) in the object frame, px."""
Canvas: TypeAlias = Complex[Tensor, "*batch Y X"]
"""The object, or an array onto which patches are accumulated."""
