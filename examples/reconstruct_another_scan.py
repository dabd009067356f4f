"""Train once, reconstruct many: a saved model turns another scan of the same beam into an image at once.

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

# 1. Two scans of different places, taken with the same beam: all but the beam differs with the seed.
first = ptychopinn.simulate(overrides=[*options.set, "simulation.seed=1"]).scan
second = ptychopinn.simulate(overrides=[*options.set, "simulation.seed=2"]).scan

# 2. Train on the first one. The model is kept as one file, `wts.h5.zip`.
started = time.perf_counter()
trained = ptychopinn.train(first, options.output / "model", overrides=options.set)
print(f"trained in {time.perf_counter() - started:.1f} s: {trained.paths['model']}")

# 3. Reconstruct both with the file, as another program on another day would.
for name, scan in (("first", first), ("second", second)):
    started = time.perf_counter()
    made = ptychopinn.reconstruct(scan, trained.paths["model"], options.output / name)
    seconds = time.perf_counter() - started
    report = made.metrics["reference"]  # the simulator knows the object, so the image can be scored
    print(f"{name}: {seconds:.1f} s, phase PSNR {report['psnr_phase']:.1f} dB, picture {made.paths['picture']}")
