"""Whether the modulus of an object can be a transmission."""

from collections.abc import Mapping
from typing import Any


def transmission_warning(found: Mapping[str, Any] | None) -> str | None:
    """What to say of the entry `gauge.transmission` of a result; None if the transmission may be right.

    >>> transmission_warning({"brightest": 1.25, "error": 0.1, "above_1": True})[:46]
    'the transmission exceeds 1: the median modulus'
    """
    if found is None or found["above_1"] is not True:
        return None
    return (
        f"the transmission exceeds 1: the median modulus of the brightest tenth is {found['brightest']:.3g}, its error "
        f"{found['error']:.2g}; the probe has fewer photons than fell on the sample, so check its calibration, or set "
        "model.intensity_scale=data for a relative scale"
    )
