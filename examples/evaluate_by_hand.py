"""What `ptychopinn evaluate` does, step by step: align, then score.

The patterns do not determine the position of the object, its global phase, a linear phase ramp, or its scale.
These are removed first; flips and rotations are errors and are kept.

    python examples/evaluate_by_hand.py
"""

import argparse
import math

import numpy as np

import ptychopinn
from ptychopinn.metrics import align, fourier_ring_correlation, phase_difference, psnr

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
options = parser.parse_args()

# 1. An image and its reference in the same frame: the reconstruction has the frame of the scan's object guess.
scan = ptychopinn.simulate(overrides=options.set).scan
image = ptychopinn.run(scan, overrides=options.set).reconstruction
truth = scan.object_guess
assert truth is not None
assert truth.shape == image.object_.shape

# 2. Score the area of the positions: outside it the illumination is weak.
(y0, x0), (y1, x1) = image.positions_px.min(axis=0).astype(int), image.positions_px.max(axis=0).astype(int)
inside = np.s_[y0:y1, x0:x1]
scored = np.zeros(truth.shape, dtype=bool)
scored[inside] = True

# 3. Align on that area.
alignment = align(image.object_, truth, mask=scored, support=image.covered)
print(f"moved by {np.round(alignment.shift_px, 3)} px, scaled by {abs(alignment.scale):.4f}")
ours, reference = alignment.object_[inside], truth[inside]

# 4. Score. A PSNR needs a peak: 1 for amplitudes, 2 pi for phases.
difference = phase_difference(ours, reference)
print(f"amplitude PSNR {psnr(np.abs(ours), np.abs(reference), peak=1.0):.2f} dB")
print(f"phase PSNR {psnr(difference, np.zeros_like(difference), peak=2 * math.pi):.2f} dB")
curve = fourier_ring_correlation(ours, reference)
print(f"FRC falls below 0.5 at {curve.crossing_nyquist(0.5):.2f} of Nyquist")

# 5. `evaluate` gives the same scores in one call.
report = ptychopinn.evaluate(image, scan, region=(int(y0), int(y1), int(x0), int(x1))).report
print(f"evaluate: amplitude {report['psnr_amplitude']:.2f} dB, phase {report['psnr_phase']:.2f} dB")
