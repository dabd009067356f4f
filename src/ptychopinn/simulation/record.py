r"""Patterns of any object, probe and positions.

\[ k_n \sim \mathrm{Poisson}\Big( \sum_m \big| \mathcal{F}[P_m(r - \delta_n)\, O(r + y_n)] \big|^2 \Big) \]

with the position split into the nearest whole pixel \(y_n\) and a remainder \(\delta_n\).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.errors import ConfigError
from ptychopinn.physics import DiffractionModel, check_inside, count_photons, extract_patches, split_position

Counts = NDArray[np.uint16 | np.uint32 | np.uint64]

BATCH_ELEMENTS = {"cpu": 2**18, "cuda": 2**24}
"""Wave elements that are computed at once: what fits a processor's cache, or fills a GPU."""
STREAM_ELEMENTS = 2**22
"""Pixels whose counts come from one stream of random numbers; streams are drawn in parallel."""
DRAW_ELEMENTS = 2**17
"""Pixels drawn at once within a stream."""
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
) -> Counts | NDArray[np.float32]:
    """Patterns of any object and probe, (N, H, W), photons, zero frequency at (H//2, W//2).

    Neither the batches nor the number of threads change a single count.

    Args:
        object_: (Y, X).
        probe: (M, H, W), sqrt(photons).
        positions_px: (N, 2), (y, x), in the frame of `object_`.
        rng: draws Poisson counts, in the smallest of uint16, uint32 and uint64 that holds them all; None
            records the expected counts, float32.
        batch_size: patterns computed at once; by default what suits the device.
        device: auto, cpu, cuda, cuda:1. A GPU draws other counts than a CPU, of the same distribution.

    Raises:
        PtychoPINNError: a patch leaves the object.
        ConfigError: no such device here.
    """
    place = choose_device(device)
    positions = torch.from_numpy(positions_px)
    check_inside(positions, (probe.shape[-2], probe.shape[-1]), (object_.shape[-2], object_.shape[-1]))
    size = batch_size or max(1, BATCH_ELEMENTS[place.type] // probe.size)
    batches = _expected(*(torch.from_numpy(array).to(place) for array in (object_, probe, positions_px)), size)
    if rng is None or place.type == "cpu" or _brightest(object_, probe) > BRIGHTEST_ON_GPU:
        expected = np.concatenate([batch.cpu().numpy() for batch in batches])
        return expected if rng is None else draw_counts(expected, rng)
    generator = torch.Generator(place).manual_seed(int(rng.integers(2**63)))
    drawn = (count_photons(batch.double(), generator).to(torch.int64).cpu().numpy() for batch in batches)
    return np.concatenate([_smallest(batch) for batch in drawn])


def draw_counts(expected: NDArray[np.float32], rng: np.random.Generator) -> Counts:
    """Poisson counts of expected patterns (N, H, W), in the smallest unsigned type, from 16 bits up, that holds all.

    Every `STREAM_ELEMENTS` pixels have a stream of their own: the first one `rng` itself, the others spawned from it.
    As many streams are drawn at once as torch has threads.
    """
    length = max(1, STREAM_ELEMENTS // expected[0].size)
    runs = [expected[start : start + length] for start in range(0, len(expected), length)]
    streams = [rng, *rng.spawn(len(runs) - 1)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return np.concatenate(list(pool.map(_draw, runs, streams)))  # takes the widest type of the runs


def object_patches(
    object_: NDArray[np.complex64], positions_px: NDArray[np.float64], size: int
) -> NDArray[np.complex64]:
    """The window (N, size, size) of the object that each pattern saw, at the whole-pixel part of its position.

    Raises:
        PtychoPINNError: a window leaves the object.
    """
    whole, _ = split_position(torch.from_numpy(positions_px))
    return extract_patches(torch.from_numpy(object_), whole, (size, size)).numpy()


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"simulation.device = {name!r} cannot be used here ({reason}); use auto or cpu") from None
    return device


def _expected(object_: Tensor, probe: Tensor, positions_px: Tensor, size: int) -> Iterator[Tensor]:
    """Expected photons of `size` patterns after the other, on the device of the arguments."""
    model = DiffractionModel()
    with torch.inference_mode():
        for start in range(0, len(positions_px), size):
            yield model(object_, positions_px[start : start + size], probe)


def _brightest(object_: NDArray[np.complex64], probe: NDArray[np.complex64]) -> float:
    """A count that no pixel is expected to exceed: all photons on one."""
    photons = np.square(np.abs(probe.astype(np.complex128))).sum()
    return float(photons * np.square(np.abs(object_)).max())


def _draw(expected: NDArray[np.float32], rng: np.random.Generator) -> Counts:
    length = max(1, DRAW_ELEMENTS // expected[0].size)
    parts = [expected[start : start + length] for start in range(0, len(expected), length)]
    return np.concatenate([_smallest(rng.poisson(part)) for part in parts])


def _smallest(counts: NDArray[np.int64]) -> Counts:
    """Counts in the smallest unsigned type, from 16 bits up, that holds them."""
    return counts.astype(np.result_type(np.uint16, np.min_scalar_type(int(counts.max()))))
