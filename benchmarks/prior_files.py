"""What the prior adds to files with a reference, which neither chose nor trained anything.

    python benchmarks/prior_files.py DATA --results benchmarks/results/prior_files.md

Each is reconstructed once, by `ptychopinn.reconstruct` with its default iterations and the prior; the solver's own
image is that less what the prior added. Amplitude is scored with the scale as it is.
"""

from argparse import ArgumentParser
from pathlib import Path

import torch
from quality import REGIONS
from record import add_results_option, record

import ptychopinn
from ptychopinn.metrics import compare

FILES = ("synth_dev_1e4", "synth_dev_1e6", "siemens64", "siemens128")
HEAD = (
    "| scan | solver, dB | with the prior, dB | scale | strength, amplitude / phase | withheld, standard errors |\n"
    "|" + " --- |" * 6
)


def main() -> None:
    """A row for each file, as soon as it is measured."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--prior", default="default")
    parser.add_argument("--only", default=",".join(FILES))
    add_results_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(HEAD)
    rows = []
    for name in options.only.split(","):
        rows.append(row(options.data / f"{name}.npz", options.prior))
        print(rows[-1], flush=True)
    if options.results:
        record(options.results, "\n".join((HEAD, *rows)), NOTE)


NOTE = (
    "Amplitude / phase PSNR. The references of the measured stars are iterative reconstructions. `withheld` is the "
    "difference of the deviance of withheld photons, above 0 where the prior explains them less well."
)


def row(path: Path, prior: str) -> str:
    """Scores of a file without and with the prior."""
    scan = ptychopinn.read_scan(path)
    made = ptychopinn.reconstruct(path, overrides=[f"reconstruction.prior={prior}", "training.threads=1"])
    image, reference = made.reconstruction, scan.object_guess
    assert reference is not None
    added = 0 if image.prior_correction is None else image.prior_correction
    region = REGIONS.get(path.stem)
    scores = [
        compare(one, reference, mask=image.covered, region=region) for one in (image.object_ - added, image.object_)
    ]
    entry = made.metrics["prior"]
    shown = [f"{one['psnr_amplitude_scale_kept']:.2f} / {one['psnr_phase']:.2f}" for one in scores]
    scale = ", ".join(f"{one['object_scale']:.3f}" for one in scores)
    parts = entry.get("strength_of_parts", {"amplitude": 0.0, "phase": 0.0})
    errors = entry.get("withheld_difference", 0.0) / entry.get("withheld_standard_error", 1.0)
    cells = (path.stem, *shown, scale, f"{parts['amplitude']:.2f} / {parts['phase']:.2f}", f"{errors:+.1f}")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
