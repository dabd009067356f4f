"""What a background, a flickering beam, a gap, a point spread and a second probe mode cost: ignored, given, by default.

    python benchmarks/experiment_faults.py [--seeds 2000,2001,2002] [--faults blur]
        [--results benchmarks/results/experiment_faults.md]

Simulated scans of 64 px patterns and 1e6 photons (`drawn_scans.drawn`, probe exact), 40 iterations, scored against the
truth. `given`: the solver is told the true background, intensities, bad pixels, blur or number of probe modes.
`default`: it is told nothing; where the beam has two modes, it is asked for their number (`probe_modes=auto`).
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
from ptychopinn.physics import DiffractionModel
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
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="2000,2001,2002", help="separated by commas")
    parser.add_argument("--faults", default="", help="part of the names of the faults to measure; all by default")
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


def rows_of(seed: int, name: str = "") -> Iterator[str]:
    """Lines of the table for one scan under every fault whose name holds a text."""
    sample = drawn(seed, PHOTONS, SIZE_PX, poor=False)
    for fault in (one for one in FAULTS if name in one.name):
        factors = intensities(fault, seed, len(sample.scan))
        scan = faulty(sample, fault, factors, seed)
        start = sample.start()
        known = replace(start, intensities=factors if fault.flicker else None)
        if fault.second_mode:
            known = with_mode(known, 2)
        model = DiffractionModel(background=fault.background or None, blur_px=fault.blur_px)
        masked = replace(scan, bad_pixels=mask_of(scan, fault.gap)) if fault.gap else scan
        tried = {
            "ignored": (scan, start, DiffractionModel(), IGNORED),
            "given": (masked, known, model, IGNORED),
            "default": (
                with_masked_pixels(scan, ("dead", "hot")),
                start,
                DiffractionModel(),
                RefineConfig(iterations=40, probe_modes="auto" if fault.second_mode else "given"),
            ),
        }
        for setting, (counted, begin, by, config) in tried.items():
            before = time.process_time()
            image = refine(begin, ScanTensors(counted), config, model=by).reconstruction
            seconds = time.process_time() - before
            scores = sample.scores(image)
            found = [] if image.background is None or setting != "default" else [f"background {image.background:.2f}"]
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
    model = DiffractionModel(background=fault.background or None, blur_px=fault.blur_px)
    counts = np.random.default_rng(seed).poisson(photons_of(whole, ScanTensors(sample.scan), model).double().numpy())
    if fault.gap:
        counts[:, *fault.gap] = 0
    return replace(sample.scan, patterns=counts.astype(np.uint32), domain="counts", bad_pixels=None)


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
