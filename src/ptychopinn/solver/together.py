r"""Several scans that one solve refines together: of one object, with one probe, or both.

The patterns of all scans follow one another in one scan. Scans of one object share a canvas, in the frame of the first
one; those of different objects lie beside each other on a canvas, so far apart that no window reaches two of them.
Scans with a probe each have its modes one after the other (`ptychopinn.physics.several_probes`). So the solver, its
forward model and its steps are those of one scan.

Scan s may have had another dose than the mean, \(d_s\). Where each scan has its own probe, the probe holds it. Where
the probe is common and the objects are not, \(d_s\) is the ratio of the photons of the given probes. Where both are
common, it is fitted after each iteration, by the sums of the derivatives of the loss by \(\ln c_n\) over its patterns,

\[ \ln d_s \leftarrow \ln d_s - \frac{\sum_{n \in s} g_n}{\sum_{n \in s} h_n} . \]
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data.frame import Frame
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.several_probes import SeveralProbes
from ptychopinn.solver.gauge import Gauge, transmission, with_gauge
from ptychopinn.solver.state import State

Common = Literal["object", "probe", "both"]
"""What several scans have in common."""
GAP_PX = 4
"""Between the windows of two objects on one canvas, beside the room that windows may move: differences between
neighbouring pixels reach over one."""
START = 1
"""Iteration from which doses are fitted: a start object of 1 explains no absorption."""
LARGEST_CHANGE = 0.2
"""Of the logarithm of a dose in one iteration."""
_SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class Together:
    """How the patterns of several scans belong together."""

    common: Common
    scan_of: NDArray[np.int64]
    """(N,), number of the scan of each pattern; those of a scan are consecutive."""
    shifts_px: NDArray[np.int64]
    """(S, 2), (y, x): position on the common canvas minus that in the frame of the scan, whole pixels."""
    moved_px: NDArray[np.float64]
    """(S, 2), (y, x): what rounding leaves of these shifts: object and positions of the scan are moved by it."""
    doses: NDArray[np.float64]
    """(S,), photons of each scan, relative to the mean over the patterns; 1 where each has its own probe."""

    @property
    def has_one_object(self) -> bool:
        """Whether all scans are of one object."""
        return self.common != "probe"

    @property
    def has_one_probe(self) -> bool:
        """Whether all scans have one probe."""
        return self.common != "object"

    @property
    def count(self) -> int:
        """S, number of scans."""
        return len(self.shifts_px)

    def of(self, scan: int) -> NDArray[np.int64]:
        """Numbers of the patterns of a scan."""
        return np.flatnonzero(self.scan_of == scan)

    def given(self, estimate: Estimate) -> Estimate:
        """An estimate in which each pattern has the probe and the dose of its scan."""
        number = torch.from_numpy(self.scan_of).to(estimate.positions_px.device)
        if not self.has_one_probe:
            return replace(estimate, several=SeveralProbes(number, self.count))
        return replace(estimate, doses=torch.from_numpy(self.doses).to(estimate.positions_px)[number])

    def with_doses(self, estimate: Estimate) -> "Together":
        """The same with the doses of an estimate."""
        if estimate.doses is None:
            return self
        known = estimate.doses.cpu().double().numpy()
        return replace(self, doses=np.array([known[self.of(scan)[0]] for scan in range(self.count)]))

    def check(self, config: RefineConfig) -> None:
        """Refuse what scans together do not allow.

        Raises:
            ConfigError: the setting, and the way out.
        """
        if config.probe_modes == "auto":
            raise ConfigError(
                "reconstruction.refine.probe_modes must be 'given' where scans are solved together, got 'auto'; "
                "reconstruct one of them alone to find the number, and set model.probe.modes to it"
            )
        if config.background == "pattern":
            raise ConfigError(
                "reconstruction.refine.background must not be 'pattern' where scans are solved together; "
                "use 'flat', or reconstruct each scan by itself"
            )
        if config.probe_relaxation:
            raise ConfigError(
                "reconstruction.refine.probe_relaxation must be 0 where scans are solved together, got "
                f"{config.probe_relaxation}; reconstruct each scan by itself"
            )
        if config.positions and not self.has_one_object:
            raise ConfigError(
                "reconstruction.refine.positions must be false where scans with one probe are of different objects, "
                "got true; refine the positions of each scan alone"
            )

    def whole(self, image: Reconstruction) -> Reconstruction:
        r"""The image of all scans under a single probe.

        Its probe is the common one, or that of the first scan, in units in which \(|P|^2\) are the photons of the mean
        pattern of all scans, \(\bar p\). The intensity \(p_n / \bar p\) of a pattern holds the dose of its scan.
        """
        modes = len(image.probe) // (1 if self.has_one_probe else self.count)
        probes = image.probe.reshape(-1, modes, *image.probe.shape[1:])
        photons = np.square(np.abs(probes), dtype=np.float64).sum((-3, -2, -1))
        each = (photons * self.doses)[self.scan_of] * (1.0 if image.intensities is None else image.intensities)
        mean = float(each.mean())
        factor = np.float32(np.sqrt(mean / max(float(photons[0]), _SMALLEST)))
        return replace(image, probe=probes[0] * factor, intensities=each / max(mean, _SMALLEST))

    def parts(self, image: Reconstruction) -> list[Reconstruction]:
        """The image of each scan, in its own frame and with its own probe, from that of all.

        All scans share one grid of pixels. So object and positions of a scan whose frame lies a part of a pixel beside
        the grid are moved by this part against its file; `metadata["gauge"]["frame_moved_px"]`, (y, x), states it.
        """
        return [self._part(image, scan) for scan in range(self.count)]

    def _part(self, image: Reconstruction, scan: int) -> Reconstruction:
        index, shift = self.of(scan), self.shifts_px[scan]
        positions = image.positions_px[index]
        origin = (int(image.origin_px[0]), int(image.origin_px[1]))
        frame = Frame(origin, (image.object_.shape[0], image.object_.shape[1]))
        if not self.has_one_object:
            frame = Frame.of_positions(positions, image.probe.shape[-1])
        object_, coverage = image.in_frame(frame.origin_px, frame.shape)
        modes = len(image.probe) // (1 if self.has_one_probe else self.count)
        probe = image.probe if self.has_one_probe else image.probe[scan * modes : (scan + 1) * modes]
        factors = None if image.intensities is None else image.intensities[index]
        mean = 1.0 if factors is None else float(factors.mean())
        dose = mean * float(self.doses[scan])
        moved = [float(value) for value in self.moved_px[scan]]
        gauge = {**image.metadata["gauge"], "frame_moved_px": moved} if self.has_one_object else image.metadata["gauge"]
        return replace(
            image,
            object_=object_,
            coverage=coverage / max(float(coverage.max()), _SMALLEST),
            origin_px=np.asarray(frame.origin_px) - shift,
            positions_px=positions - shift,
            probe=probe * np.float32(np.sqrt(dose)),
            intensities=None if factors is None else factors / mean,
            metadata={**image.metadata, "gauge": dict(gauge)},
        )


def joined_starts(
    starts: Sequence[Reconstruction],
    offsets_px: NDArray[np.float64],
    common: Common,
    counts: Sequence[float] | None = None,
) -> "Joined":
    """One start of several scans.

    Args:
        starts: of each scan alone, in its own frame.
        offsets_px: (S, 2), (y, x): of each frame in that of the first scan; used where the object is common.
        common: what they have in common.
        counts: mean counts in a pattern of each scan. Where the scans are of one object, their ratio is that of the
            doses to begin with, instead of the ratio of the photons of the probes; the sum of the photons stays.
    """
    sizes = [len(start.positions_px) for start in starts]
    scan_of = np.repeat(np.arange(len(starts)), sizes)
    exact = offsets_px if common != "probe" else _beside(starts)
    shifts = np.rint(exact)
    positions = [start.positions_px + offset for start, offset in zip(starts, exact, strict=True)]
    photons = np.array([start.beam_photons for start in starts])
    mean = float(np.average(photons, weights=sizes))
    relative = np.array(photons if counts is None or common == "probe" else counts)
    wanted = relative * mean / np.average(relative, weights=sizes)
    doses = wanted / mean if common != "object" else np.ones(len(starts))
    probes = [start.probe * np.float32(np.sqrt(n / has)) for start, n, has in zip(starts, wanted, photons, strict=True)]
    if common != "object":
        probes = [starts[0].probe * np.float32(np.sqrt(mean / photons[0]))]
    joined = np.concatenate(positions)
    frame = Frame.of_positions(joined, starts[0].probe.shape[-1])
    start = replace(
        starts[0],
        object_=np.ones(frame.shape, np.complex64),
        coverage=np.ones(frame.shape, np.float32),
        origin_px=np.asarray(frame.origin_px),
        positions_px=joined,
        probe=np.concatenate(probes),
    )
    return Joined(start, Together(common, scan_of, shifts.astype(np.int64), exact - shifts, doses))


@dataclass(frozen=True, eq=False)
class Joined:
    """The start of several scans, and how they belong together."""

    start: Reconstruction
    together: Together


def joined_gauge(gauges: Sequence[Gauge]) -> Gauge:
    """What is known of the probes of all scans: only what is known of each."""
    unknown = next((one for one in gauges if not one.photons_known), None)
    return Gauge(
        all(one.photons_known for one in gauges),
        all(one.probe_known for one in gauges),
        (unknown or gauges[0]).reason,
    )


def with_own_gauge(image: Reconstruction, gauge: Gauge, together: Together) -> Reconstruction:
    """The image of one scan by the rules of `with_gauge`, as far as all scans together do not decide them.

    Each of several objects has its own mean phase, and its own factor where the photons of the probe are unknown. An
    object that all scans share is left as it is.
    """
    if together.has_one_object:
        return with_photons_of(image, image, gauge)
    entry = dict(image.metadata["gauge"])
    image = with_gauge(image, gauge, DiffractionModel(), probe_refined=False)
    own = image.metadata["gauge"]
    factors = [one.pop("object_multiplied_by", 1.0) for one in (entry, own)]
    if not gauge.photons_known:
        own["object_multiplied_by"] = float(np.prod(factors))
    return replace(image, metadata={**image.metadata, "gauge": {**entry, **own}})


def with_photons_of(image: Reconstruction, beam: Reconstruction, gauge: Gauge) -> Reconstruction:
    """An image whose entry `gauge` states the photons and the transmission under another beam.

    Args:
        image: with an entry `gauge`.
        beam: the same object under one probe, see `Together.whole`.
        gauge: what was known.
    """
    entry = {**image.metadata["gauge"], "probe_photons": beam.beam_photons}
    if gauge.photons_known:
        entry["transmission"] = transmission(beam)
    return replace(image, metadata={**image.metadata, "gauge": entry})


@final
class DosesOfScans:
    """The constraint that fits the dose of each scan, where object and probe are common."""

    def __init__(self, together: Together) -> None:
        self._together = together

    def acts(self, iteration: int) -> bool:
        """Whether an iteration needs the gradients."""
        return iteration >= START

    def apply(self, state: State) -> None:
        """Take a step; the mean over the patterns stays 1, and the object takes up the rest."""
        estimate, gathered = state.estimate, state.gathered
        if not state.stage.doses or estimate.doses is None:
            return
        if estimate.intensities is not None:  # their mean over the patterns of a scan is its dose
            return
        number = torch.from_numpy(self._together.scan_of).to(estimate.doses.device)

        def summed(values: Tensor) -> Tensor:
            return values.new_zeros(self._together.count).index_add_(0, number, values)

        twice = summed(gathered.intensities_curvature).clamp_min(_SMALLEST)
        change = (-summed(gathered.intensities) / twice).clamp(-LARGEST_CHANGE, LARGEST_CHANGE)
        doses = estimate.doses * change.exp()[number]
        mean = doses.mean()
        estimate.doses = doses / mean
        factor = mean.sqrt().to(estimate.object_.real.dtype)
        estimate.object_, state.object_velocity = estimate.object_ * factor, state.object_velocity * factor


def _beside(starts: Sequence[Reconstruction]) -> NDArray[np.float64]:
    """(S, 2), whole pixels: shifts that put the windows of the scans beside each other, along the columns."""
    shifts, column = [], 0
    for start in starts:
        frame = Frame.of_positions(start.positions_px, start.probe.shape[-1])
        shifts.append([-frame.origin_px[0], column - frame.origin_px[1]])
        column += frame.shape[1] + GAP_PX
    return np.asarray(shifts, np.float64)
