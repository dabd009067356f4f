"""Train the same network by both backends in one process, from the same weights, and compare what comes out.

The process trains by PyTorch, by TensorFlow and, with `--again`, by PyTorch once more, which must repeat the first
result. Each image is compared with the simulated object. Probe and scale are fitted; with `--fixed` neither is, as in
the default recipe. With `--perturbed` the second training is PyTorch's too, with a probe that differs by rounding: what
that changes is what two frameworks must differ by.

    python benchmarks/backends.py --probe siemens64.npz [--epochs 20] [--results benchmarks/results/backends.md]
    python benchmarks/backends.py --step 12 --fixed
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from record import add_results_option, record

from ptychopinn.api.evaluate import evaluate
from ptychopinn.api.reconstruct import reconstruct
from ptychopinn.api.train import train
from ptychopinn.config import SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.simulation import simulate


def main() -> None:
    """Train, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--size", type=int, default=64, help="rows of a pattern, px")
    parser.add_argument("--gridsize", type=int, default=1)
    parser.add_argument("--step", type=float, default=8.0, help="between positions, px")
    parser.add_argument("--probe", type=Path, help="file with a probe of that size; a zone plate without it")
    parser.add_argument("--fixed", action="store_true", help="do not fit probe and scale")
    parser.add_argument(
        "--perturbed", action="store_true", help="PyTorch twice, the second time with 1e-7 of noise on the probe"
    )
    parser.add_argument("--again", action="store_true", help="train by PyTorch once more at the end")
    add_results_option(parser)
    arguments = parser.parse_args()
    probe = {} if arguments.probe is None else {"probe_kind": "file", "probe_file": arguments.probe}
    size = arguments.size
    scan = simulate(
        SimulationConfig(object_size_px=size + 112, probe_size_px=size, step_px=arguments.step, seed=2000, **probe)
    )
    settings = [
        f"training.epochs={arguments.epochs}",
        f"data.group_size={arguments.gridsize**2}",
        "training.device=cpu",
        "reconstruction.check=false",
    ]
    if not arguments.fixed:
        settings += ["model.intensity_scale=trainable", "model.probe.trainable=true"]
    other_scan, other = (with_rounding(scan), "pytorch") if arguments.perturbed else (scan, "tensorflow")
    first = result_of(scan, [*settings, "backend=pytorch"])
    second = result_of(other_scan, [*settings, f"backend={other}"])
    named = "pytorch, probe + 1e-7" if arguments.perturbed else "tensorflow"
    rows = [f"| what | pytorch | {named} | difference | bound |", "| --- | --- | --- | --- | --- |"]
    for what in ("train loss", "validation loss"):
        ours, theirs = first[what], second[what]
        largest = 100 * np.max(np.abs(theirs - ours) / np.abs(ours))
        rows.append(f"| {what}, last epoch | {ours[-1]:.5f} | {theirs[-1]:.5f} | {largest:.2g} % in any epoch | 2 % |")
    for what in ("amplitude", "phase"):
        ours, theirs = first[what], second[what]
        rows.append(f"| PSNR of the {what}, dB | {ours:.2f} | {theirs:.2f} | {theirs - ours:+.3f} dB | 0.5 dB |")
    ours, theirs = first["scale"], second["scale"]
    rows.append(f"| intensity scale | {ours:.5g} | {theirs:.5g} | {100 * (theirs / ours - 1):+.2g} % | 1 % |")
    rows.append(f"| backend in the result | {first['backend']} | {second['backend']} | | |")
    if arguments.again:
        again = result_of(scan, [*settings, "backend=pytorch"])
        same = "the same losses" if np.array_equal(first["train loss"], again["train loss"]) else "other losses"
        rows.append(f"\nPyTorch again after TensorFlow in the same process: {same}, backend {again['backend']}.")
    text = "\n".join(rows)
    print(text)
    if arguments.results:
        fitted = "fixed" if arguments.fixed else "fitted"
        note = (
            f"{len(scan)} patterns of {arguments.size} px, groups of {arguments.gridsize**2}, {arguments.epochs} epochs"
            f", probe and scale {fitted}, seed 0; the network and all other settings are the defaults.\n"
        )
        record(arguments.results, text, note)


def with_rounding(scan: Scan) -> Scan:
    """The scan with white noise of 1e-7 of the probe's maximum on the probe."""
    rng = np.random.default_rng(0)
    probe = np.asarray(scan.probe)
    noise = rng.normal(size=probe.shape) + 1j * rng.normal(size=probe.shape)
    return replace(scan, probe=(probe + 1e-7 * np.abs(probe).max() * noise).astype(probe.dtype))


def result_of(scan: Any, overrides: list[str]) -> dict[str, Any]:
    """Losses, scores against the truth, scale and backend of one training."""
    trained = train(scan, overrides=overrides)
    image = reconstruct(scan, trained).reconstruction
    report = evaluate(image, scan).report
    return {
        "train loss": np.array(trained.history["train_loss"]),
        "validation loss": np.array(trained.history["val_loss"]),
        "amplitude": report["psnr_amplitude"],
        "phase": report["psnr_phase"],
        "scale": trained.recipe.fitted.intensity_scale if trained.recipe.fitted else float("nan"),
        "backend": image.metadata["backend"],
    }


if __name__ == "__main__":
    main()
