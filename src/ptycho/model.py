"""A trained network behind the `predict` of the TensorFlow contract, and which one this process holds."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ptycho import params
from ptycho._annotated import Table, annotated, annotation_of
from ptychopinn.config import Recipe, ReconstructionConfig
from ptychopinn.data import Scan
from ptychopinn.data.dose import with_photons
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import BundleError
from ptychopinn.models import TrainedModel as CoreModel
from ptychopinn.physics.legacy import merged_patches
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.reconstruction.reconstructor import ProbeChoice

logger = logging.getLogger("ptychopinn.ptycho")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the reassembly of predicted patches needs."""

    rows: NDArray[np.int64]
    """(P,), which of the B * C patches count: each pattern once where patterns are encoded alone."""
    power: NDArray[np.float32]
    """(P, H, W), intensity of the probes over them, photons."""
    positions_px: NDArray[Any]
    """(P, 2), (y, x), where they lie in the object frame."""
    config: ReconstructionConfig
    """How the model's recipe stitches."""
    reconstructor: Reconstructor | None = None
    """Makes an image of what was stitched."""


def central_stitch(config: ReconstructionConfig, window_px: int) -> ReconstructionConfig:
    """Stitching of central windows only, as the TensorFlow contract asks for (its argument `M`)."""
    return config.changed(weight="central", window_px=int(window_px))


def channels_second(images: tuple[int, ...], offsets: tuple[int, ...]) -> bool:
    """Whether arrays of these shapes are (B, C, H, W) and (B, C, 1, 2), and not (B, H, W, C) and (B, 1, 2, C)."""
    return len(images) == 4 and offsets == (*images[:2], 1, 2)


@dataclass(eq=False, repr=False)
class TrainedModel:
    """Predicts object patches from diffraction patterns by a model of the core, which is only read."""

    trained: CoreModel
    network = property(lambda self: self.trained.network, doc="The trained module of the core.")

    @property
    def recipe(self) -> Recipe:
        """What it was trained with, complete."""
        return self.trained.recipe

    def __call__(self, inputs: Sequence[NDArray[Any]], *options: Any, **more: Any) -> NDArray[Any]:
        """The same as `predict`."""
        return self.predict(inputs, *options, **more)

    def eval(self) -> Self:
        """The model itself: a trained network always predicts."""
        self.network.eval()
        return self

    def to(self, device: Any) -> Self:
        """The model itself; the device is that of the recipe (`training.device`), chosen when it predicts."""
        logger.info("to(%s) has no effect: a model predicts on the device of its recipe", device)
        return self

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Weights by name."""
        return dict(self.network.state_dict())

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Trained weights."""
        return self.network.parameters()

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Print architecture, backend, and the shape of each weight with the number of all."""
        weights = self.state_dict()
        print_fn(f"{self.recipe.model.generator.architecture}, {self.recipe.backend}")
        for name, value in weights.items():
            print_fn(f"  {name}  {tuple(value.shape)}")
        print_fn(f"{sum(value.numel() for value in weights.values())} numbers")

    def predict(self, inputs: Sequence[NDArray[Any]], batch_size: int | None = None, verbose: Any = 0) -> NDArray[Any]:
        """Object patches (B, H, W, C), complex64, of groups of patterns; or (B, C, H, W) where they are given so.

        Arrays of a container remember their scan: its own amplitudes, exact positions and probe are used then, and
        each pattern is predicted once where patterns are encoded alone. Plain arrays are taken as they are, with the
        model's probe. A probe of `ptycho.probe.set_probe_guess` takes the place of the scan's or the model's, unless
        the probe was fitted in training.

        A TensorFlow model of the earlier implementation merges the patches of each group, which lie at minus their
        offsets, of plain arrays as it did: each of the C patches that are returned is the merged one.

        Args:
            inputs: `X * intensity_scale` (B, H, W, C), sqrt(photons), and the local offsets (B, 1, 2, C); or both in
                the layout (B, C, H, W) and (B, C, 1, 2).
            batch_size: patterns predicted at once; the recipe's by default. `verbose` has no effect.

        A `ValueError` for another pattern or group size than in training, or shapes that do not fit.

        Returns:
            (B, H, W, C) complex64, or (B, C, H, W).

        Raises:
            ValueError: another pattern or group size than in training, or shapes that do not fit.
        """
        X, local_offsets = inputs
        if channels_second(np.shape(X), np.shape(local_offsets)):
            last = np.moveaxis(np.asarray(X), 1, -1), np.asarray(local_offsets).transpose(0, 2, 3, 1)
            return np.ascontiguousarray(np.moveaxis(np.asarray(self.predict(last, batch_size)), -1, 1))
        table = annotation_of(X, Table)
        if table is not None:
            scan = with_photons(table.scan, float(params.cfg.get("nphotons", 1e9)))
            return self._patches(self._prepared(scan), table.index, batch_size, whole=True)
        patches = self._patches(*self._of_arrays(X, local_offsets), batch_size, whole=False)
        return self._merged(patches, local_offsets) if self.recipe.model.merge.weight == "legacy" else patches

    def reconstruct(self, scan: Scan, window_px: int) -> Reconstruction:
        """The image of a scan: the same as `predict` and `ptycho.tf_helper.reassemble_position` give, with coverage.

        Raises:
            ValueError: another pattern size than in training, or patterns that do not make one image.
        """
        config = central_stitch(self.recipe.reconstruction, window_px)
        recipe = self.recipe.changed(reconstruction=config)
        dosed = self._prepared(with_photons(scan, float(params.cfg.get("nphotons", 1e9))))
        return Reconstructor.for_scan(replace(self.trained, recipe=recipe), dosed).image()[0]

    def _prepared(self, scan: Scan) -> Scan:
        """The scan with the probe that was set by hand."""
        probe = scan.probe if session.probe is None else session.probe
        if probe.shape[-1] != scan.pattern_size:
            raise ValueError(
                f"the probe is {probe.shape[-1]} px but the patterns are {scan.pattern_size} px; set another"
            )
        return replace(scan, probe=probe, truth_patches=None)

    def _of_arrays(self, X: NDArray[Any], local_offsets: NDArray[Any]) -> tuple[Scan, NDArray[np.int64]]:
        """A scan of plain arrays, the centre of each group at (0, 0)."""
        amplitudes, offsets = np.asarray(X, np.float32), np.asarray(local_offsets, np.float64)
        if amplitudes.ndim != 4 or offsets.shape != (len(amplitudes), 1, 2, amplitudes.shape[-1]):
            raise ValueError(
                f"inputs must have shapes (B, H, W, C) and (B, 1, 2, C), got {amplitudes.shape} and {offsets.shape}"
            )
        positions = -offsets[:, 0].transpose(0, 2, 1)[..., ::-1].reshape(-1, 2)
        patterns = np.moveaxis(amplitudes, -1, 1).reshape(-1, *amplitudes.shape[1:3])
        probe = self.network.probe.detach().cpu().numpy() if session.probe is None else session.probe
        index = np.arange(len(patterns)).reshape(len(amplitudes), -1)
        return self._prepared(Scan(np.ascontiguousarray(patterns), "amplitude", positions, probe)), index

    def _patches(
        self, scan: Scan, index: NDArray[np.int64], batch_size: int | None, whole: bool
    ) -> NDArray[np.complex64]:
        """Patches of patterns in one frame, the `whole` scan, or in groups that know nothing of each other."""
        groups, place = self._groups(index, whole)
        choice: ProbeChoice = "auto" if whole or session.probe is not None else "model"
        reconstructor = Reconstructor.for_scan(self.trained, scan, probe=choice, groups=groups)
        patches, power = reconstructor.patches(batch_size, together=whole)
        patches, power = patches.reshape(-1, *patches.shape[2:]), power.reshape(-1, *power.shape[2:])
        rows = np.unique(place.reshape(-1), return_index=True)[1]
        tensors, members = reconstructor.tensors, groups.reshape(-1)
        positions = self.network.physics.place(tensors.whole_px, tensors.remainder_px).cpu().numpy()[members]
        prediction = Prediction(rows, power, positions, self.recipe.reconstruction, reconstructor)
        return annotated(np.moveaxis(patches[place], 1, -1), prediction)

    @staticmethod
    def _merged(patches: NDArray[Any], local_offsets: NDArray[Any]) -> NDArray[np.complex64]:
        """The rule of the earlier TensorFlow models, `ptychopinn.physics.legacy.merged_patches`."""
        offsets = torch.from_numpy(np.asarray(local_offsets, np.float32)[:, 0].transpose(0, 2, 1)[..., ::-1].copy())
        merged = merged_patches(torch.from_numpy(np.moveaxis(np.asarray(patches), -1, 1).copy()), offsets).numpy()
        return np.repeat(merged[..., None], patches.shape[-1], axis=-1)

    def _groups(self, index: NDArray[np.int64], whole: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Groups (n, G) that the network is given, and (B, C), which of their n * G patches stands where."""
        if not whole and self.network.generator.scene_solver is not None:
            return index, np.arange(index.size).reshape(index.shape)
        if self.recipe.model.generator.grouping == "single":
            members, place = np.unique(index, return_inverse=True)
            return members[:, None], place.reshape(index.shape)
        if index.shape[1] != self.recipe.data.group_size:
            raise ValueError(
                f"the groups hold {index.shape[1]} patterns, but the model was trained on groups of "
                f"{self.recipe.data.group_size}; give generate_grouped_data the gridsize of the training"
            )
        return index, np.arange(index.size).reshape(index.shape)


@dataclass
class Session:
    """What one process remembers between calls, because clients do not pass it on; `session` is the only instance."""

    model: TrainedModel | None = None
    """The model that was trained or loaded last."""
    probe: NDArray[np.complex64] | None = None
    """(modes, H, W), sqrt(photons): the probe that a caller set by hand since then."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """Losses of the training that made the model; empty where it was loaded."""

    def hold(self, model: TrainedModel, history: dict[str, list[float]] | None = None) -> None:
        """Make this the model of the process; a probe set for another one is forgotten."""
        self.model, self.history, self.probe = model, history or {}, None

    def held(self) -> TrainedModel:
        """The model of the process; a `BundleError` where none was trained or loaded yet."""
        if self.model is None:
            raise BundleError("no model was trained or loaded in this process; train or load one first")
        return self.model


session = Session()


def __getattr__(name: str) -> TrainedModel:
    """`autoencoder` and `diffraction_to_obj`: two names of the model that this process trained or loaded last."""
    if name not in ("autoencoder", "diffraction_to_obj"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return session.held()
