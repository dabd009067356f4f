"""What faults of an experiment cost in the image: ignored, given, and found by the solver.

    python benchmarks/experiment_faults.py [--seeds 2000,2001,2002] [--faults blur]
        [--results benchmarks/results/experiment_faults.md]

Simulated scans of 64 px patterns and 1e6 photons (`drawn_scans.drawn`, probe exact), 40 iterations, scored against the
truth. `given`: the solver is told the true background, intensities, bad pixels, blur or number of probe modes.
`default`: it is told nothing; where the beam has two modes, it is asked for their number (`probe_modes=auto`), where
the background is a pattern, where the probe varies or positions are wrong, it is asked to fit these.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from drawn_scans import Drawn, drawn
from numpy.typing import NDArray
from record import add_results_option, record

from ptychopinn.config import RefineConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.pixel_faults import with_masked_pixels
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.fly import ExposurePath
from ptychopinn.physics.illumination import with_modes
from ptychopinn.solver import photons_of, refine
from ptychopinn.solver.probe_modes import with_mode

PHOTONS = 1e6
SIZE_PX = 150
Gap = tuple[slice, slice]
GAP: Gap = (slice(20, 35), slice(8, 33))
"""375 pixels."""
DIM_GAP: Gap = (slice(3, 18), slice(4, 29))
"""As many, near a corner."""
FLY_STEPS = 9
HEAD = "| seed | fault | settings | amplitude, dB | phase, dB | found | CPU s |\n|" + " --- |" * 7
IGNORED = RefineConfig(iterations=40, background="given", intensities="given", blur="given")


@dataclass(frozen=True)
class Fault:
    """What was wrong in an experiment."""

    name: str
    background: float = 0.0
    flicker: float = 0.0
    gap: Gap | None = None
    blur_px: float = 0.0
    second_mode: float = 0.0
    """Power of a second probe mode, in units of the first."""
    scatter: float = 0.0
    """Mean photons per pixel of a background that is not even."""
    varying: float = 0.0
    """Photons of a mode by which the probe varies from pattern to pattern, in units of the probe's."""
    fly_px: float = 0.0
    """Length of the path of each exposure along x."""
    positions_px: float = 0.0
    """Errors of the positions, rms along each axis."""

    def model(self, size: int, seed: int) -> DiffractionModel:
        """What a detector of so many pixels counts with this fault."""
        background = scatter_of(size, seed, self.scatter) if self.scatter else self.background or None
        path = ExposurePath((0.0, self.fly_px), FLY_STEPS) if self.fly_px else None
        return DiffractionModel(background=background, blur_px=self.blur_px, path=path)

    def asked(self) -> RefineConfig:
        """Settings of the solver that is told nothing but what to look for."""
        return RefineConfig(
            iterations=40,
            probe_modes="auto" if self.second_mode else "given",
            background="pattern" if self.scatter else "auto",
            probe_relaxation=1 if self.varying else 0,
            positions=self.positions_px > 0,
        )


FAULTS = (
    Fault("none"),
    Fault("background 1", background=1.0),
    Fault("background 5", background=5.0),
    Fault("background 20", background=20.0),
    Fault("flicker 10 %", flicker=0.1),
    Fault("gap of 375 px", gap=GAP),
    Fault("dim gap of 375 px", gap=DIM_GAP),
    Fault("blur 0.3 px", blur_px=0.3),
    Fault("blur 0.7 px", blur_px=0.7),
    Fault("second mode 5 %", second_mode=0.05),
    Fault("second mode 20 %", second_mode=0.2),
    Fault("background 5, flicker 10 %", background=5.0, flicker=0.1),
    Fault("scatter 5", scatter=5.0),
    Fault("varying probe 5 %", varying=0.05),
    Fault("path of 6 px", fly_px=6.0),
    Fault("positions 1 px", positions_px=1.0),
    Fault("positions 1 px, second mode 20 %", positions_px=1.0, second_mode=0.2),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="2000,2001,2002", help="separated by commas")
    parser.add_argument("--faults", default="", help="parts of their names, separated by commas; all by default")
    add_results_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [HEAD]
    print(HEAD, flush=True)
    for seed in map(int, arguments.seeds.split(",")):
        for line in rows_of(seed, arguments.faults):
            print(line, flush=True)
            lines.append(line)
    if arguments.results:
        record(arguments.results, "\n".join(lines), "No setting was chosen on these scans.")


def rows_of(seed: int, names: str = "") -> Iterator[str]:
    """Lines of the table for one scan under every fault whose name holds one of the texts, separated by commas."""
    sample = drawn(seed, PHOTONS, SIZE_PX, poor=False)
    for fault in (one for one in FAULTS if any(part in one.name for part in names.split(","))):
        factors = intensities(fault, seed, len(sample.scan))
        scan = faulty(sample, fault, factors, seed)
        start = sample.start()
        known = replace(start, intensities=factors if fault.flicker else None)
        if fault.second_mode:
            known = with_mode(known, 2)
        if fault.varying:
            known = with_relaxation(known, fault, seed)
        model = fault.model(scan.pattern_size, seed)
        moved = positions_of(fault, scan, seed)
        started = replace(start, positions_px=moved)
        masked = replace(scan, bad_pixels=mask_of(scan, fault.gap)) if fault.gap else scan
        tried = {
            "ignored": (scan, started, DiffractionModel(), IGNORED),
            "given": (masked, known, model, IGNORED),
            "default": (with_masked_pixels(scan, ("dead", "hot")), started, of_path(model), fault.asked()),
        }
        for setting, (counted, begin, by, config) in tried.items():
            before = time.process_time()
            image = refine(begin, ScanTensors(counted), config, model=by).reconstruction
            seconds = time.process_time() - before
            scores = sample.scores(image)
            level = image.background_photons
            found = [] if level is None or setting != "default" else [f"background {level:.2f}"]
            if image.relaxation_modes is not None and setting == "default":
                found.append(f"varying part {image.relaxation_powers[0]:.1%}")
            if fault.positions_px and setting == "default":
                rest = image.positions_px - scan.positions_px
                rms = np.sqrt(np.square(rest - rest.mean(0)).mean())
                found.append(f"positions to {rms:.3f} px")
            if fault.second_mode and setting == "default":
                found.append(f"{len(image.probe)} modes")
            if image.blur_px is not None and setting == "default":
                found.append(f"blur {image.blur_px:.3f} px")
            if image.intensities is not None and setting == "default":
                found.append(f"intensities {image.intensities.std():.1%} rms")
            if counted.bad_pixels is not None and setting == "default":
                found.append(f"{counted.bad_pixels.sum()} bad pixels")
            values = [f"{scores['psnr_amplitude']:.2f}", f"{scores['psnr_phase']:.2f}", ", ".join(found)]
            yield f"| {' | '.join([str(seed), fault.name, setting, *values, f'{seconds:.1f}'])} |"


def intensities(fault: Fault, seed: int, count: int) -> NDArray[np.float64]:
    """(N,), with a mean of 1."""
    factors = (1 + fault.flicker * np.random.default_rng(seed).standard_normal(count)).clip(0.2)
    return np.asarray(factors / factors.mean())


def faulty(sample: Drawn, fault: Fault, factors: NDArray[np.float64], seed: int) -> Scan:
    """The scan as such an experiment records it."""
    truth = sample.scan.object_guess
    assert truth is not None
    whole = replace(
        sample.start(),
        object_=truth,
        coverage=np.ones(truth.shape, np.float32),
        origin_px=np.zeros(2, np.int64),
        intensities=factors,
        probe=beam_of(sample, fault),
    )
    if fault.varying:
        whole = with_relaxation(whole, fault, seed)
    model = fault.model(sample.scan.pattern_size, seed)
    counts = np.random.default_rng(seed).poisson(photons_of(whole, ScanTensors(sample.scan), model).double().numpy())
    if fault.gap:
        counts[:, *fault.gap] = 0
    return replace(sample.scan, patterns=counts.astype(np.uint32), domain="counts", bad_pixels=None)


def scatter_of(size: int, seed: int, mean: float) -> NDArray[np.float32]:
    """(H, W), photons: a broad spot beside the centre, a streak, and a floor."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size // 2
    (down, right), width = rng.uniform(-8, 8, 2), rng.uniform(8, 16)
    spot = np.exp(-((y - down) ** 2 + (x - right) ** 2) / 2 / width**2)
    pattern = spot + 0.4 * np.exp(-np.abs(y + 0.3 * x - 4) / 2) + 0.1
    return np.asarray(mean * pattern / pattern.mean(), dtype=np.float32)


def with_relaxation(image: Reconstruction, fault: Fault, seed: int) -> Reconstruction:
    """The image with a probe that varies by one mode: a random polynomial of degree 2 times the probe."""
    rng = np.random.default_rng([seed, 1])
    probe = image.probe[0].astype(np.complex128)
    size = probe.shape[-1]
    y, x = 3 * (2 * np.mgrid[:size, :size] / size - 1)
    factors = rng.standard_normal(5) + 1j * rng.standard_normal(5)
    mode = sum(factor * one for factor, one in zip(factors, (y, x, y * y, x * y, x * x), strict=True)) * probe
    mode = mode - probe * np.vdot(probe, mode) / np.vdot(probe, probe)
    mode = mode * np.sqrt(fault.varying) * np.linalg.norm(probe) / np.linalg.norm(mode)
    weights = rng.standard_normal((len(image.positions_px), 1))
    weights = (weights - weights.mean(0)) / weights.std(0)
    return replace(image, relaxation_modes=mode[None, None].astype(np.complex64), relaxation_weights=weights)


def positions_of(fault: Fault, scan: Scan, seed: int) -> NDArray[np.float64]:
    """(N, 2), px, as the stage reports them."""
    moves = np.random.default_rng([seed, 2]).standard_normal(scan.positions_px.shape)
    return np.asarray(scan.positions_px + fault.positions_px * moves)


def of_path(model: DiffractionModel) -> DiffractionModel:
    """A model that knows the path of the exposures and no other fault."""
    return DiffractionModel(path=model.path)


def beam_of(sample: Drawn, fault: Fault) -> NDArray[np.complex64]:
    """(M, H, W): the probe of the scan, with a second mode where the fault has one."""
    probe = sample.scan.probe
    if not fault.second_mode:
        return probe
    return np.asarray(with_modes(torch.from_numpy(probe), 2, fault.second_mode).numpy())


def mask_of(scan: Scan, gap: Gap) -> NDArray[np.bool_]:
    """(H, W), True in the gap."""
    bad = np.zeros(scan.patterns.shape[1:], dtype=bool)
    bad[gap] = True
    return bad


if __name__ == "__main__":
    main()
