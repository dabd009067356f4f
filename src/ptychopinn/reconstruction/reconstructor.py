"""A trained network made ready for one scan: the way from a `TrainedModel` to patches and an image."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import Recipe
from ptychopinn.data import make_groups
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.device import choose_device
from ptychopinn.data.frame import check_one_image
from ptychopinn.data.propagation import with_geometry
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.errors import BundleError, ConfigError
from ptychopinn.models import PatchModel, TrainedModel, prepare_probe, scaled_probe, scan_scale
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.reconstruction.predict import (
    Progress,
    Timing,
    add_predicted,
    expected_counts,
    predict_and_stitch,
    predict_patches,
    stitched_image,
)
from ptychopinn.reconstruction.stitch import ScanStitcher
from ptychopinn.solver.gauge import FITTED_SCALE, Gauge, with_gauge

logger = logging.getLogger("ptychopinn.reconstruction")
ProbeChoice = Literal["auto", "scan", "model"]
"""Whose probe is used: `scan` the scan's, `model` that of the training, `auto` the latter if training fitted it."""


@final
@dataclass(frozen=True, eq=False)
class Reconstructor:
    """A trained network with the scan that it reconstructs; made by `for_scan`.

    Probe, scale and position shifts that apply are data of this object. The trained model is only read.
    """

    trained: TrainedModel
    network: PatchModel
    """On the device of the scan. Shares its weights with the trained model where that is on the same device."""
    tensors: ScanTensors
    """The scan with the probe (M, H, W) in sqrt(photons), and the position shifts (N, 2) in px, that apply to it."""
    groups: NDArray[np.int64]
    """(n_groups, G), patterns that are predicted together; every pattern is in at least one group."""
    gauge: Gauge
    """What is known of the probe that applies."""
    probe_fitted: bool
    """Whether training fitted it."""
    ranks: Ranks = ALONE
    """Processes that share the prediction; all hold the same values."""

    @classmethod
    @torch.no_grad()
    def for_scan(
        cls,
        trained: TrainedModel,
        scan: Scan | ScanTensors,
        *,
        probe: ProbeChoice = "auto",
        device: str = "auto",
        groups: NDArray[np.int64] | None = None,
        ranks: Ranks = ALONE,
    ) -> "Reconstructor":
        """Prepare a scan for a trained model.

        Args:
            trained: is left as it is.
            scan: what was measured; pixels that training never saw are masked if it has no mask. Tensors are used on
                their device, with their own mask.
            probe: `scan` uses the scan's probe with its intensity scale, `model` those of the training; `auto` is
                `model` if the probe was fitted in training, else `scan`.
            device: `auto`, `cpu`, `cuda`, ...; not used for tensors.
            groups: (n_groups, G) instead of `prediction_groups`.
            ranks: processes that share the prediction; `image` gives all the same.

        Raises:
            BundleError: the patterns have another size than those of the training.
            ScanError: the patterns do not make one image, or bad pixels hide the probe.
        """
        known = scan.scan if isinstance(scan, ScanTensors) else scan
        _check_fits(known, trained)
        tensors = scan if isinstance(scan, ScanTensors) else _on_device(scan, trained, device)
        network = trained.network_on(tensors.device)
        fits = trained.recipe.model.probe.trainable
        of_model = probe == "model" or (probe == "auto" and fits)
        beam, gauge = _of_model(trained, network) if of_model else _of_scan(trained, tensors)
        tensors = tensors.with_probe(beam, _shifts(network, tensors))
        groups = prediction_groups(known, trained.recipe) if groups is None else groups
        return cls(trained, network, tensors, groups, gauge, of_model and fits, ranks)

    def with_groups(self, groups: NDArray[np.int64]) -> "Reconstructor":
        """The same for other groups (n_groups, G)."""
        return replace(self, groups=groups)

    def image(self, progress: Progress | None = None) -> tuple[Reconstruction, Timing]:
        """The image of the scan, stitched of the patches of all groups, and the time that it took.

        Its scale, place and phase follow the rules of docs/conventions.md, see `with_gauge`; `metadata["gauge"]` states
        what was done.

        Args:
            progress: is called after every batch with the number of groups done and of all groups.
        """
        config = self.trained.recipe.reconstruction
        image, timing = predict_and_stitch(self.network, self.tensors, self.groups, config, progress, self.ranks)
        return self._stated(image), timing

    def add_to(self, stitcher: ScanStitcher) -> Timing:
        """Predict the patches of all groups and add them to a canvas, which holds their windows.

        Raises:
            ConfigError: the network solves for the whole scan, so that it has no patches before all are there.
        """
        if self.network.generator.scene_solver is not None:
            name = self.trained.recipe.model.generator.architecture
            raise ConfigError(
                f"the network {name} solves for the whole scan at once; use a model with another network, such as one "
                "that was trained with --config cnn"
            )
        self.network.eval()
        return add_predicted(self.network, self.tensors, self.groups, self.trained.recipe.reconstruction, stitcher)

    def image_of(self, stitcher: ScanStitcher) -> Reconstruction:
        """The image of patches that somebody else stitched, by the same rules."""
        return self._stated(stitched_image(self.network, self.tensors, stitcher))

    def _stated(self, image: Reconstruction) -> Reconstruction:
        return with_gauge(image, self.gauge, self.network.physics, probe_refined=self.probe_fitted)

    def patches(
        self, batch_size: int | None = None, *, together: bool = True
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Patches (n_groups, G, H, W) of every group, and the intensity of the probes (n_groups, G, H, W) on them.

        Args:
            batch_size: patterns predicted at once; that of the recipe by default.
            together: let an unrolled generator solve for the whole scan, from which the patches are cut. If false,
                every group is solved alone; needed where the groups do not share one coordinate frame.
        """
        config = self.trained.recipe.reconstruction
        return predict_patches(
            self.network,
            self.tensors,
            self.groups,
            batch_size or config.batch_size,
            config=config if together else None,
        )

    def expected(self, image: Reconstruction) -> Iterator[tuple[slice, Tensor]]:
        """Photons (B, H, W), a batch of patterns at a time, that an image predicts with its own probe and positions.

        Of the patterns of this rank.

        Yields:
            Which patterns, in their order, and their photons on the device of the scan.
        """
        moved = image.positions_px - self.tensors.scan.positions_px
        shifts = torch.from_numpy(moved).to(self.tensors.remainder_px)
        probe = torch.from_numpy(image.probe).to(self.tensors.device)
        return expected_counts(self.network, self.tensors.with_probe(probe, shifts), image, ranks=self.ranks)


def prediction_groups(scan: Scan, recipe: Recipe) -> NDArray[np.int64]:
    """Groups that hold every pattern: of one where patterns are encoded alone, else one for each pattern."""
    if recipe.model.generator.grouping == "single":
        return np.arange(len(scan), dtype=np.int64)[:, None]
    everything = recipe.data.changed(n_groups=None, groups_per_pattern=1)
    rng = np.random.default_rng(recipe.training.seed)
    return make_groups(scan.positions_px, everything, rng, scan_index=scan.scan_index).index


def _check_fits(scan: Scan, trained: TrainedModel) -> None:
    """Refuse a scan that a trained model cannot reconstruct."""
    check_one_image(scan, trained.recipe.model.propagation)
    with_geometry(trained.recipe, scan)
    size = trained.fitted.pattern_size
    if size != scan.pattern_size:
        raise BundleError(
            f"{scan.source}: its patterns are {scan.pattern_size}x{scan.pattern_size} px, but the model was "
            f"trained on {size}x{size} px; train a model on patterns of this size"
        )


def _on_device(scan: Scan, trained: TrainedModel, device: str) -> ScanTensors:
    masked = trained.masked(scan)
    if masked is not scan and masked.bad_pixels is not None:
        logger.info("%d pixels that were bad in training are left out", int(masked.bad_pixels.sum()))
    return ScanTensors(masked, choose_device(device))


def _of_model(trained: TrainedModel, network: PatchModel) -> tuple[Tensor, Gauge]:
    """The probe (M, H, W) of the training, sqrt(photons), and what is known of it."""
    logger.info("using the probe of the model")
    return network.probe, Gauge.of_training(trained.recipe)


def _of_scan(trained: TrainedModel, tensors: ScanTensors) -> tuple[Tensor, Gauge]:
    """The probe (M, H, W) of the scan, sqrt(photons), on its device, and what is known of it."""
    recipe = trained.recipe
    prepared = prepare_probe(tensors.scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, prepared)
    gauge = Gauge.of(tensors.scan, recipe.model.intensity_scale, scale, reason)
    if recipe.model.intensity_scale == "trainable":
        gauge = replace(gauge, photons_known=False, reason=FITTED_SCALE)
    scale *= trained.fitted.scale_correction
    logger.info("using the probe of the scan; intensity scale %.4g: %s", scale, reason)
    return scaled_probe(prepared, scale).to(tensors.device), gauge


def _shifts(network: PatchModel, tensors: ScanTensors) -> Tensor | None:
    """Position shifts (N, 2), px: those of patterns that training fitted, 0 of others; None if it fitted none."""
    if network.shifts is None:
        return None
    shifts, known = network.shifts.of(tensors.scan)
    logger.info("%d of %d patterns are at positions that training fitted", known, len(tensors))
    return shifts
