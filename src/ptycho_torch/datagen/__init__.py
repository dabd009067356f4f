"""Simulated data under the earlier names."""

from ptycho_torch.datagen.datagen import (
    from_simulation,
    generate_data_from_experiment,
    simulate_multiple_experiments,
)

__all__ = ["from_simulation", "generate_data_from_experiment", "simulate_multiple_experiments"]
