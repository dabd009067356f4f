r"""A correction of an image in units of its counting noise.

A pixel under W photons has a noise of \(\sigma = 1 / (2 \sqrt W)\) in real and imaginary part. The network sees the
object O in the phase of its neighbourhood, \(O e^{-i \arg G(O)}\) with a Gaussian mean G, so that neither a global
phase nor slow phase gradients matter; its output f is in sigma, and the correction is

\[ \delta = \sigma\, e^{i \arg G(O)} [f - G'(f)] \]

with another Gaussian mean G': what is smooth stays as it is, and where photons abound little is changed.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptychopinn.generators.unrolled import local_mean
from ptychopinn.prior.canvas import PriorCanvas
from ptychopinn.prior.recipe import PriorRecipe
from ptychopinn.typing import Canvas

CHANNELS = 8
"""Of the features: O - 1, the same over (sigma + floor), the step of the counts, ln sigma, and the covered pixels."""
DARKEST_PHOTONS = 1e-3
"""Photons on a pixel below which sigma stays constant."""


TILE_PX = 512
"""Largest side of the parts of an image that are computed one after the other, without the margin that each needs."""
ORIENTATIONS: tuple[tuple[bool, tuple[int, ...]], ...] = (
    (False, ()),
    (True, ()),
    (False, (-2, -1)),
    (True, (-2, -1)),
)
"""Whether rows and columns are exchanged, and the axes that are mirrored then; the first one leaves all as it is. All
eight gain 0.03 dB of amplitude more than these, in twice the time."""


@dataclass(frozen=True)
class Shown:
    """An image as the network sees it."""

    features: Tensor
    """(8, Y, X)."""
    sigma: Tensor
    """(Y, X), standard deviation of the counting noise in real and imaginary part."""
    frame: Canvas
    """(Y, X), of modulus 1: the phase of the neighbourhood."""
    covered: Tensor
    """(Y, X), bool."""


def shown(canvas: PriorCanvas, recipe: PriorRecipe) -> Shown:
    """What the network is shown of an image."""
    covered = canvas.covered
    sigma = 0.5 * canvas.power.clamp_min(DARKEST_PHOTONS).rsqrt()
    frame = local_phase(canvas.object_ * covered, recipe.frame_px)
    contrast = (canvas.object_ * frame.conj() - 1) * covered
    step = canvas.step * frame.conj() * recipe.step_scale / sigma
    noise = sigma + recipe.noise_floor
    parts = (contrast.real, contrast.imag, contrast.real / noise, contrast.imag / noise, step.real, step.imag)
    features = torch.stack((*parts, sigma.log() * covered, covered.to(sigma.dtype)))
    return Shown(features, sigma, frame, covered)


def local_phase(object_: Canvas, deviation_px: float) -> Canvas:
    """(Y, X), of modulus 1: the phase of Gaussian means, 1 where they vanish."""
    parts = local_mean(torch.view_as_real(object_).permute(2, 0, 1)[None], deviation_px)[0]
    mean = torch.complex(parts[0], parts[1])
    length = mean.abs()
    return torch.where(length > 1e-6, mean / length.clamp_min(1e-6), torch.ones_like(mean))


def without_mean(output: Tensor, covered: Tensor, recipe: PriorRecipe) -> Tensor:
    """Outputs (B, 2, Y, X) less their Gaussian mean, zero where not covered."""
    inside = covered.unsqueeze(-3).to(output.dtype)
    output = output * inside
    return (output - local_mean(output, recipe.local_mean_px)) * inside


@final
class PriorNetwork(nn.Module):
    """A residual U-Net of 3x3 convolutions; the last layer starts at zero, so that an untrained one corrects nothing.

    Args:
        recipe: its size and scales.
    """

    def __init__(self, recipe: PriorRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        widths = [recipe.width * 2**level for level in range(recipe.levels)]
        self.first = nn.Conv2d(CHANNELS, widths[0], 3, padding=1)
        self.before = nn.ModuleList(_blocks(width, recipe.blocks) for width in widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.after = nn.ModuleList(_blocks(width, recipe.blocks) for width in widths)
        self.last = nn.Conv2d(widths[0], 2, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Tensor, *, half: bool = False) -> Tensor:
        """Outputs (B, 2, Y, X) in sigma, of features (B, 8, Y, X) of any size.

        Args:
            features: see `shown`.
            half: compute all but the first and the last layer in bfloat16. This halves the time of training.
        """
        height, width = features.shape[-2:]
        multiple = 2 ** (self.recipe.levels - 1)
        padding = (0, -width % multiple, 0, -height % multiple)
        image = self.first(functional.pad(features, padding, mode="constant"))
        with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            image = self._inner(image)
        limit = self.recipe.limit_sigma
        return self.last(image)[..., :height, :width].clamp(-limit, limit)

    def _inner(self, image: Tensor) -> Tensor:
        skipped = []
        for level, block in enumerate(self.before):
            image = block(image if level == 0 else self.down[level - 1](image))
            skipped.append(image)
        image = self.after[-1](image)
        for level in reversed(range(len(self.up))):
            image = self.after[level](skipped[level] + self.up[level](image))
        return image

    @torch.no_grad()
    def correction(self, canvas: PriorCanvas, orientations: int = len(ORIENTATIONS), *, half: bool = False) -> Canvas:
        """The correction (Y, X) of an image, in units of the object.

        Args:
            canvas: the image.
            orientations: number of those in which the network sees it; its answers are averaged. Four gain 0.21 dB
                of amplitude and 0.09 dB of phase over one.
            half: see `forward`; moves the correction by 0.003 sigma, rms.
        """
        image = shown(canvas, self.recipe)
        seen = ORIENTATIONS[:orientations]
        answers = [_turned_back(self.in_tiles(_turned(image.features, one), half=half), one) for one in seen]
        output = without_mean(torch.stack(answers).mean(0)[None], image.covered[None], self.recipe)[0]
        return torch.complex(output[0], output[1]) * image.sigma * image.frame

    def in_tiles(self, features: Tensor, *, half: bool = False) -> Tensor:
        """Outputs (2, Y, X) of features (8, Y, X) of an image of any size, in the memory of one tile.

        Each tile is computed with a margin as wide as the network sees, so that the outputs are those of the whole
        image. Tiles without a covered pixel are 0.
        """
        height, width = features.shape[-2:]
        output = features.new_zeros(2, height, width)
        for rows, outer_rows, inner_rows in self._tiles(height):
            for columns, outer_columns, inner_columns in self._tiles(width):
                if features[-1, rows, columns].any():
                    tile = features[None, :, outer_rows, outer_columns]
                    tile = tile.contiguous(memory_format=torch.channels_last)  # faster on a CPU
                    found = self(tile, half=half)[0]
                    output[:, rows, columns] = found[:, inner_rows, inner_columns]
        return output

    @property
    def margin_px(self) -> int:
        """How far the network sees beyond a pixel, px: a multiple of the px that one of its coarsest level has."""
        recipe = self.recipe
        coarsest = 2 ** (recipe.levels - 1)
        blocks = sum(2 ** (level + 1) for level in range(recipe.levels)) * 2 * recipe.blocks
        reach = 2 + blocks + 2 * coarsest  # the first and the last layer, and the pixels that are merged
        return -(-reach // coarsest) * coarsest

    def _tiles(self, length: int) -> Iterator[tuple[slice, slice, slice]]:
        """Parts of one side of an image, each of them with its margin, and where the part lies in that."""
        coarsest = 2 ** (self.recipe.levels - 1)
        side = -(-length // -(-length // TILE_PX))  # of parts that are as equal as their start at a coarse pixel allows
        side = -(-side // coarsest) * coarsest
        for start in range(0, length, side):
            stop = min(start + side, length)
            first, last = max(start - self.margin_px, 0), min(stop + self.margin_px, length)
            yield slice(start, stop), slice(first, last), slice(start - first, stop - first)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether a device is a CPU with instructions for bfloat16, where the network takes half the time in it."""
    capabilities: dict[str, object] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # torch before 2.10 does not state them
    return device.type == "cpu" and any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def _turned(images: Tensor, orientation: tuple[bool, tuple[int, ...]]) -> Tensor:
    """Images (..., Y, X), transposed or not, then mirrored along axes."""
    is_transposed, mirrored = orientation
    return (images.transpose(-1, -2) if is_transposed else images).flip(mirrored)


def _turned_back(images: Tensor, orientation: tuple[bool, tuple[int, ...]]) -> Tensor:
    is_transposed, mirrored = orientation
    images = images.flip(mirrored)
    return images.transpose(-1, -2) if is_transposed else images


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.outer = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.outer(functional.relu(self.inner(functional.relu(image))))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width) for _ in range(count)))
