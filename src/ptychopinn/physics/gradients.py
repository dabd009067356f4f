r"""How the misfit of a scan changes with object, probe modes and positions: the adjoints of the forward model.

With the propagator \(\mathcal{D}\), \(\psi_{nm} = P_m(r - \delta_n)\, O(r + y_n)\), \(\Psi = \mathcal{D}\psi\),
\(\lambda_n = G * \sum_m |\Psi_{nm}|^2 + b\) with the point spread G of the detector, and
\(\chi_{nm} = \mathcal{D}^\dagger[(G * \ell'(\lambda_n))\, \Psi_{nm}]\),

\[ \frac{\partial L}{\partial \bar O} = \sum_n \mathrm{place}_n \sum_m \bar P_{nm} \chi_{nm}, \qquad
   \frac{\partial L}{\partial \bar P_m} = \sum_n \mathrm{shift}_{-\delta_n} [\bar O_n \chi_{nm}], \qquad
   \frac{\partial L}{\partial y_n} = 4 \pi \sum_{m, f} f\, \mathrm{Im}\left[
   \overline{\mathcal{F}[\bar O_n \chi_{nm}]}\, \mathcal{F}[P_{nm}] \right] . \]

The expected second derivative by a position is half of its Fisher information, from the slopes of the photons:

\[ C_{n,ab} = \frac12 \sum_f \frac{J_{na} J_{nb}}{\lambda_n + \lambda_0}, \qquad
   J_{na} = \frac{\partial \lambda_n}{\partial y_{na}}
          = 4 \pi \sum_m \mathrm{Im}\left[ \bar\Psi_{nm}\,
            \mathcal{D}[O_n\, \mathcal{F}^{-1}[f_a \mathcal{F} P_{nm}]] \right] , \]

with \(\lambda_0\) for `SOLVER_PHOTONS`. That by the background is \(\frac12 \sum 1 / (\lambda_n + \lambda_0)\). By the
variance of a Gaussian G the photons change by half of their Laplacian. Where the probe varies by modes \(V_k\) with
weights \(a_{nk}\) (`ProbeRelaxation`), gradient and curvature by a weight follow from
\(J_{nk} = 2\, \mathrm{Re} \sum_m \bar\Psi_{nm}\, \mathcal{D}[V_{km} O_n]\), and the gradient by \(\bar V_k\) is that by
\(\bar P\) with the patterns weighted by \(a_{nk}\). In a fly scan all sums over modes run along the path too.

Where the scan as a whole is distorted by a field \(u(r)\), and the object with it, each patch is strained about its own
centre by \(\epsilon_{ab} = \partial_b u_a\), so that \(\partial O_n / \partial \epsilon_{ab} = -r_b\, \partial_a O\).
Gradient and curvature follow as for a position, but counts have a variance of \(\lambda + \sigma^2\), with
`MODEL_ERROR` times the mean photons for \(\sigma\).

Waves stay in the array order that costs least (`cheapest`): where a wave lies in its array does not change its
intensity. The code keeps the conjugates of \(\chi\) and of \(\mathcal{F}[\bar O_n \chi_{nm}]\), so that neither probes
nor patches have to be conjugated.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from ptychopinn.physics.detection import blurred_slope, intensity
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.forward import DiffractionModel
from ptychopinn.physics.fourier import frequencies
from ptychopinn.physics.illumination import exit_wave, exit_wave_to_patches
from ptychopinn.physics.likelihood import (
    MODEL_ERROR,
    SMALLEST_AMPLITUDE,
    SOLVER_PHOTONS,
    STEEPEST,
    Compare,
    robust_slope,
)
from ptychopinn.physics.patches import extract_patches, place_patches
from ptychopinn.physics.propagation import cheapest
from ptychopinn.physics.shift import shift_phase
from ptychopinn.typing import Canvas, Probe


@dataclass(frozen=True)
class Derivatives:
    """Of the loss by one number, or by one for each pattern."""

    slope: Tensor
    """First derivative: scalar or (B,)."""
    curvature: Tensor
    """Expected second derivative: scalar or (B,)."""


@dataclass(frozen=True)
class RelaxationDerivatives:
    """Of the loss by the modes of a `ProbeRelaxation`, and by their weights in B patterns."""

    modes: Tensor
    """(K, M, H, W), by the conjugate."""
    weights: Tensor
    """(B, K)."""
    curvature: Tensor
    """(B, K, K): expected second derivative by the weights."""


@dataclass(frozen=True)
class TiltResponse:
    """What a phase gradient over the illuminated part of the object changes, per photon there; (2, 2) in px^2."""

    curvature: Tensor
    """Expected second derivative of the loss by the phase gradient, rad/px."""
    spread: Tensor
    """Covariance of the illuminated intensity about its centre: the same if the detector recorded phases too."""
    photons: Tensor | float = 1.0
    """On the object in these patterns: the weight of this response beside that of other patterns."""


@dataclass(frozen=True)
class Gradients:
    """Of the loss of some patterns; complex ones are derivatives by the conjugate."""

    losses: Tensor
    """(B,), sums over the measured pixels of each pattern."""
    object_: Canvas
    """(Y, X)."""
    probe_power: Tensor
    """(Y, X), photons: the placed intensity of the probes."""
    probe: Probe | None
    """(M, H, W), where asked for."""
    object_power: Tensor | None
    """(H, W), where the probe's is asked for: the summed squared modulus of the patches; (K, H, W) of K probes."""
    positions: Tensor | None
    """(B, 2), per pixel, where asked for."""
    positions_curvature: Tensor | None
    """(B, 2, 2), per square pixel, where asked for: the expected second derivative by each position."""
    strain: Tensor | None
    """(B, 4), where asked for: by the elements yy, yx, xy, xx of the strain of each patch about its centre."""
    strain_curvature: Tensor | None
    """(B, 4, 4), where asked for: the expected second derivative by these."""
    background: Derivatives | None = None
    """Where asked for: by one background for all pixels, photons; scalars. By that of each pixel: (H, W)."""
    intensities: Derivatives | None = None
    """Where asked for: by the logarithm of the intensity of each pattern; (B,)."""
    blur: Derivatives | None = None
    """Where asked for: by the variance of the point spread of the detector, px^2; scalars."""
    relaxation: RelaxationDerivatives | None = None
    """Where asked for."""

    @property
    def loss(self) -> Tensor:
        """Sum over all patterns, scalar."""
        return self.losses.sum()


def gradients(
    model: DiffractionModel,
    now: Estimate,
    index: Tensor,
    counted: Counted,
    *,
    loss: Compare,
    probe: bool = True,
    positions: bool = True,
    positions_curvature: bool = False,
    strain: bool = False,
    background: bool = False,
    background_pattern: bool = False,
    intensities: bool = False,
    blur: bool = False,
    relaxation: bool = False,
    mean_photons: Tensor | None = None,
    onto: tuple[Canvas, Tensor] | None = None,
) -> Gradients:
    """Loss of some patterns, its gradients, and the powers that precondition them.

    With a bilinear model the gradient of the positions is still that of a shifted probe: the two models differ by their
    interpolation alone.

    Args:
        model: sub-pixel positions, propagator and background.
        now: object, probe, positions; their precision is that of the arithmetic.
        index: (B,), which positions.
        counted: the patterns there.
        loss: from expected and counted photons to the loss of each pixel and its derivative by the expected ones.
        probe: also find the gradient of the probe; without it and that of the positions a fifth of the time is saved.
        positions: also find the gradient of the positions.
        positions_curvature: also find the curvature of the positions, which takes four transforms more.
        strain: also find gradient and curvature by the strain of each patch, which takes five transforms more.
        background: also find slope and curvature by a background that is the same in all pixels.
        background_pattern: the same by one of its own in each pixel, (H, W), in place of that.
        intensities: also find slope and curvature by the logarithm of the intensity of each pattern.
        blur: also find slope and curvature by the variance of the point spread of the detector.
        relaxation: also find those by modes and weights of the relaxation, two transforms more for each mode.
        mean_photons: of a measured pixel, from which `strain` takes the error of the model; by default that of these
            patterns.
        onto: gradient by the object and placed intensity of the probes of other patterns, to which those of these are
            added in place; the results are these sums.
    """
    if len(index) == 0:
        none = _of_no_pattern(now, probe, positions, positions_curvature, strain, background, intensities, blur)
        if background_pattern:
            nothing = now.object_.real.new_zeros(now.probe.shape[-2:])
            none = replace(none, background=Derivatives(nothing, nothing))
        none = replace(none, relaxation=_no_relaxation(now)) if relaxation else none
        return none if onto is None else replace(none, object_=onto[0], probe_power=onto[1])
    size = (now.probe.shape[-2], now.probe.shape[-1])
    shape = (now.object_.shape[-2], now.object_.shape[-1])
    where, rest = model.split(now.positions_px[index])
    patches = extract_patches(now.object_, where, size)
    phase = shift_phase(rest.to(now.probe.real.dtype), size, centred=False).unsqueeze(1)
    roots = now.roots(index)
    if roots is not None:
        phase = phase * roots
    spectrum = _spectrum(now.probe)
    spectra = spectrum if now.several is None else now.several.of(spectrum, index)
    if now.relaxation is not None:
        changes_of_probe = _spectrum(now.relaxation.modes)
        spectra = spectra + now.relaxation.combined(changes_of_probe, index)
    if model.path is not None:
        phase = phase.unsqueeze(1) * model.path.phases(now.probe)
    spectra = _along(spectra, phase)
    probes = _of_spectrum(spectra)
    seen = _Detector(model, exit_wave(probes, patches), counted)
    losses, slope = seen.compared(loss)
    by_wave = seen.spread(slope)
    back = seen.to_sample(by_wave.unsqueeze(1) * seen.waves).conj_physical_()
    residual = _of_spectrum(exit_wave(back, patches)) if probe or positions or relaxation else None
    by_position = _position_gradient(residual, spectra) if residual is not None and positions else None
    by_probe = by_relaxation = None
    if residual is not None and (probe or relaxation):
        residual = _gathered(residual, phase)
    if residual is not None and probe:
        summed = residual.sum(0) if now.several is None else now.several.modes(now.several.summed(residual, index))
        by_probe = torch.fft.ifft2(summed.conj_physical_())
    if residual is not None and relaxation and now.relaxation is not None:
        moved = [seen.photons_by(exit_wave(_of_spectrum(_along(one, phase)), patches)) for one in changes_of_probe]
        by_relaxation = RelaxationDerivatives(
            torch.fft.ifft2(now.relaxation.gathered(residual, index).conj_physical_()),
            torch.stack([(slope * one).sum((-2, -1)) for one in moved], -1),
            seen.curvature(moved, SOLVER_PHOTONS),
        )
    by_strain = by_strain_twice = None
    if strain:
        changes = _strained_patches(now.object_, where, size)
        photons, pixels = counted.summed()
        variance = (MODEL_ERROR * (photons / pixels if mean_photons is None else mean_photons)).square()
        robust = model.blurred(seen.masked(robust_slope(seen.expected, seen.counts, variance)))
        by_robust = exit_wave_to_patches(probes, seen.to_sample(robust.unsqueeze(1) * seen.waves))
        by_strain = 2 * (by_robust.conj().unsqueeze(1) * changes).real.sum((-2, -1))
        moved = [seen.photons_by(exit_wave(probes, change)) for change in changes.unbind(1)]
        by_strain_twice = seen.curvature(moved, variance)
    return Gradients(
        losses=losses,
        object_=place_patches(_over_modes(back.mul_(probes)).conj_physical_(), where, shape, onto and onto[0]),
        probe_power=place_patches(intensity(probes), where, shape, onto and onto[1]),
        probe=by_probe,
        object_power=_object_power(now, patches, index) if probe else None,
        positions=by_position,
        positions_curvature=_position_curvature(seen, spectra, patches) if positions_curvature else None,
        strain=by_strain,
        strain_curvature=by_strain_twice,
        background=seen.by_background(slope, background_pattern) if background or background_pattern else None,
        intensities=seen.by_intensities(slope) if intensities else None,
        blur=seen.by_blur(slope) if blur else None,
        relaxation=by_relaxation,
    )


def tilt_response(
    model: DiffractionModel,
    now: Estimate,
    index: Tensor,
    counted: Counted,
) -> TiltResponse:
    r"""How much some patterns depend on a phase gradient t of the object, \(\psi_n \to \psi_n e^{i t \cdot r}\).

    \[ C_{ab} = \frac{1}{2N} \sum_{n, f} \frac{J_{na} J_{nb}}{\lambda_n + \lambda_0}, \qquad
       J_{na} = 2\, \mathrm{Re} \sum_m \bar\Psi_{nm}\, \mathcal{D}[i\, r_a\, \psi_{nm}], \]

    with N photons on the object in these patterns. C is far below the spread of the illumination where the far field is
    a uniform disc, as behind a defocused zone plate: a phase gradient shifts the disc, and only its rim changes.

    Args:
        model: sub-pixel positions, propagator and background.
        now: object, probe, positions.
        index: (B,), which positions.
        counted: the patterns there.
    """
    size = (now.probe.shape[-2], now.probe.shape[-1])
    where, rest = model.split(now.positions_px[index])
    probes, roots = model.probes(now.probes(index), rest), now.roots(index)
    waves = exit_wave(probes if roots is None else probes * roots, extract_patches(now.object_, where, size))
    seen = _Detector(model, waves, counted)
    photons = intensity(waves)
    rows, columns = (torch.arange(side, device=photons.device, dtype=photons.dtype) - side // 2 for side in size)
    arms = (rows.unsqueeze(-1).expand(size), columns.expand(size))
    total = photons.sum((-2, -1)).clamp_min(SMALLEST_AMPLITUDE)
    centre = torch.stack([(photons * arm).sum((-2, -1)) / total for arm in arms], -1)
    square = torch.stack([(photons * a * b).sum() for a in arms for b in arms]).view(2, 2)
    spread = square - centre.mT @ (centre * total.unsqueeze(-1))
    slopes = [seen.photons_by(1j * arm * waves) for arm in arms]
    curvature = seen.curvature(slopes, SOLVER_PHOTONS).sum(0) / total.sum()
    return TiltResponse(curvature, spread / total.sum(), total.sum())


def amplitude_change(
    model: DiffractionModel,
    patches: Complex[Tensor, "*batch H W"],
    probes: Complex[Tensor, "*#batch M H W"],
    measured_amplitude: Float[Tensor, "*batch H W"],
    measured: Bool[Tensor, "... H W"] | None = None,
) -> Complex[Tensor, "*batch H W"]:
    r"""Minus the derivative of \(\sum (\sqrt\lambda - a)^2\) by the conjugate of the patches: a step of PIE, photons.

    \[ \sum_m \bar P_m\, \mathcal{D}^\dagger\left[ \left( \frac{a}{\sqrt\lambda} - 1 \right) \Psi_m \right] \]

    The modes share the ratio of measured and expected amplitude; bad pixels keep the wave of the model. The root is at
    least `SMALLEST_AMPLITUDE`.

    Args:
        model: propagator and background.
        patches: (..., H, W).
        probes: (..., M, H, W), shifted already, sqrt(photons).
        measured_amplitude: (..., H, W), sqrt(photons).
        measured: (..., H, W) or (H, W), False at bad pixels.
    """
    waves = model.propagator(exit_wave(probes, patches))
    ratio = measured_amplitude / model.amplitude(waves).clamp_min(SMALLEST_AMPLITUDE) - 1
    if measured is not None:
        ratio = torch.where(measured, ratio, torch.zeros_like(ratio))
    return exit_wave_to_patches(probes, model.propagator.adjoint(model.blurred(ratio).unsqueeze(-3) * waves))


class _Detector:
    """Waves of B patterns at the detector beside what was measured there, in the array order that costs least.

    Args:
        model: propagator and background.
        exit_waves: (B, M, H, W).
        counted: the patterns.
    """

    def __init__(self, model: DiffractionModel, exit_waves: Tensor, counted: Counted) -> None:
        self._to_detector, self.to_sample, order, self._recorded = cheapest(model.propagator)
        self.waves = self._to_detector(exit_waves)
        self._model = model
        photons = model.blurred(intensity(self.waves))
        self.expected = model.with_background(photons.clamp_min(0) if model.blur_px else photons, order)
        self.counts, self.masked = counted.counts, counted.masked

    def compared(self, loss: Compare) -> tuple[Tensor, Tensor]:
        """Loss (B,), and its derivative (B, H, W) by the expected photons, zero where nothing was measured."""
        value, slope = loss(self.expected, self.counts)
        return self.masked(value).sum((-2, -1)), self.masked(slope)

    def spread(self, slope: Tensor) -> Tensor:
        """The derivative by the photons before the point spread, limited where a dark pixel lies beside a bright one.

        The steep slope of a dark pixel that counted photons, times the wave of its bright neighbour, has no bound that
        the step of the object could keep; beyond `STEEPEST` a pixel has its own slope at most.
        """
        if self._model.blur_px == 0:
            return slope
        return torch.maximum(self._model.blurred(slope), slope.clamp_max((1 - STEEPEST) / 2))

    def photons_by(self, change: Tensor) -> Tensor:
        """(B, H, W): derivative of the photons, from that of the exit waves (B, M, H, W)."""
        return self._model.blurred(2 * (self.waves.conj() * self._to_detector(change)).real.sum(1))

    def by_background(self, slope: Tensor, is_pattern: bool) -> Derivatives:
        """From the derivative (B, H, W) of the loss by the expected photons."""
        weight = self.masked((self.expected + SOLVER_PHOTONS).reciprocal())
        if is_pattern:
            return Derivatives(self._recorded(slope.sum(0)), self._recorded(weight.sum(0)) / 2)
        return Derivatives(slope.sum(), weight.sum() / 2)

    def by_intensities(self, slope: Tensor) -> Derivatives:
        """From the derivative (B, H, W) of the loss by the expected photons."""
        photons = self._model.blurred(intensity(self.waves))
        twice = self.masked(photons.square() / (self.expected + SOLVER_PHOTONS))
        return Derivatives((slope * photons).sum((-2, -1)), twice.sum((-2, -1)) / 2)

    def by_blur(self, slope: Tensor) -> Derivatives:
        """From the derivative (B, H, W) of the loss by the expected photons."""
        change = blurred_slope(intensity(self.waves), self._model.blur_px**2)
        twice = self.masked(change.square() / (self.expected + SOLVER_PHOTONS))
        return Derivatives((slope * change).sum(), twice.sum() / 2)

    def curvature(self, slopes: list[Tensor], variance: Tensor | float) -> Tensor:
        """(B, K, K): half of the Fisher information, from K derivatives (B, H, W) of the photons."""
        weight = self.masked((self.expected + variance).reciprocal())
        slope = torch.stack(slopes, 1).flatten(2)
        return (slope * weight.flatten(1).unsqueeze(1)) @ slope.mT / 2


def _along(spectra: Tensor, phase: Tensor) -> Tensor:
    """(B, S M, H, W): modes (M, H, W) or (B, M, H, W) times phases (B, 1, H, W), or (B, S, 1, H, W) along a path."""
    if phase.ndim == 4:
        return spectra * phase
    return (spectra.unsqueeze(-4) * phase).flatten(1, 2)


def _gathered(waves: Tensor, phase: Tensor) -> Tensor:
    """(B, M, H, W): the transpose of `_along`; overwrites the waves (B, S M, H, W)."""
    if phase.ndim == 4:
        return waves.mul_(phase)
    return waves.unflatten(1, (phase.shape[1], -1)).mul_(phase).sum(1)


def _object_power(now: Estimate, patches: Tensor, index: Tensor) -> Tensor:
    """Of patches (B, H, W): the sum over those of each probe."""
    if now.several is None:
        return intensity(patches)
    return now.several.summed(patches.abs().square(), index)


def _over_modes(waves: Tensor) -> Tensor:
    """(B, H, W): the sum of (B, M, H, W)."""
    return waves.squeeze(1) if waves.shape[1] == 1 else waves.sum(1)


def _spectrum(wave: Tensor) -> Tensor:
    """Divided by the number of pixels, so that only the few waves of the probe are scaled."""
    return torch.fft.fft2(wave, norm="forward")


def _of_spectrum(spectrum: Tensor) -> Tensor:
    return torch.fft.ifft2(spectrum, norm="forward")


def _position_gradient(residual: Tensor, spectra: Tensor) -> Tensor:
    """(B, 2) from two spectra (B, M, H, W), the first one conjugated."""
    product = _over_modes(residual * spectra).imag
    rows, columns = _frequency_axes(product)
    return 4 * torch.pi * torch.stack((product.sum(-1) @ rows, product.sum(-2) @ columns), -1)


def _position_curvature(seen: _Detector, spectra: Tensor, patches: Tensor) -> Tensor:
    """(B, 2, 2) from spectra of the probes (B, M, H, W) and patches (B, H, W)."""
    rows, columns = _frequency_axes(spectra.real)
    shifted = (_of_spectrum(-2j * torch.pi * axis * spectra) for axis in (rows.unsqueeze(-1), columns))
    return seen.curvature([seen.photons_by(exit_wave(probe, patches)) for probe in shifted], SOLVER_PHOTONS)


def _strained_patches(object_: Canvas, where: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 4, H, W): how patches change with the elements of a strain about their centres."""
    slopes = [extract_patches(slope, where, size) for slope in torch.gradient(object_, dim=(-2, -1))]
    rows, columns = (torch.arange(side, device=object_.device, dtype=object_.real.dtype) - side // 2 for side in size)
    return -torch.stack([arm * slope for slope in slopes for arm in (rows.unsqueeze(-1), columns)], 1)


def _of_no_pattern(
    now: Estimate,
    probe: bool,
    positions: bool,
    positions_curvature: bool,
    strain: bool,
    background: bool,
    intensities: bool,
    blur: bool,
) -> Gradients:
    """Zeros, in the shapes that patterns would give."""
    real = now.object_.real
    shape = now.probe.shape[-2:] if now.several is None else (now.several.count, *now.probe.shape[-2:])
    scalars = Derivatives(real.new_zeros(()), real.new_zeros(()))
    return Gradients(
        losses=real.new_zeros(0),
        object_=torch.zeros_like(now.object_),
        probe_power=torch.zeros_like(real),
        probe=torch.zeros_like(now.probe) if probe else None,
        object_power=real.new_zeros(shape) if probe else None,
        positions=real.new_zeros(0, 2) if positions else None,
        positions_curvature=real.new_zeros(0, 2, 2) if positions_curvature else None,
        strain=real.new_zeros(0, 4) if strain else None,
        strain_curvature=real.new_zeros(0, 4, 4) if strain else None,
        background=scalars if background else None,
        intensities=Derivatives(real.new_zeros(0), real.new_zeros(0)) if intensities else None,
        blur=scalars if blur else None,
    )


def _no_relaxation(now: Estimate) -> RelaxationDerivatives | None:
    if now.relaxation is None:
        return None
    count, real = len(now.relaxation.modes), now.object_.real
    return RelaxationDerivatives(
        torch.zeros_like(now.relaxation.modes), real.new_zeros(0, count), real.new_zeros(0, count, count)
    )


def _frequency_axes(like: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies along both axes, zero at element 0."""
    height, width = like.shape[-2:]
    rows, columns = (
        torch.fft.ifftshift(frequencies(size, device=like.device, dtype=like.dtype)) for size in (height, width)
    )
    return rows, columns
