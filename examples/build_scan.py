"""Build a scan from your own arrays: patterns, positions in metres, and the numbers of the experiment.

python examples/build_scan.py --set training.epochs=10

Replace the part that simulates by your reader. The object pixel is wavelength * distance / (N * detector pixel), and
positions grow with the columns (x) and rows (y) of the object.
"""

import argparse
from pathlib import Path

import ptychopinn
from ptychopinn.data import Scan

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--output", type=Path, default=Path("outputs/build_scan"))
parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
options = parser.parse_args()

# 1. Your arrays. Here they come from a simulation; read your files instead.
energy_eV, distance_m, detector_pixel_m = 8800.0, 1.9, 75e-6
made = ptychopinn.simulate(recipe=ptychopinn.Recipe().with_overrides(options.set)).scan
patterns = made.patterns  # (N, H, H) counts, the direct beam at element (H//2, H//2)
wavelength_m = 1.239841984e-6 / energy_eV
pixel_m = wavelength_m * distance_m / (patterns.shape[-1] * detector_pixel_m)
y_m, x_m = (made.positions_px * pixel_m).T  # (N,) each: where the beam was on the sample
probe = made.probe  # (H, H) or (M, H, H) in sqrt(photons); None for an estimate from the mean pattern

# 2. The scan. Every mistake that can be seen is an error with a way out.
scan = Scan.from_metres(patterns, x_m, y_m, energy_eV, distance_m, detector_pixel_m, probe)
print(f"object pixel: {scan.pixel_size_m * 1e9:.1f} nm")

# 3. Look at it, then keep it.
for sentence in ptychopinn.info(scan).problems:
    print("problem:", sentence)
options.output.mkdir(parents=True, exist_ok=True)
print("scan:", ptychopinn.write_scan(scan, options.output / "scan.npz"))

# 4. The same from files, without Python:
#    ptychopinn convert patterns.npy scan.npz --positions positions.csv --energy-kev 8.8 --distance-m 1.9
#        --detector-pixel-um 75 --probe probe.npy
