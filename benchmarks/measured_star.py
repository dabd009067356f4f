"""What the conditions of a measured experiment explain: modes, background and intensities on a measured scan.

    python benchmarks/measured_star.py data/siemens64.npz [--results benchmarks/results/measured_star.md]

A tenth of the photons is withheld; images are made from the others with 40 iterations. `gain` is by how many standard
errors the withheld photons are explained better than in the line before it. `misfit` is the sum of the differences
between measured and modelled amplitudes over that of the measured ones, of the photons that the image was made from;
`floor` is the same with counts that are drawn from the model.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import torch
from record import add_results_option, record

from ptychopinn.config import RefineConfig
from ptychopinn.data import read_scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.thinning import withhold_photons
from ptychopinn.metrics.withheld import preference, withheld_deviance
from ptychopinn.physics import DiffractionModel
from ptychopinn.solver import flat_start, photons_in_batches, refine, with_mode

HEAD = "| fit | found | misfit | floor | gain, standard errors | CPU s |\n|" + " --- |" * 6
GIVEN = RefineConfig(iterations=40, background="given", intensities="given", blur="given")
FITS = {
    "one mode": (1, GIVEN),
    "three modes": (3, GIVEN),
    "and a background": (3, GIVEN.changed(background="flat")),
    "and a background of each pixel": (3, GIVEN.changed(background="pattern")),
    "and intensities": (3, GIVEN.changed(background="pattern", intensities="fitted")),
    "and a probe that varies": (3, GIVEN.changed(background="pattern", intensities="fitted", probe_relaxation=1)),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", help="file of a scan in photons")
    add_results_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scan = replace(read_scan(arguments.scan), object_guess=None)
    split = withhold_photons(scan, 0.1, 0)
    tensors = ScanTensors(split.scan)
    start = flat_start(split.scan, torch.from_numpy(split.scan.probe))
    lines, before = [HEAD], None
    print(HEAD, flush=True)
    for name, (modes, config) in FITS.items():
        began = time.process_time()
        image = refine(with_mode(start, modes), tensors, config, as_stated=True).reconstruction
        spent = time.process_time() - began
        now = withheld_deviance(photons_in_batches(image, tensors, DiffractionModel()), split, tensors)
        gain = ""
        if before is not None:
            gain = f"{-preference(before, now, split.withheld.size, split.withheld_photons()).errors:.1f}"
        misfit, floor = misfit_of(image, tensors)
        lines.append(f"| {name} | {found_in(image)} | {misfit:.4f} | {floor:.4f} | {gain} | {spent:.0f} |")
        print(lines[-1], flush=True)
        before = now
    if arguments.results:
        record(arguments.results, "\n".join(lines), "Every line adds to the one before it.")


def misfit_of(image: Reconstruction, tensors: ScanTensors) -> tuple[float, float]:
    """The misfit of amplitudes, and that of counts drawn from the model."""
    rng = np.random.default_rng(0)
    differences = floors = total = drawn_total = 0.0
    for part, photons in photons_in_batches(image, tensors, DiffractionModel()):
        modelled, measured = photons.double().clamp_min(0).numpy(), tensors.counts_of(part).numpy()
        drawn = np.sqrt(rng.poisson(modelled))
        differences += float(np.abs(np.sqrt(measured) - np.sqrt(modelled)).sum())
        floors += float(np.abs(drawn - np.sqrt(modelled)).sum())
        total += float(np.sqrt(measured).sum())
        drawn_total += float(drawn.sum())
    return differences / total, floors / drawn_total


def found_in(image: Reconstruction) -> str:
    """What the fit found beside object and probe."""
    found = []
    if len(image.probe) > 1:
        powers = np.square(np.abs(image.probe), dtype=np.float64).sum((-2, -1))
        found.append("modes " + " / ".join(f"{power:.1%}" for power in powers / powers.sum()))
    if image.background_photons is not None:
        found.append(f"background {image.background_photons:.2f} photons per pixel")
    if image.intensities is not None:
        found.append(f"intensities {image.intensities.std():.2%} rms")
    if image.relaxation_modes is not None:
        found.append(f"varying part {sum(image.relaxation_powers):.1%}")
    return ", ".join(found)


if __name__ == "__main__":
    main()
