"""Preparing a measured or ideal probe for a simulation: resize, smooth, cut by a disk.

One preparation is a pipeline of steps in the order in which they act, written `interp:64|smooth:0.8`:

- `interp:N` cubic spline through the real and the imaginary part, to N x N px
- `pad:N` zeros around
- `pad_extrapolate:N` modulus continued from the edge; the phase becomes that of a pure defocus, everywhere
- `smooth:S` Gaussian of S px on the modulus and on the unwrapped phase, each by itself
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError
from ptychopinn.physics import support_mask

Probe = NDArray[np.complex128]

IDEAL_DISK_RADIUS = 0.1704
"""Radius of the ideal disk in units of the window: measured on legacy PtychoPINN's default probe."""


@dataclass(frozen=True, eq=False)
class PreparedProbe:
    """A probe and the steps that made it."""

    probe: NDArray[np.complex64]
    """(N, N)."""
    pipeline: str
    """The steps as text, as `prepare_probe` takes them."""
    steps: list[dict[str, Any]]
    """The steps with all their settings, plain JSON values."""


def prepare_probe(
    probe: NDArray[Any],
    size: int,
    *,
    scale_mode: str = "pad_preserve",
    smoothing_sigma: float = 0.0,
    pipeline: str | None = None,
    mask_diameter: float | None = None,
) -> PreparedProbe:
    """Bring a probe to `size` x `size` px.

    Args:
        probe: (H, H), complex.
        size: px of the result.
        scale_mode: `interpolate` and `pad_extrapolate` resize and then smooth; `pad_preserve` smooths and then pads
            with zeros; `pipeline` does what `pipeline` says and nothing else.
        smoothing_sigma: px; 0 does not smooth. Not used by a pipeline.
        pipeline: steps for the scale mode `pipeline`.
        mask_diameter: px; outside a disk of it about ((N-1)/2, (N-1)/2) the result is zero.

    Raises:
        ConfigError: a probe that is not square or is zero, an unknown mode or step, padding to a smaller size, or
            steps that end at another size.

    >>> prepared = prepare_probe(np.ones((8, 8), complex), 16, scale_mode="interpolate", smoothing_sigma=0.5)
    >>> prepared.probe.shape, prepared.pipeline
    ((16, 16), 'interp:16|smooth:0.5')
    """
    wave = _checked(probe)
    text = _pipeline_text(scale_mode, size, smoothing_sigma, pipeline)
    steps = [_parsed(part) for part in text.split("|")]
    for step, value in steps:
        wave = step.act(wave, value)
    if len(wave) != size:
        raise ConfigError(
            f"probe transform pipeline final probe size {len(wave)} does not match target_N {size}; "
            f"end {text!r} with a step to {size}"
        )
    if mask_diameter is not None:
        wave = wave * support_mask(size, mask_diameter / 2).numpy()
    return PreparedProbe(wave.astype(np.complex64), text, [step.record(value) for step, value in steps])


def ideal_disk(size: int) -> NDArray[np.complex64]:
    """The default probe of legacy PtychoPINN, (N, N): a disk of radius 0.1704 N with an edge smoothed by 1 px, phase 0.

    It stands about ((N-1)/2, (N-1)/2) and is 1 inside, 1e-9 outside.
    """
    from scipy.ndimage import gaussian_filter

    disk = support_mask(size, IDEAL_DISK_RADIUS * size).double().numpy()
    return (gaussian_filter(disk, 1.0) + 1e-9).astype(np.complex64)


def interpolate(probe: Probe, size: float) -> Probe:
    """Cubic spline through the real and the imaginary part; the outermost samples stay outermost."""
    from scipy.ndimage import zoom

    return zoom(probe, int(size) / len(probe), order=3)


def pad(probe: Probe, size: float) -> Probe:
    """Zeros around; element (H//2, W//2) stays the middle one."""
    return np.pad(probe, _margins(probe, int(size), "pad"))


def pad_extrapolate(probe: Probe, size: float) -> Probe:
    r"""Modulus continued from the edge, and the phase \(a + b r^2\) about the geometric centre, inside as well.

    b is the least-squares curvature of the probe's phase, weighted by its power, and a its mean phase on top of that.
    A phase ramp is dropped, as in legacy PtychoPINN.
    """
    offset, curvature = _defocus(probe)
    modulus = np.pad(np.abs(probe), _margins(probe, int(size), "pad_extrapolate"), mode="edge")
    return modulus * np.exp(1j * (offset + curvature * _radius_squared(int(size))))


def smooth(probe: Probe, sigma: float) -> Probe:
    """Gaussian of `sigma` px on the modulus and on the unwrapped phase, each by itself; mirrored at the edges."""
    from scipy.ndimage import gaussian_filter
    from skimage.restoration import unwrap_phase

    phase = gaussian_filter(unwrap_phase(np.angle(probe)), sigma)
    return gaussian_filter(np.abs(probe), sigma) * np.exp(1j * phase)


@dataclass(frozen=True)
class _Step:
    act: Callable[[Probe, float], Probe]
    name: str
    argument: str
    further: Mapping[str, Any]

    def record(self, value: float) -> dict[str, Any]:
        return {"op": self.name, self.argument: value, **self.further}


_CUBIC = MappingProxyType({"order": 3, "representation": "real_imag"})
_NONE: Mapping[str, Any] = MappingProxyType({})
_STEPS: Mapping[str, _Step] = MappingProxyType(
    {
        "interp": _Step(interpolate, "interpolate_complex", "target_N", _CUBIC),
        "pad": _Step(pad, "pad_complex", "target_N", _NONE),
        "pad_extrapolate": _Step(pad_extrapolate, "pad_extrapolate_complex", "target_N", _NONE),
        "smooth": _Step(smooth, "smooth_complex", "sigma", _NONE),
    }
)
SCALE_MODES = ("interpolate", "pad_preserve", "pad_extrapolate", "pipeline")
"""What `prepare_probe` takes as `scale_mode`."""


def _pipeline_text(scale_mode: str, size: int, sigma: float, pipeline: str | None) -> str:
    if scale_mode not in SCALE_MODES:
        raise ConfigError(f"Unknown scale_mode {scale_mode!r}; choose one of {', '.join(SCALE_MODES)}")
    if scale_mode == "pipeline":
        if not pipeline:
            raise ConfigError(
                "probe_transform_pipeline must be provided when probe_scale_mode='pipeline', as in "
                f"'smooth:0.5|interp:{size}'"
            )
        return pipeline
    if sigma < 0:
        raise ConfigError(f"the smoothing sigma of the probe is {sigma}; must be 0 px or more")
    smoothing = [f"smooth:{sigma:g}"] if sigma else []
    if scale_mode == "pad_preserve":
        return "|".join([*smoothing, f"pad:{size}"])
    resize = "interp" if scale_mode == "interpolate" else scale_mode
    return "|".join([f"{resize}:{size}", *smoothing])


def _parsed(part: str) -> tuple[_Step, float]:
    """One step and its value from a text such as `smooth:0.5`."""
    name, _, text = (word.strip() for word in part.partition(":"))
    step = _STEPS.get(name)
    try:
        value = float(text) if step is not None and step.argument == "sigma" else int(text)
    except ValueError:
        value = -1
    if step is None or value < 0 or (value == 0 and step.argument == "target_N"):
        raise ConfigError(
            f"Unsupported parameter syntax {text!r} in probe transform pipeline, at {part!r}; "
            f"must be {', '.join(f'{known}:<{each.argument}>' for known, each in _STEPS.items())}, joined by |"
        )
    return step, value


def _checked(probe: NDArray[Any]) -> Probe:
    wave = np.asarray(probe)
    if wave.ndim != 2 or wave.shape[0] != wave.shape[1]:
        raise ConfigError(f"probe must be square, but has shape {wave.shape}; give one mode of shape (H, H)")
    if not np.isfinite(wave).all() or not wave.any():
        raise ConfigError("the probe holds NaN or infinite values, or zeros alone; give an illumination")
    return wave.astype(np.complex128)


def _margins(probe: Probe, size: int, step: str) -> tuple[int, int]:
    if size < len(probe):
        raise ConfigError(
            f"{step} requires target_N >= probe size, but target_N is {size} and the probe {len(probe)} px; "
            "use the scale mode 'interpolate', or crop the probe first"
        )
    before = size // 2 - len(probe) // 2
    return before, size - len(probe) - before


def _radius_squared(size: int) -> NDArray[np.float64]:
    axis = np.arange(size) - (size - 1) / 2
    return axis[:, None] ** 2 + axis[None, :] ** 2


def _defocus(probe: Probe) -> tuple[float, float]:
    """Offset a and curvature b of the phase, a + b r^2, rad and rad/px^2, by the power of the probe.

    The curvature comes from the phase differences of neighbours, so that no phase has to be unwrapped.
    """
    slopes = [_slope(wave) for wave in (probe, probe.T)]
    curvature = sum(along for along, _ in slopes) / (2 * max(sum(spread for _, spread in slopes), 1e-300))
    rest = probe * np.abs(probe) * np.exp(-1j * curvature * _radius_squared(len(probe)))
    return float(np.angle(rest.sum())), float(curvature)


def _slope(wave: Probe) -> tuple[float, float]:
    """Weighted covariance of the phase difference along an axis with the place, and variance of the place."""
    pair = wave[:, 1:] * wave[:, :-1].conj()
    weight = np.abs(pair) / np.abs(pair).sum() if pair.any() else np.zeros(pair.shape)
    place = np.arange(1, len(wave)) - len(wave) / 2
    place = place - (weight * place).sum()
    return float((weight * place * np.angle(pair)).sum()), float((weight * place**2).sum())
