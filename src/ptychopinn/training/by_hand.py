"""For those who write the loop of the training themselves: batches of plain arrays, and a model that is finished."""

import numpy as np
import torch
from torch import Tensor

from ptychopinn.config import FittedStatistics, Recipe
from ptychopinn.data import Scan, make_groups
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.models import PatchModel, build_model, prepare_probe, scan_scale
from ptychopinn.models.beam import parts_of
from ptychopinn.physics import exit_wave, split_position


def batch_of(amplitude: Tensor, relative_px: Tensor, probe: Tensor, index: Tensor | None = None) -> Batch:
    """B groups of G patterns of one beam.

    Args:
        amplitude: (B, G, H, W), sqrt(photons).
        relative_px: (B, G, 2), (y, x), positions minus those of the group's centre, px.
        probe: (M, H, W), sqrt(photons).
        index: (B, G), which patterns of a scan they are.
    """
    whole, remainder = split_position(relative_px.double())
    lowest = whole.amin(dim=1, keepdim=True)
    size, extent = amplitude.shape[-1], (whole - lowest).amax(dim=(0, 1))
    if index is None:
        index = torch.arange(amplitude.shape[:2].numel()).reshape(amplitude.shape[:2])
    return Batch(
        index=index,
        amplitude=amplitude.float(),
        measured=None,
        whole_px=whole - lowest + size // 2 + 1,
        remainder_px=remainder.float(),
        relative_px=relative_px.float(),
        canvas_shape=(int(extent[0]) + size + 2, int(extent[1]) + size + 2),
        labels=None,
        probe=probe,
        mean_count=float(amplitude.double().square().mean()),
    )


class ScanGroups:
    """The groups of one scan by number, each a batch with the probe that explains the counts of the scan.

    Args:
        scan: what was measured.
        recipe: grouping, seed, and how the probe is prepared.

    Raises:
        ScanError: too few positions, or a probe whose scale cannot be determined.
    """

    def __init__(self, scan: Scan, recipe: Recipe) -> None:
        self.tensors = ScanTensors(scan)
        rng = np.random.default_rng(recipe.training.seed)
        self.groups = make_groups(scan.positions_px, recipe.data, rng)
        probe = prepare_probe(scan.probe, recipe.model.probe)
        self.probe = probe * scan_scale(recipe, self.tensors, probe)[0]
        self.tensors.probe = self.probe

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, number: int) -> Batch:
        return self.tensors.gather(self.groups.index[number : number + 1])


def expected_amplitude(model: PatchModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Amplitudes at the detector, sqrt(photons), and the complex patches that make them, (B, G, H, W) both.

    Each patch is taken to the detector by itself; patches that overlap are not merged.
    """
    patches = model.patches(batch)
    return model.physics.amplitude(model.physics.propagator(exit_wave(model.view(batch).probes, patches))), patches


@torch.no_grad()
def begin(model: PatchModel, batch: Batch) -> tuple[float, float]:
    """Normalise the network's input by a batch, and take its probe; returns mean and deviation of the input.

    A probe with another number of modes is taken by `finished`.
    """
    values = model.generator.network_input(model.view(batch))
    mean = 0.0 if model.config.generator.input == "back_projected" else float(values.mean())
    deviation = float(values.std(correction=0)) or 1.0
    model.generator.normalise_by(mean, deviation)
    if batch.probe is not None:
        parts, unit = parts_of(batch.probe)
        if parts.shape == model.probe_parts.shape:
            model.probe_parts.copy_(parts)
            model.probe_unit.copy_(unit)
    return mean, deviation


@torch.no_grad()
def finished(
    model: PatchModel, recipe: Recipe, batch: Batch, mean: float, deviation: float
) -> tuple[PatchModel, Recipe]:
    """The trained network with the probe of a batch, on its device, and the recipe with what training measured."""
    assert batch.probe is not None
    done = build_model(recipe, batch.probe)
    done.generator.load_state_dict(model.generator.state_dict())
    done.to(batch.amplitude.device)
    fitted = FittedStatistics(
        pattern_size=batch.amplitude.shape[-1],
        input_mean=mean,
        input_deviation=deviation,
        mean_count=batch.mean_count or float(batch.amplitude.square().mean()),
        intensity_scale=1.0,
        n_patterns=0,
    )
    return done.eval(), recipe.changed(fitted=fitted)
