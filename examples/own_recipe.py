"""Build recipes in Python and compare them on one scan.

python examples/own_recipe.py --set training.epochs=10
"""

import argparse
from pathlib import Path

import ptychopinn
from ptychopinn.config import GeneratorConfig, LossConfig, ModelConfig, TrainingConfig

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--output", type=Path, default=Path("outputs/own_recipe"))
parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
options = parser.parse_args()

# 1. A recipe cannot be changed: build it, and derive others from it by overrides. Unknown keys are refused.
base = ptychopinn.Recipe(
    model=ModelConfig(generator=GeneratorConfig(width=8, levels=3)),
    training=TrainingConfig(epochs=20, learning_rate=2e-3),
).with_overrides(options.set)
amplitude_loss = LossConfig(poisson_weight=0.0, amplitude_mae_weight=1.0)
recipes = {
    "poisson": base,
    "amplitude": base.changed(model=base.model.changed(loss=amplitude_loss)),
    "raw-input": base.with_overrides(["model.generator.input=log_counts"]),
}

# 2. Use the same scan for all of them.
scan = ptychopinn.simulate(recipe=base).scan

# 3. Run each without the solver, since the networks are compared. Its `recipe.yaml` contains all settings.
for name, recipe in recipes.items():
    result = ptychopinn.run(scan, options.output / name, recipe, solve=False)
    report, data = result.reconstructed.metrics["reference"], result.reconstructed.metrics["data"]
    print(
        f"{name:>10}: phase PSNR {report['psnr_phase']:.2f} dB, "
        f"amplitude PSNR {report['psnr_amplitude']:.2f} dB, "
        f"misfit {data['amplitude_misfit']:.4f}, {result.trained.seconds:.1f} s"
    )
