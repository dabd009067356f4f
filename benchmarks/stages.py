"""What each stage of a training does to the image, and how far fine-tuning comes in a tenth of the epochs.

Two samples of one kind, A and B, are simulated with the same beam for every seed. Networks are trained on A; after each
stage they reconstruct A and, untrained for it, B. Fine-tuning takes the plain network of A to B, in a tenth of the
epochs that a training on B from random weights has. Labels are the true patches of A.
"""

import argparse
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
from record import add_results_option, record

from ptychopinn.api.model_files import save_model
from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.metrics import compare
from ptychopinn.models import TrainedModel
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.simulation import simulate
from ptychopinn.training import fit_prepared, prepare, recipe_of_start
from ptychopinn.training.stages import plan_of

EPOCHS = 30
SMALL = (
    "model.generator.levels=2",
    "training.patterns_per_step=16",
    "training.device=cpu",
    "training.logger=none",
    "training.seed={seed}",
)
THIRDS = (
    "training.epochs=null",
    "training.stages.data_epochs=10",
    "training.stages.transition_epochs=10",
    "training.stages.physics_epochs=10",
)
AFTER = ("training.fine_tune.epochs=3", "training.fine_tune.staged=true", "training.fine_tune.patience=null")
LAYERS = ("training.fine_tune.decoder.epochs=3", "training.fine_tune.encoder_top.epochs=3")
MIXED = ("model.loss.realspace_mae_weight=1", "model.loss.realspace_weight=1")
PLAIN = "plain, then fine-tuned"
RUNS: Mapping[str, tuple[str, ...]] = {
    PLAIN: (
        f"training.epochs={EPOCHS}", *AFTER, *LAYERS, "training.fine_tune.whole.epochs=3"
    ),
    "stages, amplitudes, cosine": (*THIRDS, "training.stages.data_loss=amplitude"),
    "stages, labels, cosine": (*THIRDS, "training.stages.data_loss=labels"),
    "stages, labels, multi_stage": (*THIRDS, "training.stages.data_loss=labels", "training.scheduler=multi_stage"),
    "physics and labels together": (f"training.epochs={EPOCHS}", *MIXED),
    "labels alone": (f"training.epochs={EPOCHS}", "model.kind=supervised"),
}  # fmt: skip
"""Name of a training -> its settings."""
Scores = dict[tuple[str, str], list[float]]
"""Training and stage -> phase PSNR of A and of B, dB, seed after seed."""


def sample(seed: int, args: argparse.Namespace) -> Scan:
    """A scan; the seed decides the sample, positions and noise."""
    config = SimulationConfig(
        object_size_px=args.size, probe_size_px=32, step_px=4, photons_per_pattern=args.photons, seed=seed
    )
    return simulate(config)


def phase_psnr(trained: TrainedModel, scan: Scan) -> float:
    """Phase PSNR of the image of a scan, peak 2 pi, dB."""
    image, _ = Reconstructor.for_scan(trained, scan, probe="scan").image()
    truth = scan.object_guess
    assert truth is not None
    low, high = scan.positions_px.min(0).astype(int) + 2, scan.positions_px.max(0).astype(int) - 2
    region = (int(low[0]), int(high[0]), int(low[1]), int(high[1]))
    return compare(image.object_, truth, mask=image.covered, region=region)["psnr_phase"]


def stage_by_stage(name: str, recipe: Recipe, scans: tuple[Scan, Scan], scores: Scores) -> TrainedModel:
    """Train on the first scan and score both after each stage; returns the model after the first stage."""
    start = prepare(scans[0], recipe)
    plan = plan_of(start.recipe.training)
    ends = dict(zip(np.cumsum([stage.epochs for stage in plan]).tolist(), plan, strict=True))
    first: list[TrainedModel] = []

    def score(done: int, of: int, row: dict[str, float]) -> None:
        if done in ends:
            model = TrainedModel(start.model, start.recipe)
            scores.setdefault((name, ends[done].name), []).extend(phase_psnr(model, scan) for scan in scans)
            start.model.train()
            if not first:
                first.append(deepcopy(model))

    fit_prepared(start, on_epoch=score)
    return first[0]


def fine_tuned(model: TrainedModel, scan: Scan, seed: int) -> dict[str, float]:
    """Phase PSNR of a scan: trained from random weights, long and short, and in a short training from a model."""
    base = Recipe().with_overrides([text.format(seed=seed) for text in SMALL])
    short = max(1, EPOCHS // 10)
    found = {}
    for label, epochs in (("random weights, all epochs", EPOCHS), ("random weights, a tenth", short)):
        made = fit_prepared(prepare(scan, base.with_overrides([f"training.epochs={epochs}"])))
        found[label] = phase_psnr(made.trained, scan)
    with tempfile.TemporaryDirectory() as folder:
        path = save_model(Path(folder) / "model.zip", model)
        made = fit_prepared(prepare(scan, recipe_of_start(str(path)).with_overrides([f"training.epochs={short}"])))
    found["the model of A as it is"] = phase_psnr(model, scan)
    found["the model of A, a tenth"] = phase_psnr(made.trained, scan)
    return found


def main() -> None:
    """Train, score, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=68, help="side of the samples, px")
    parser.add_argument("--photons", type=float, default=1e5, help="per pattern")
    add_results_option(parser)
    args = parser.parse_args()
    scores: Scores = {}
    tuned: dict[str, list[float]] = {}
    for seed in args.seeds:
        a, b = sample(seed, args), sample(seed + 100, args)
        b = replace(b, probe=a.probe)
        models: dict[str, TrainedModel] = {}
        for name, settings in RUNS.items():
            recipe = Recipe().with_overrides([*(text.format(seed=seed) for text in SMALL), *settings])
            models[name] = stage_by_stage(name, recipe, (a, b), scores)
            print(f"seed {seed}: {name}", flush=True)
        for label, value in fine_tuned(models[PLAIN], b, seed).items():
            tuned.setdefault(label, []).append(value)
    text = report(scores, tuned)
    print(text)
    if args.results:
        record(args.results, text, __doc__.partition("\n\n")[2].replace("\n", " "))


def report(scores: Scores, tuned: Mapping[str, list[float]]) -> str:
    """Both tables."""
    lines = ["| training on A | after stage | phase PSNR of A, dB | of B, dB |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {stage} | {_stated(values[0::2])} | {_stated(values[1::2])} |"
        for (name, stage), values in scores.items()
    ]
    lines += ["", "| network for B | phase PSNR of B, dB |", "| --- | --- |"]
    lines += [f"| {label} | {_stated(values)} |" for label, values in tuned.items()]
    difference = np.subtract(tuned["the model of A, a tenth"], tuned["random weights, all epochs"])
    lines += ["", f"Fine-tuned less trained from random weights, seed by seed: {_listed(difference)} dB."]
    return "\n".join(lines)


def _stated(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:+.2f}" for value in values)


if __name__ == "__main__":
    main()
