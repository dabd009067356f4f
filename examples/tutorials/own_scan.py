# %% [markdown]
# # Your own scan, from arrays in metres
#
# You have patterns, the positions of the beam in metres, and the numbers of the experiment. This tutorial makes a
# scan of them, checks it, reconstructs it, and reads sizes in micrometres from the result. To have arrays at hand,
# the first cell simulates them; replace it by your own.

# %%
import numpy as np

import ptychopinn

measured = ptychopinn.simulate(
    overrides=["simulation.object_size_px=128", "simulation.probe_size_px=32", "simulation.step_px=4"]
).scan
patterns = measured.patterns  # (N, H, W), counts
probe = measured.probe  # (M, H, W), sqrt(photons)
pixel_m = 1.2398e-9 / 8.8 * 0.95 / (32 * 75e-6)  # of the object: wavelength x distance / (N x detector pixel)
y_m, x_m = pixel_m * (measured.positions_px - measured.positions_px.mean(axis=0)).T  # (N,), of the beam on the sample
print(patterns.shape, patterns.dtype, f"{np.ptp(x_m) * 1e6:.2f} µm wide")

# %% [markdown]
# ## The scan
#
# `Scan.from_metres` takes the numbers of the experiment. They give the object pixel, wavelength x distance / (N x
# detector pixel), by which the positions are divided. `x` grows with the columns of the object, `y` with its rows; a
# stage that moves the sample instead of the beam has the opposite sign. The last line shows what was understood, with
# a figure.

# %%
scan = ptychopinn.Scan.from_metres(
    patterns, x_m, y_m, energy_eV=8800, distance_m=0.95, detector_pixel_m=75e-6, probe=probe, domain="counts"
)
scan

# %% [markdown]
# `info` counts everything, and lists what looks wrong. Here nothing does.

# %%
about = ptychopinn.info(scan)
print(about)

# %% [markdown]
# ## What a wrong unit looks like
#
# The same positions in millimetres, taken for metres, are far apart: neighbouring beams do not overlap, and the
# canvas would be huge. That is refused before anything is computed, with the way out.

# %%
try:
    ptychopinn.Scan.from_metres(patterns, 1e3 * x_m, 1e3 * y_m, 8800, 0.95, 75e-6, probe=probe)
except ptychopinn.PtychoPINNError as error:
    print(error)

# %% [markdown]
# A factor of three is not refused, but `info` says that the overlap is small:

# %%
tripled = ptychopinn.Scan.from_metres(patterns, 3 * x_m, 3 * y_m, 8800, 0.95, 75e-6, probe=probe)
print(*ptychopinn.info(tripled).problems, sep="\n")

# %% [markdown]
# ## The image
#
# The iterative solver needs no training. The verdict compares the image with the patterns: it needs no reference.

# %%
result = ptychopinn.run(scan, train=False)
result

# %% [markdown]
# The image knows its pixel size. Write it as NPZ, CXI or a ptychodus product, and the figure as PNG:

# %%
image = result.reconstruction
rows, columns = image.object_.shape
print(f"{columns * image.pixel_size_m * 1e6:.2f} x {rows * image.pixel_size_m * 1e6:.2f} µm")
image.save("own_scan.cxi")
result.plot().savefig("own_scan.png")

# %% [markdown]
# ## Without a probe
#
# If you have no probe, leave it out: an estimate from the mean pattern stands in, and the solver refines it. The
# scale of the amplitude is then relative.

# %%
estimated = ptychopinn.Scan.from_metres(patterns, x_m, y_m, 8800, 0.95, 75e-6)
blind = ptychopinn.run(estimated, train=False)
blind

# %% [markdown]
# Because this scan was simulated, the true object is known. `evaluate` removes what the patterns cannot determine
# (shift, global phase, phase ramp, scale) and compares both images with it.

# %%
for name, one in {"with the probe": result, "without": blind}.items():
    report = ptychopinn.evaluate(one.reconstruction, measured.object_guess).report
    print(f"{name}: phase PSNR {report['psnr_phase']:.1f} dB, scale of the object {report['object_scale']:.3f}")
