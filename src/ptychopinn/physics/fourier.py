r"""The centred unitary Fourier pair: the only place where fftshift appears.

\[ \Psi = \mathcal{F}[\psi] = \mathrm{fftshift}(\mathrm{fft2}(\mathrm{ifftshift}(\psi))) / \sqrt{HW} \]

Zero frequency sits at (H//2, W//2) for even and odd sizes. `to_sample` is the inverse, and because the
transform is unitary also the adjoint.
"""

import math

import torch
from jaxtyping import Complex, Float, Inexact, Shaped
from torch import Tensor

_AXES = (-2, -1)


def to_detector(wave: Inexact[Tensor, "*batch H W"]) -> Complex[Tensor, "*batch H W"]:
    """Propagate a wave from the sample to the far field; energy is preserved.

    >>> wave = torch.randn(3, 8, 9, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(to_sample(to_detector(wave)), wave, atol=1e-6)
    True
    """
    return torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(wave, dim=_AXES), norm="ortho"), dim=_AXES)


def to_sample(wave: Inexact[Tensor, "*batch H W"]) -> Complex[Tensor, "*batch H W"]:
    """Propagate a wave from the far field back to the sample: inverse and adjoint of `to_detector`."""
    return torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(wave, dim=_AXES), norm="ortho"), dim=_AXES)


def centre_zero_frequency(patterns: Shaped[Tensor, "*batch H W"]) -> Shaped[Tensor, "*batch H W"]:
    """Move the zero frequency of recorded patterns from element (0, 0) to (H//2, W//2)."""
    return torch.fft.fftshift(patterns, dim=_AXES)


def uncentre_zero_frequency(patterns: Shaped[Tensor, "*batch H W"]) -> Shaped[Tensor, "*batch H W"]:
    """Inverse, and adjoint, of `centre_zero_frequency`; not the same map where a size is odd."""
    return torch.fft.ifftshift(patterns, dim=_AXES)


def frequencies(
    size: int, *, device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, " size"]:
    """Centred frequencies of an axis of `size` elements, cycles per pixel; zero at size//2."""
    return (torch.arange(size, device=device, dtype=dtype) - size // 2) / size


def gaussian_exponent(like: Float[Tensor, "*batch H W"], *, half: bool = False) -> Float[Tensor, "H K"]:
    r"""\(-2 \pi^2 |x|^2\) at the frequencies x of an image, 1/px: \(e^{-2 \pi^2 \sigma^2 |x|^2}\) blurs it.

    The transform of a Gaussian of standard deviation \(\sigma\) px and sum 1. Zero frequency is at element (0, 0).

    Args:
        like: of the size and precision of the image.
        half: in the order of `torch.fft.rfft2` and not of `torch.fft.fft2`.
    """
    height, width = like.shape[-2:]
    columns = torch.fft.rfftfreq if half else torch.fft.fftfreq
    y = torch.fft.fftfreq(height, device=like.device, dtype=like.dtype)
    x = columns(width, device=like.device, dtype=like.dtype)
    return -2 * math.pi**2 * (y[:, None] ** 2 + x**2)
