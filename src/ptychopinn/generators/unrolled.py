r"""An iterative solver that was unrolled: stages of physics, each with a network that corrects the object.

A stage takes steps of the parallel ptychographical iterative engine (PIE) on the object of all patterns at once, a
canvas,

\[ O' = O + \frac{\sum_n \mathrm{place}\left( \sum_m \bar P_{nm}\, \mathcal{D}^\dagger\left[
   \left( \frac{a_n}{\sqrt{\sum_m |D_{nm}|^2}} - 1 \right) D_{nm} \right] \right)}
   {W + \alpha \max W}, \quad D_{nm} = \mathcal{D}[P_{nm} O_n], \quad W = \sum_n \mathrm{place}\,\sum_m |P_{nm}|^2 , \]

and adds what the network makes of the result, of the last change, both in units of the noise
\(\sigma = (W + \alpha \max W)^{-1/2}\) that counting leaves in the object, and of the weight W; its output is in units
of that noise, too, less its own local mean. That noise is white: over a neighbourhood it averages out, so that what is
smooth is the solver's alone. A network that gives zero, as it does before training, leaves the plain solver,
accelerated as by Nesterov within each stage.

Rodenburg and Faulkner 2004 (doi:10.1063/1.1823034) for PIE; Monga, Li and Eldar 2021 (arXiv:1912.10557) for unrolling.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptychopinn.config import GeneratorConfig
from ptychopinn.config.training import CompileMode
from ptychopinn.errors import ConfigError
from ptychopinn.generators.base import Generator, GroupView, Scene
from ptychopinn.generators.compiled import compile_network
from ptychopinn.generators.registry import build_network, resolve_part
from ptychopinn.physics import extract_patches, place_patches
from ptychopinn.physics.gradients import amplitude_change
from ptychopinn.physics.steps import damping_floor, nesterov, preconditioned
from ptychopinn.typing import Canvas, Patches, Patterns

REGULARISATION = 0.05
"""Alpha: how strongly the object stays as it is where there is little light."""
MOMENTUM = 0.95
"""Largest part of the last change that is made again."""
NOISE_UNITS = 3.0
"""Correction, in units of the noise, that a network makes by an output of 1."""
LOCAL_PX = 3.0
"""Standard deviation of the Gaussian that weighs the local mean which is taken off a correction."""
BRIGHT = 10.0
"""Root of the weight where it is largest, as a network sees it."""
CANVAS_CHANNELS = 5
"""Real and imaginary part of the object minus one and of its last change, over the noise; the root of the weight."""
STAGES = {"unrolled": 1}
"""Architecture -> stages where the recipe does not say."""


def stages_of(config: GeneratorConfig) -> int:
    """Stages of a generator; 0 for networks that see each pattern once.

    >>> stages_of(GeneratorConfig()), stages_of(GeneratorConfig(stages=3))
    (0, 3)
    """
    return STAGES.get(config.architecture, 0) if config.stages is None else config.stages


@final
@dataclass(frozen=True)
class GroupScene:
    """The patterns of each group on a canvas of their own."""

    view: GroupView

    @cached_property
    def weight(self) -> Tensor:
        """(B, Y, X), photons."""
        return place_patches(self.view.power, self.view.positions_px, self.view.canvas_shape)

    def back_project(self, canvas: Canvas) -> Canvas:
        """(B, Y, X), sums over the patterns of each group."""
        patches = extract_patches(canvas, self.view.positions_px, _size(self.view))
        return place_patches(changed_patches(self.view, patches), self.view.positions_px, self.view.canvas_shape)


def changed_patches(view: GroupView, patches: Patches) -> Patches:
    """Step of PIE for patches (B, G, H, W), photons; see `ptychopinn.physics.gradients.amplitude_change`."""
    return amplitude_change(view.physics, patches, view.probes, view.amplitude, view.measured)


def photon_floor(weight: Tensor) -> Tensor:
    """W + alpha max W of weights (B, Y, X), photons."""
    return weight + damping_floor(weight, REGULARISATION)


def solve(scene: Scene, canvas: Canvas, steps: int) -> tuple[Canvas, Canvas]:
    """Take accelerated PIE steps.

    Args:
        scene: the patterns.
        canvas: the object to begin with, (B, Y, X).
        steps: how many, one at least.

    Returns:
        The object and the change that its last step made without the momentum, (B, Y, X) each.
    """
    floor = photon_floor(scene.weight)
    ahead, pace = canvas, 1.0
    change = torch.zeros_like(canvas)
    for _ in range(steps):
        change = preconditioned(scene.back_project(ahead), floor)
        stepped = ahead + change
        repeated, pace = nesterov(pace)
        ahead = stepped + min(repeated, MOMENTUM) * (stepped - canvas)
        canvas = stepped
    return canvas, change


@final
class Unrolled(Generator):
    """Stages of physics and network on the canvas of a group, or of a whole scan; begins with an object of 1.

    No gradient passes the physics: the loss of a stage trains the network of that stage. The probe is an input and is
    nowhere memorised.

    Args:
        config: architecture of the networks, output, stages and steps; `input` is not used.
        precision: type of the networks' arithmetic; the physics around them stays float32.

    Raises:
        ConfigError: patterns stacked as channels, which a canvas cannot be.
    """

    def __init__(self, config: GeneratorConfig, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        if config.grouping != "single":
            raise ConfigError(
                "model.generator.grouping=stacked makes channels of patterns, and an unrolled generator sees their "
                "merged object; set model.generator.grouping=single, or model.generator.stages=0"
            )
        self.read, channels = resolve_part("output", config.output)
        self.steps = config.physics_steps
        self.network = nn.ModuleList(build_network(CANVAS_CHANNELS, channels, config) for _ in range(stages_of(config)))
        self.precision = precision

    @property
    def scene_solver(self) -> "Unrolled":
        """This generator: its stages work on the merged object."""
        return self

    def compile_networks(self, mode: CompileMode = "default") -> None:
        """Compile the network of every stage."""
        for network in self.network:
            compile_network(network, mode)

    def forward(self, view: GroupView) -> Patches:
        """Patches (B, G, H, W), complex, cut from the object of the last stage."""
        return self.stage_patches(view)[-1]

    def stage_patches(self, view: GroupView) -> list[Patches]:
        """The same of every stage."""
        canvases = self.canvases(GroupScene(view))
        return [extract_patches(canvas, view.positions_px, _size(view)) for canvas in canvases]

    def network_input(self, view: GroupView) -> Tensor:
        """(B, 5, Y, X), normalised: what the network of the first stage sees."""
        scene = GroupScene(view)
        return self._shown(*self._solved(scene, None, self.steps), scene.weight)

    def canvases(self, scene: Scene, first_steps: int | None = None) -> list[Canvas]:
        """The objects (B, Y, X) that the stages end with.

        Args:
            scene: the patterns.
            first_steps: physics steps of the first stage in place of the recipe's.
        """
        canvas: Tensor | None = None
        canvases = []
        for number, network in enumerate(self.network):
            steps = self.steps if number or first_steps is None else first_steps
            canvas, change = self._solved(scene, canvas, steps)
            canvas = self._corrected(network, canvas, change, scene.weight)
            canvases.append(canvas)
        return canvases

    def passes(self, first_steps: int | None = None) -> int:
        """How often `canvases` back-projects the patterns of a scene."""
        later = self.steps * (len(self.network) - 1)
        return later + (self.steps if first_steps is None else first_steps)

    @torch.no_grad()
    def _solved(self, scene: Scene, canvas: Tensor | None, steps: int) -> tuple[Canvas, Canvas]:
        start = torch.ones_like(scene.weight, dtype=torch.complex64) if canvas is None else canvas
        return solve(scene, start, steps)

    def _shown(self, canvas: Canvas, change: Canvas, weight: Patterns) -> Tensor:
        images = torch.stack((canvas.real - 1, canvas.imag, change.real, change.imag), dim=-3) / _noise(weight)
        bright = (weight / weight.amax(dim=(-2, -1), keepdim=True)).sqrt().unsqueeze(-3)
        return self.normalised(torch.cat((images, BRIGHT * bright), dim=-3))

    def _corrected(self, network: nn.Module, canvas: Canvas, change: Canvas, weight: Patterns) -> Canvas:
        image = self._shown(canvas, change, weight).contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, self.precision, enabled=self.precision != torch.float32):
            output = network(image)
        correction = NOISE_UNITS * _noise(weight) * output.float()
        return canvas + self.read(correction - local_mean(correction)) - 1


def local_mean(images: Tensor, deviation_px: float = LOCAL_PX) -> Tensor:
    """Means of images (B, C, Y, X), weighted by a Gaussian of a standard deviation in px; zero beyond the edges.

    >>> image = torch.ones(1, 1, 41, 41)
    >>> round(float(local_mean(image)[0, 0, 20, 20]), 4)
    1.0
    """
    reach = math.ceil(3 * deviation_px)
    taps = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    weights = torch.softmax(-(taps**2) / (2 * deviation_px**2), 0)
    channels = images.shape[-3]
    rows, columns = (weights.reshape(1, 1, *shape).expand(channels, -1, -1, -1) for shape in ((-1, 1), (1, -1)))
    blurred = functional.conv2d(images, rows, padding=(reach, 0), groups=channels)
    return functional.conv2d(blurred, columns, padding=(0, reach), groups=channels)


def _noise(weight: Patterns) -> Tensor:
    """(B, 1, Y, X), sigma of weights (B, Y, X)."""
    return photon_floor(weight).rsqrt().unsqueeze(-3)


def _size(view: GroupView) -> tuple[int, int]:
    height, width = view.amplitude.shape[-2:]
    return height, width
