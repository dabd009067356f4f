"""Train once, reconstruct many scans: a saved model reconstructs further scans of the same beam without training.

python examples/reconstruct_another_scan.py
"""

import argparse
import time
from pathlib import Path

import ptychopinn

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--output", type=Path, default=Path("outputs/another_scan"))
parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
options = parser.parse_args()

# 1. Two scans of different samples with the same beam: the seed changes everything but the beam.
first = ptychopinn.simulate(overrides=[*options.set, "simulation.seed=1"]).scan
second = ptychopinn.simulate(overrides=[*options.set, "simulation.seed=2"]).scan

# 2. Train on the first one. The model is one file, `wts.h5.zip`.
started = time.perf_counter()
trained = ptychopinn.train(first, options.output / "model", overrides=options.set)
print(f"trained in {time.perf_counter() - started:.1f} s: {trained.paths['model']}")

# 3. Reconstruct both scans with this file.
for name, scan in (("first", first), ("second", second)):
    started = time.perf_counter()
    made = ptychopinn.reconstruct(scan, trained.paths["model"], options.output / name)
    seconds = time.perf_counter() - started
    report = made.metrics["reference"]  # a simulated scan contains its object, so the image can be scored
    print(f"{name}: {seconds:.1f} s, phase PSNR {report['psnr_phase']:.1f} dB, figure {made.paths['figure']}")
