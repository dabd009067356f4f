r"""Patterns of any object, probe and positions.

\[ k_n \sim \mathrm{Poisson}\Big( \sum_m \big| \mathcal{D}[P_m(r - \delta_n)\, O(r + y_n)] \big|^2 + b \Big) \]

with the propagator \(\mathcal{D}\), the background b, and the position split into the nearest whole pixel \(y_n\) and a
remainder \(\delta_n\).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.data.device import choose_device
from ptychopinn.physics import DiffractionModel, check_inside, count_photons, extract_patches
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.relaxation import ProbeRelaxation

Counts = NDArray[np.uint16 | np.uint32 | np.uint64]

BATCH_ELEMENTS, GPU_BATCH_ELEMENTS = 2**18, 2**24
"""Wave elements that are computed at once: what fits a processor's cache, or fills a GPU."""
STREAM_ELEMENTS = 2**22
"""Pixels whose counts come from one stream of random numbers; several streams are drawn at the same time."""
BRIGHTEST_ON_GPU = 2**31
"""Expected counts from which on a GPU's 32-bit Poisson numbers would overflow; those are drawn on the host."""


def record_patterns(
    object_: NDArray[np.complex64],
    probe: NDArray[np.complex64],
    positions_px: NDArray[np.float64],
    rng: np.random.Generator | None,
    *,
    batch_size: int | None = None,
    device: str = "cpu",
    model: DiffractionModel | None = None,
    relaxation: ProbeRelaxation | None = None,
) -> Counts | NDArray[np.float32]:
    """Patterns of any object and probe, (N, H, W), photons, zero frequency at (H//2, W//2).

    Every `STREAM_ELEMENTS` pixels have random numbers of their own: the first ones `rng` itself, the others streams
    spawned from it. As many are worked on at once as torch has threads; neither that nor the batches change a count.

    Args:
        object_: (Y, X).
        probe: (M, H, W), sqrt(photons).
        positions_px: (N, 2), (y, x), in the frame of `object_`.
        rng: draws Poisson counts, in the smallest of uint16, uint32 and uint64 that holds them all; None
            records the expected counts, float32.
        batch_size: patterns computed at once; by default what suits the device.
        device: auto, cpu, cuda, cuda:1. A GPU draws other counts than a CPU, of the same distribution.
        model: from the sample to expected counts; the far field with shifted probes and no background by default.
        relaxation: how the probe varies from position to position; it does not by default.

    Raises:
        PtychoPINNError: a patch leaves the object.
        ConfigError: no such device here.
    """
    place = choose_device(device, "simulation.device")
    on_host = place.type == "cpu"
    model = model or DiffractionModel()
    check_inside(torch.from_numpy(positions_px), probe.shape[-2:], object_.shape[-2:])
    canvas, modes, positions = (torch.from_numpy(array).to(place) for array in (object_, probe, positions_px))
    size = batch_size or max(1, (BATCH_ELEMENTS if on_host else GPU_BATCH_ELEMENTS) // probe.size)
    estimate = Estimate(canvas, modes, positions, relaxation=None if relaxation is None else relaxation.to(place))
    length = max(1, STREAM_ELEMENTS // (probe.shape[-2] * probe.shape[-1]))
    runs = [slice(start, start + length) for start in range(0, len(positions), length)]
    if rng is None:
        detectors: list[Callable[[Tensor], NDArray[Any]]] = [_as_expected] * len(runs)
    else:
        brightest = _brightest(object_, probe if relaxation is None else _largest(estimate), model)
        detect = _on_host if on_host or brightest > BRIGHTEST_ON_GPU else _on_device
        detectors = [partial(detect, stream) for stream in (rng, *rng.spawn(len(runs) - 1))]
    with ThreadPoolExecutor(torch.get_num_threads() if on_host else 1) as pool:
        recorded = list(pool.map(partial(_record, model, estimate, size), runs, detectors))
    return np.concatenate(recorded)  # takes the widest type of the runs


def object_patches(
    object_: NDArray[np.complex64], positions_px: NDArray[np.float64], size: int
) -> NDArray[np.complex64]:
    """The window (N, size, size) of the object that each pattern saw, at the whole-pixel part of its position.

    Raises:
        PtychoPINNError: a window leaves the object.
    """
    whole, _ = DiffractionModel("probe").split(torch.from_numpy(positions_px))
    return extract_patches(torch.from_numpy(object_), whole, (size, size)).numpy()


def _record(
    model: DiffractionModel,
    estimate: Estimate,
    size: int,
    run: slice,
    detect: Callable[[Tensor], NDArray[Any]],
) -> NDArray[Any]:
    """One run of patterns, `size` at once, as they are detected."""
    return np.concatenate([detect(photons) for photons in _expected(model, estimate, size, run)])


@torch.inference_mode()
def _expected(model: DiffractionModel, estimate: Estimate, size: int, run: slice) -> Iterator[Tensor]:
    stop = min(run.stop, len(estimate.positions_px))
    for start in range(run.start, stop, size):
        part = slice(start, min(start + size, stop))
        yield model(estimate.object_, estimate.positions_px[part], estimate.probes(part))


def _as_expected(expected: Tensor) -> NDArray[np.float32]:
    return expected.cpu().numpy()


def _on_host(rng: np.random.Generator, expected: Tensor) -> Counts:
    return _smallest(rng.poisson(expected.cpu().numpy()))


def _on_device(rng: np.random.Generator, expected: Tensor) -> Counts:
    generator = torch.Generator(expected.device).manual_seed(int(rng.integers(2**63)))
    return _smallest(count_photons(expected.double(), generator).to(torch.int64).cpu().numpy())


def _brightest(object_: NDArray[np.complex64], probe: NDArray[np.complex64], model: DiffractionModel) -> float:
    """A count that no pixel is expected to exceed: all photons of the wave on one, and the background."""
    photons = np.square(np.abs(probe.astype(np.complex128))).sum()
    background = 0.0 if model.background is None else float(model.background.max())
    return float(photons * np.square(np.abs(object_)).max()) + background


def _largest(estimate: Estimate) -> NDArray[np.complex64]:
    """(M, H, W): a probe of the photons that no pattern of a probe that varies exceeds."""
    assert estimate.relaxation is not None
    roots = estimate.relaxation.photons.sqrt()
    own = estimate.probe.abs().square().sum().sqrt()
    reach = (estimate.relaxation.weights.abs() @ roots.double()).max() + own
    return np.asarray((estimate.probe * (reach / own)).cpu().numpy())


def _smallest(counts: NDArray[np.int64]) -> Counts:
    """Counts in the smallest unsigned type, from 16 bits up, that holds them."""
    return counts.astype(np.result_type(np.uint16, np.min_scalar_type(int(counts.max()))))
