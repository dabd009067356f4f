# %% [markdown]
# # Low dose, with error bars
#
# With few photons the image shows the noise of the counts. This tutorial shows how far a trained prior reduces it,
# how large the remaining error is in every pixel, and whether the error bars hold.

# %%
import numpy as np

import ptychopinn

scan = ptychopinn.simulate(
    overrides=[
        "simulation.object_size_px=112",
        "simulation.probe_size_px=32",
        "simulation.step_px=4",
        "simulation.photons_per_pattern=2e3",
    ]
).scan
scan

# %% [markdown]
# ## Without and with the prior
#
# The penalties of the solver follow the dose and suppress most of the noise. The prior is a small network that was
# trained on simulated objects; it corrects the image only as far as withheld photons support it. `auto`, the default,
# uses it where the noise is visible.

# %%
plain = ptychopinn.reconstruct(scan, overrides=["reconstruction.prior=none"])
plain

# %%
helped = ptychopinn.reconstruct(scan, overrides=["reconstruction.prior=auto"])
helped

# %%
for name, made in {"without prior": plain, "with prior": helped}.items():
    report = ptychopinn.evaluate(made.reconstruction, scan).report
    print(f"{name}: phase PSNR {report['psnr_phase']:.1f} dB, FRC 0.5 at {report['frc_0.5_nyquist']:.2f} of Nyquist")

# %% [markdown]
# ## Error bars
#
# With `uncertainty` every pixel has a standard deviation of amplitude and phase; it takes three times the time of the
# solver. The error bars contain counting noise, penalties, the prior and the probe, but hold for a right model only:
# read the verdict first.

# %%
barred = ptychopinn.reconstruct(scan, uncertainty=True)
barred

# %% [markdown]
# Quote a value with its error, such as the phase in the middle of the image:

# %%
image = barred.reconstruction
y, x = (size // 2 for size in image.object_.shape)
print(f"phase {image.phase[y, x]:.3f} ± {image.phase_error[y, x]:.3f} rad")
print("error bars valid:", image.metadata["uncertainty"]["valid"])

# %% [markdown]
# ## Do they hold?
#
# The object of this scan is known. If the errors were normal and the bars exact, 68 % of all pixels would lie within
# one standard deviation of the truth, and 95 % within two.

# %%
compared = ptychopinn.evaluate(barred.reconstruction, scan)
y0, y1, x0, x1 = compared.report["region"] - np.repeat(image.origin_px, 2)
region = slice(y0, y1), slice(x0, x1)
error = np.angle(image.object_ * np.conj(compared.reference))[region]
sigma = image.phase_error[region]
for factor in (1, 2):
    inside = np.mean(np.abs(error) <= factor * sigma)
    print(f"within {factor} standard deviation(s): {inside:.0%} of {error.size} pixels")

# %%
compared
