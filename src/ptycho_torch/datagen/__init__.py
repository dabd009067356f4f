"""Simulated data under the legacy names."""

from ptycho_torch.datagen.datagen import Datagen as Datagen
from ptycho_torch.datagen.datagen import from_simulation as from_simulation
from ptycho_torch.datagen.datagen import generate_data_from_experiment as generate_data_from_experiment
from ptycho_torch.datagen.datagen import simulate_multiple_experiments as simulate_multiple_experiments
