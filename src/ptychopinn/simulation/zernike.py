"""Zernike polynomials on the unit disk, in Noll's order."""

from math import factorial

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]


def noll_indices(j: int) -> tuple[int, int]:
    """Radial order n and azimuthal frequency m (negative: sine) of Noll's term j, counted from 1.

    Raises:
        ValueError: j below 1.

    >>> [noll_indices(j) for j in (1, 4, 5, 6, 7, 8, 11)]
    [(0, 0), (2, 0), (2, -2), (2, 2), (3, -1), (3, 1), (4, 0)]
    """
    if j < 1:
        raise ValueError(f"Zernike term {j}: Noll counts from 1")
    n = int((np.sqrt(8 * j - 7) - 1) // 2)
    place = j - n * (n + 1) // 2 - 1
    m = (n % 2) + 2 * ((place + 1 - n % 2) // 2)
    return n, m if j % 2 == 0 else -m


def zernike(j: int, rho: Field, angle: Field) -> Field:
    r"""Noll's term j, of mean square 1 on the unit disk.

    \[ Z = \sqrt{(2 - \delta_{m0})(n + 1)}\; R_n^{|m|}(\rho)\, \{\cos m\theta \text{ or } \sin |m|\theta\} \]

    Args:
        j: from 1 on.
        rho: distance from the centre, 1 at the rim; larger values are continued by the polynomial.
        angle: from the x axis towards growing y, rad.

    Source: Noll, "Zernike polynomials and atmospheric turbulence", J. Opt. Soc. Am. 66 (1976).
    """
    n, m = noll_indices(j)
    k = abs(m)
    radial = np.zeros_like(rho)
    for s in range((n - k) // 2 + 1):
        weight = (-1) ** s * factorial(n - s)
        weight //= factorial(s) * factorial((n + k) // 2 - s) * factorial((n - k) // 2 - s)
        radial += weight * rho ** (n - 2 * s)
    if m == 0:
        return np.sqrt(n + 1) * radial
    return np.sqrt(2 * (n + 1)) * radial * (np.cos(k * angle) if m > 0 else np.sin(k * angle))
