"""What one method reaches on one scan, as plain values."""

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

import ptychopinn
from other_packages.interface import Found, Method, reconstruction_of
from other_packages.scans import simulated
from ptychopinn.api.evaluate import misfit_of, scanned_region
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.metrics import compare
from ptychopinn.solver import photons_in_batches

Values = dict[str, Any]
WARM_UP_SIZE_PX = 104


def against_the_object(method: Method, scan: Scan, seconds: Sequence[float], seed: int) -> list[Values]:
    """Scores against the true object, one for each CPU time."""
    speed = reference_cpu_s()
    values = []
    for at, found in zip(seconds, method.solve(scan, seconds, seed), strict=True):
        report = ptychopinn.evaluate(reconstruction_of(found, scan, method.name), scan).report
        kept = {key: report[key] for key in ("psnr_amplitude", "psnr_phase", "frc_0.5_nyquist", "shift_px")}
        values.append({**spent(at, found), **kept, "scale": 1 / report["scale_abs"], "reference_cpu_s": speed})
    return values


def halves_against_each_other(
    method: Method, scans: tuple[Scan, Scan], seconds: Sequence[float], seed: int
) -> list[Values]:
    """Agreement of the images of two halves, and the deviance of each half's patterns under the other's image."""
    solved = [method.solve(scan, seconds, seed) for scan in scans]
    values = []
    for at, first, second in zip(seconds, *solved, strict=True):
        pair = zip((first, second), scans, strict=True)
        images = [reconstruction_of(found, scan, method.name) for found, scan in pair]
        report = compare(images[0].object_, images[1].object_, mask=images[0].covered, region=scanned_region(images[0]))
        crossed = zip(images, reversed(scans), strict=True)
        deviance = [held_out_deviance(image, scan) for image, scan in crossed]
        values.append(
            {
                **spent(at, first),
                **{key: report[key] for key in ("psnr_amplitude", "psnr_phase", "frc_0.5_nyquist")},
                "held_out_deviance": sum(deviance) / 2,
            }
        )
    return values


def held_out_deviance(image: Reconstruction, scan: Scan) -> float:
    """Poisson deviance per pixel of patterns that the image was not made from, at their positions."""
    there = Reconstruction(**{**vars(image), "positions_px": scan.positions_px})
    tensors = ScanTensors(scan)
    return misfit_of(photons_in_batches(there, tensors), tensors).scores()["poisson_deviance_per_pixel"]


def warm_up(method: Method) -> None:
    """Solve a small scan briefly, so that what a package imports and plans at its first iteration does not count."""
    method.solve(simulated(0, 1e5, WARM_UP_SIZE_PX), [0.01], 0)


def spent(at: float, found: Found) -> Values:
    """The CPU time asked for, and what was used."""
    return {"at": at, "cpu_s": found.cpu_s, "iterations": found.iterations}


def reference_cpu_s() -> float:
    """CPU seconds of 20 Fourier transforms of 64 patterns: how fast the machine is at this moment."""
    waves = torch.ones(64, 64, 64, dtype=torch.complex64)
    before = time.process_time()
    for _ in range(20):
        torch.fft.fft2(waves)
    return time.process_time() - before


def import_cpu_s(module: str) -> float:
    """CPU seconds of a fresh interpreter that imports a module."""
    code = f"import time, {module}; print(time.process_time())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])
