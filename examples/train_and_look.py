"""Train and reconstruct a scan in one call, and look at what the call returns.

Without a scan file it simulates a scan:

    python examples/train_and_look.py
    python examples/train_and_look.py --scan scan.npz --set training.epochs=20
"""

import argparse
from pathlib import Path

import numpy as np

import ptychopinn

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--scan", type=Path, help="a scan file; without it one is simulated")
parser.add_argument("--output", type=Path, default=Path("outputs/train_and_look"))
parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
options = parser.parse_args()

# 1. `info` describes a scan and lists possible problems.
scan = options.scan or ptychopinn.simulate(overrides=options.set).scan
about = ptychopinn.info(scan)
print(about)

# 2. Train on the scan and reconstruct it. Only the patterns, positions and probe are used.
result = ptychopinn.run(scan, options.output, overrides=options.set)

# 3. The image is a complex array; the other fields state its position and where it is covered.
image = result.reconstruction
phase = image.phase[image.covered]
print(f"object of {image.object_.shape} px, first pixel at {image.origin_px} in the frame of the positions")
print(f"covered: {image.covered.mean():.0%}; phase from {phase.min():.2f} to {phase.max():.2f} rad")

# 4. Has the training converged? The history has one number per epoch and column.
loss = np.array(result.trained.history["train_loss"])
print(f"loss: {loss[0]:.4f} after the first epoch, {loss[-1]:.4f} after the last of {len(loss)}")

# 5. The figure shows all of this.
print(f"figure: {result.paths['figure']}")
