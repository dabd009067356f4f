# %% [markdown]
# # Network or solver: which, and when
#
# The iterative solver makes the image of one scan. A network is trained on a scan, and then makes the images of
# further scans of the same beam at once. `ptychopinn run` does both. This tutorial takes the parts one by one, on two
# scans of different samples.

# %%
import time

import ptychopinn

experiment = ["simulation.object_size_px=96", "simulation.probe_size_px=32", "simulation.step_px=4"]
first = ptychopinn.simulate(overrides=experiment).scan
second = ptychopinn.simulate(overrides=[*experiment, "simulation.seed=7"]).scan
first

# %% [markdown]
# One function measures every way alike: the CPU time it takes, and the phase against the known object.

# %%
table = {}


def measure(name, make, truth):
    began = time.process_time()
    made = make()
    seconds = time.process_time() - began
    report = ptychopinn.evaluate(made.reconstruction, truth).report
    table[name] = seconds, report["psnr_phase"]
    return made


# %% [markdown]
# ## The solver alone
#
# Use it where you want the image of one scan, or where probe and positions have to be fitted. Each scan starts anew.

# %%
solved = measure("solver, 40 iterations", lambda: ptychopinn.reconstruct(first), first)
solved

# %% [markdown]
# ## A network
#
# `cnn` looks at one pattern at a time: it suits live reconstruction. `unrolled` takes the steps of the solver with
# learned corrections, on the whole scan; it needs a good probe and counts. Both learn from the patterns alone. The
# training here is short; the default has 60 epochs.

# %%
cnn = ptychopinn.train(first, overrides=["training.epochs=4", "model.generator.width=4"])
cnn

# %%
unrolled = ptychopinn.train(first, recipe="unrolled", overrides=["training.epochs=3"])
unrolled

# %% [markdown]
# ## The second scan
#
# Trained models reconstruct a scan that they have never seen. With `refine` the solver goes on from the image of the
# network.

# %%
measure("second scan: solver, 40 iterations", lambda: ptychopinn.reconstruct(second), second)
measure("second scan: cnn", lambda: ptychopinn.reconstruct(second, cnn), second)
measure("second scan: unrolled", lambda: ptychopinn.reconstruct(second, unrolled), second)
measure(
    "second scan: unrolled, then 10 iterations",
    lambda: ptychopinn.reconstruct(second, unrolled, refine=10),
    second,
).reconstruction

# %% [markdown]
# ## Which, when
#
# Times are of this small scan, with the check of the verdict; a poor image takes longer, because it is also compared
# with other geometries. The trainings were far too short for their networks: `cnn` needs its 60 epochs.

# %%
print(f"{'way':45} {'CPU s':>8} {'phase PSNR (dB)':>16}")
for name, (seconds, decibels) in table.items():
    print(f"{name:45} {seconds:8.2f} {decibels:16.1f}")

# %% [markdown]
# | situation | take |
# | --- | --- |
# | one scan; probe or positions uncertain | the solver: `ptychopinn run --no-train` |
# | many scans of one beam, a good probe, counts | train `unrolled` on one of them, reconstruct the others |
# | an image after every pattern, while the scan is measured | `cnn`, or `ptychopinn watch` |
# | you do not know | `ptychopinn run`: it makes both images and takes the one that explains withheld photons better |
