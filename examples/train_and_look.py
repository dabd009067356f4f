"""From a scan to a picture in one call, and what the call returns.

Run it as it is on a simulated scan, or give your own:

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

# 1. What do we have? `info` describes a scan and lists what may go wrong with it.
scan = options.scan or ptychopinn.simulate(overrides=options.set).scan
about = ptychopinn.info(scan)
print(about)

# 2. Train on the scan and reconstruct it. Nothing but the patterns, positions and probe is used.
result = ptychopinn.run(scan, options.output, overrides=options.set)

# 3. The image is a complex array; the rest of the object says where it lies and where it can be trusted.
image = result.reconstruction
phase = image.phase[image.covered]
print(f"object of {image.object_.shape} px, first pixel at {image.origin_px} in the frame of the positions")
print(f"covered: {image.covered.mean():.0%}; phase from {phase.min():.2f} to {phase.max():.2f} rad")

# 4. Did training settle? The history has one number per epoch and column.
loss = np.array(result.trained.history["train_loss"])
print(f"loss: {loss[0]:.4f} after the first epoch, {loss[-1]:.4f} after the last of {len(loss)}")

# 5. Look at it.
print(f"picture: {result.paths['picture']}")
