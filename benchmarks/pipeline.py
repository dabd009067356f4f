"""Compare the speed of both backends: batches made ready, and whole training steps, in one run.

Batches: from the scan in memory to tensors of the framework, as the training loop takes them. Steps: batch, network,
merge, physics, loss, gradients, optimiser. Rounds of both backends alternate; each figure is the median of the rounds,
after one for warming up in which TensorFlow traces its functions.

    python benchmarks/pipeline.py [--threads 1] [--rounds 7] [--results benchmarks/results/pipeline.md]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

from record import add_results_option, record


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=64, help="rows of a pattern, px")
    add_results_option(parser)
    arguments = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(arguments.threads)  # read when the frameworks are imported
    rows = ["| gridsize | what | PyTorch, patterns/s | TensorFlow, patterns/s | PyTorch / TensorFlow |"]
    rows.append("| --- | --- | --- | --- | --- |")
    for gridsize in (1, 2):
        rows += measured(arguments.size, gridsize, arguments.threads, arguments.rounds)
    text = "\n".join(rows)
    print(text)
    if arguments.results:
        record(arguments.results, f"Patterns of {arguments.size} px, {arguments.threads} thread(s).\n\n{text}")


def measured(size: int, gridsize: int, threads: int, rounds: int) -> list[str]:
    """Rows of the table for one gridsize."""
    import tensorflow as tf
    import torch

    from ptychopinn.config import Recipe, SimulationConfig
    from ptychopinn.simulation import simulate
    from ptychopinn.tensorflow import build_model
    from ptychopinn.tensorflow.batches import dataset
    from ptychopinn.tensorflow.optimizer import make_optimizer
    from ptychopinn.training import prepare
    from ptychopinn.training.loaders import training_loader
    from ptychopinn.training.module import TrainingModule, _optimizer

    torch.set_num_threads(threads)
    scan = simulate(SimulationConfig(object_size_px=size + 120, probe_size_px=size, step_px=8, seed=2000))
    settings = [f"data.group_size={gridsize**2}", "training.epochs=1", "data.validation_fraction=0"]
    start = prepare(scan, Recipe().with_overrides([*settings, "training.device=cpu"]))
    fitted, config = start.recipe.fitted, start.recipe.training
    loader = training_loader(start, config, lambda: 0)
    patterns = sum(batch.index.numel() for batch in loader)

    from ptychopinn.bundle.layouts import to_tensorflow

    weights = {name: value.numpy() for name, value in to_tensorflow(start.model.state_dict()).items()}
    model = build_model(start.recipe, weights)
    data = dataset(loader, fitted.mean_count, masked=start.tensors.measured is not None)
    model.compile(make_optimizer(model, config, len(loader)), jit_compile=False)
    module = TrainingModule(start.model, config, fitted.mean_count, {})
    groups = [{"params": list(start.model.generator.parameters()), "weight_decay": config.weight_decay}]
    optimizer = _optimizer(groups, config)

    def torch_steps() -> None:
        for batch in loader:
            optimizer.zero_grad()
            losses = start.model.losses(batch, module.mean_count)
            torch.stack(list(losses.values())).sum().backward()
            torch.nn.utils.clip_grad_norm_(start.model.parameters(), config.gradient_clip)
            optimizer.step()

    work: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "batches": (lambda: [batch.amplitude for batch in loader], lambda: [tf.shape(b["amplitude"]) for b in data]),
        "training steps": (torch_steps, lambda: model.fit(data, epochs=1, shuffle=False, verbose=0)),
    }
    rows = []
    for what, (by_torch, by_keras) in work.items():
        pairs = [(seconds(by_torch), seconds(by_keras)) for _ in range(rounds + 1)][1:]
        speeds = [patterns / statistics.median(times) for times in zip(*pairs, strict=True)]
        ratio = statistics.median(keras / ours for ours, keras in pairs)
        rows.append(f"| {gridsize} | {what} | {speeds[0]:.0f} | {speeds[1]:.0f} | {ratio:.2f} |")
    return rows


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
