"""Training and reconstruction under the legacy names; every entry first fills `ptycho.params.cfg`."""

import logging
import sys
from argparse import Namespace
from collections.abc import Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho import params
from ptycho._annotated import Results
from ptycho._groups import amplitude_factor
from ptycho.backend import DEFAULT, training_backend
from ptycho.commands.session import progress
from ptycho.config.config import (
    InferenceConfig,
    PyTorchExecutionConfig,
    TrainingConfig,
    load_yaml_config,
    update_legacy_dict,
)
from ptycho.config.to_recipe import recipe_of, warn_ignored
from ptycho.loader import load
from ptycho.model import TrainedModel, central_stitch, session
from ptycho.model_manager import load_trained_model
from ptycho.raw_data import RawData
from ptychopinn.api.train import train
from ptychopinn.bundle.store import MODELS
from ptychopinn.config import Recipe
from ptychopinn.data import Scan, check_output_folder, read_scan, subsample
from ptychopinn.data.dose import with_photons
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import BundleError
from ptychopinn.plotting import figure_history, figure_reconstruction, save_figure
from ptychopinn.reconstruction.orientation import Orientation

logger = logging.getLogger("ptychopinn.ptycho")
WINDOW_PX = 20
"""`M`: side of the central window that clients stitch, px."""
MODEL_NAME = "diffraction_to_obj"
Image = NDArray[np.float32]


def run_cdi_example(
    train_data: Any,
    test_data: Any,
    config: TrainingConfig,
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
    M: int = WINDOW_PX,
    do_stitching: bool = False,
    *,
    torch_execution_config: PyTorchExecutionConfig | None = None,
) -> tuple[Image | None, Image | None, Results]:
    """Train on one scan and, with `do_stitching`, reconstruct another one as `reassemble_cdi_image` does.

    The model stays with the process: `ptycho.model_manager.save` writes it, `reassemble_cdi_image` uses it. No file is
    written. The data are `RawData`, containers, or anything with a `scan`; their pattern size counts, not that of
    `config`. Returns amplitude and phase, each (Y, X) or None, and `Results`; a `PtychoPINNError` where data, settings
    or backend cannot be used.

    Args:
        train_data: `RawData`, a container, or anything with a `scan`.
        test_data: the same, or None; it takes no part in the training.
        config: settings; the pattern size is that of the data.
        flip_x: see `reassemble_cdi_image`, for these three.
        flip_y: see there.
        transpose: see there.
        M: side of the central window of each patch that is stitched, px.
        do_stitching: reconstruct `test_data`.
        torch_execution_config: how PyTorch runs.

    Returns:
        Amplitude and phase, each (Y, X) or None, and the results: `history` (column -> one number per epoch),
        `train_container`, `test_container`, `backend`; with stitching also those of `reassemble_cdi_image`.

    Raises:
        PtychoPINNError: data, settings or backend cannot be used.
    """
    results = train_cdi_model(train_data, test_data, config, M=M, torch_execution_config=torch_execution_config)
    if not do_stitching or test_data is None:
        return None, None, results
    amplitude, phase, more = reassemble_cdi_image(test_data, config, flip_x, flip_y, transpose, M)
    results.update(more)
    return amplitude, phase, results


def train_cdi_model(
    train_data: Any,
    test_data: Any,
    config: TrainingConfig,
    *,
    M: int = WINDOW_PX,
    torch_execution_config: PyTorchExecutionConfig | None = None,
) -> Results:
    """Train on one scan; as `run_cdi_example` without stitching."""
    update_legacy_dict(params.cfg, config)
    backend = training_backend(None, config.backend)
    scan = with_photons(scan_of(train_data), config.nphotons)
    if config.model.N not in (0, scan.pattern_size):
        logger.warning("model.N is %d, but the patterns are %d px, which counts", config.model.N, scan.pattern_size)
    config = copy(config)
    config.model = copy(config.model)
    config.model.N = params.cfg["N"] = scan.pattern_size
    warn_ignored(config, torch_execution_config)
    recipe = recipe_of(config, torch_execution_config, n_patterns=len(scan))
    recipe = recipe.changed(reconstruction=central_stitch(recipe.reconstruction, M))
    containers = {
        "train_container": _container(train_data, config),
        "test_container": None if test_data is None else _container(test_data, config),
    }
    with progress(torch_execution_config is None or not torch_execution_config.enable_progress_bar) as shown:
        trained = train(scan, recipe=recipe, overrides=[f"backend={backend}"], on_epoch=shown.on_epoch)
    session.hold(TrainedModel(trained.model), trained.history)
    params.cfg["intensity_scale"] = 1 / amplitude_factor(scan)
    history = {**trained.history, "loss": trained.history["train_loss"]}
    return Results({"history": history, **containers, "backend": backend})


def reassemble_cdi_image(
    test_data: Any,
    config: TrainingConfig | InferenceConfig,
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
    M: int = WINDOW_PX,
    coord_scale: float = 1,
) -> tuple[Image, Image, Results]:
    """Reconstruct a scan, given as to `run_cdi_example`, with the model of this process.

    The switches of `ptychopinn.reconstruction.orientation.Orientation` correct positions that were recorded in other
    axes than the patterns; with any of them the image has a frame of its own instead of the frame of `objectGuess`.
    The central M px of each patch are stitched.

    Args:
        test_data: `RawData`, a container, or anything with a `scan`.
        config: settings.
        flip_x: the columns of the positions count the other way.
        flip_y: so do the rows.
        transpose: rows and columns of the patterns are interchanged; the image is in the axes of the positions.
        M: side of the central window of each patch that is stitched, px.
        coord_scale: factor on the positions.

    Returns:
        Amplitude and phase (Y, X), phase in rad, and the results `reconstruction`, `test_container`, `backend`,
        `recon_amp`, `recon_phase`, `reconstructed_obj` (Y, X) complex64, and of the groups of the container
        `obj_tensor_full` (B, H, W, C), patches, computed when asked for, and `global_offsets` (B, 1, 2, 1).

    Raises:
        PtychoPINNError: there is no model, or data that it cannot reconstruct.
    """
    update_legacy_dict(params.cfg, config)
    model, axes = session.held(), Orientation(flip_y, flip_x, transpose, coord_scale)
    image = axes.image(model.reconstruct(axes.scan(scan_of(test_data)), M))
    container = _container(test_data, config)
    known = {"reconstruction": image, "test_container": container, "backend": model.recipe.backend}
    parts = {"recon_amp": image.amplitude, "recon_phase": image.phase, "reconstructed_obj": image.object_}
    offsets = getattr(container, "global_offsets", None)
    patches = partial(_patches, model, container, params.cfg.get("intensity_scale", 1.0))
    return image.amplitude, image.phase, Results(known | parts, obj_tensor_full=patches, global_offsets=offsets)


def save_outputs(amplitude: Image | None, phase: Image | None, results: Results, output_prefix: str | Path) -> None:
    """Write `reconstruction.npz`, `reconstruction.png` and `history.png`, as far as there is something to write.

    Amplitude and phase, (Y, X) or None, count where `results` hold no reconstruction. The folder is made if need be; an
    `OutputError` where it cannot be written.

    Args:
        amplitude: (Y, X) or None.
        phase: (Y, X) or None.
        results: of the workflow.
        output_prefix: folder; it is made if need be.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = check_output_folder(output_prefix)
    history, image = results.get("history"), results.get("reconstruction")
    if image is None and amplitude is not None and phase is not None:
        object_, probe = np.asarray(amplitude) * np.exp(1j * np.asarray(phase)), np.ones((1, 1, 1), np.complex64)
        image = Reconstruction(
            object_, np.ones(object_.shape, np.float32), np.zeros(2, np.int64), np.empty((0, 2)), probe
        )
    if image is not None:
        image.save(folder / "reconstruction.npz")
        save_figure(figure_reconstruction(image, history), folder / "reconstruction.png")
    if history:
        save_figure(figure_history(history), folder / "history.png")


def load_inference_bundle(model_dir: str | Path) -> tuple[TrainedModel, dict[str, Any]]:
    """Load a model by the backend of its archive; see below.

    Args:
        model_dir: folder with `wts.h5.zip`, or with its unpacked members.

    Returns:
        The model, with `predict`, and the restored dictionary.

    Raises:
        FileNotFoundError: neither is there.
        BundleError: damaged or foreign.
    """
    return load_inference_bundle_with_backend(model_dir)


def load_inference_bundle_with_backend(
    model_dir: str | Path,
    backend: str | TrainingConfig | InferenceConfig | None = None,
    model_name: str = MODEL_NAME,
) -> tuple[TrainedModel, dict[str, Any]]:
    """Load a model and the settings saved with it, which replace the same entries of `params.cfg`; both are returned.

    Args:
        model_dir: folder with `wts.h5.zip`, or with its unpacked members.
        backend: `pytorch`, `tensorflow`, or a configuration whose `backend` differs from the default; None and the
            default leave the choice to the archive.
        model_name: `diffraction_to_obj` or `autoencoder`.

    Raises:
        FileNotFoundError: neither is there.
        BundleError: damaged or foreign, or no model of that name.
        ConfigError: a backend was asked for, here or by PTYCHOPINN_BACKEND, that the archive cannot be converted to.
    """
    if isinstance(backend, TrainingConfig | InferenceConfig):
        backend = None if backend.backend == DEFAULT else backend.backend
    if model_name not in MODELS:
        raise BundleError(f"{model_dir}: holds no model {model_name!r}; choose one of {', '.join(MODELS)}")
    return load_trained_model(model_dir, backend), params.cfg


def load_data(
    file_path: str | Path,
    n_images: int | None = None,
    n_subsample: int | None = None,
    flip_x: bool = False,
    flip_y: bool = False,
    swap_xy: bool = False,
    n_samples: int = 1,
    coord_scale: float = 1.0,
    subsample_seed: int | None = None,
) -> RawData:
    """Read a scan, or a part of it, with other axes of its positions.

    Args:
        file_path: any format that `ptychopinn.read_scan` knows.
        n_images: the first so many patterns, where `n_subsample` is not given.
        n_subsample: so many patterns drawn at random.
        flip_x: negate the columns of the positions; `flip_y` their rows.
        flip_y: see above.
        swap_xy: interchange columns and rows of the positions, before anything else.
        n_samples: not used; groups are counted by `generate_grouped_data`.
        coord_scale: factor on the positions.
        subsample_seed: of the draw; 0 by default.

    Raises:
        ScanError: the file is no scan, or has fewer patterns.
    """
    flips: dict[tuple[bool, bool], str] = {(False, False): "none", (True, False): "x", (False, True): "y"}
    how = {"swap_positions": swap_xy, "flip_positions": flips.get((flip_x, flip_y), "both")}
    scan = read_scan(Path(file_path), Recipe().data.changed(**how, position_scale=coord_scale))
    if n_subsample is not None:
        scan = subsample(scan, n_subsample, "random", np.random.default_rng(subsample_seed or 0))
    elif n_images is not None:
        scan = scan.select(slice(None, n_images))
    return RawData.of_scan(scan)


def create_ptycho_data_container(data: Any, config: TrainingConfig | InferenceConfig) -> Any:
    """`RawData` as a `PtychoDataContainer` with the groups of the settings; a container stays what it is."""
    update_legacy_dict(params.cfg, config)
    return _container(data, config)


def load_and_prepare_data(data_file_path: str | Path) -> tuple[RawData, RawData, Any]:
    """The scan of a file for training, the same for testing, and its object or None."""
    raw = RawData.from_file(data_file_path)
    return raw, raw, raw.objectGuess


def parse_arguments(argv: Sequence[str] | None = None) -> Namespace:
    """The flags of `ptycho_train`, by default those of the process, as attributes; errors are those of the command."""
    from ptycho.commands.train import OPTIONS

    values = OPTIONS.parse(sys.argv[1:] if argv is None else argv)
    return Namespace(**{name.partition(".")[2] or name: value for name, value in values.items()}, _values=values)


def setup_configuration(args: Namespace, yaml_path: str | Path | None = None) -> TrainingConfig:
    """The configuration of parsed arguments, which win over those of a YAML file; `params.cfg` is filled.

    Raises:
        ConfigError: an unknown key or a bad value.
    """
    from ptycho.commands.settings import training_settings
    from ptycho.commands.train import OPTIONS

    path = yaml_path or getattr(args, "config", None)
    stored = OPTIONS.from_mapping(load_yaml_config(path), str(path)) if path else {}
    config, _ = training_settings({**stored, **getattr(args, "_values", vars(args))})
    update_legacy_dict(params.cfg, config)
    return config


def scan_of(data: Any) -> Scan:
    """The scan of `RawData`, of a container, or of anything else that has one; else a `TypeError`.

    Raises:
        TypeError: it has none.
    """
    scan = data if isinstance(data, Scan) else getattr(data, "scan", None)
    if not isinstance(scan, Scan):
        raise TypeError(f"a {type(data).__name__} is no data to work on; give RawData or a data container")
    return scan


def _patches(model: TrainedModel, container: Any, scale: float) -> NDArray[np.complex64]:
    """(B, H, W, C): the patches of a container's groups."""
    return model.predict([container.X * scale, container.local_offsets])


def _container(data: Any, config: TrainingConfig | InferenceConfig) -> Any:
    """The data as a container with the groups of the settings; containers stay what they are."""
    if not isinstance(data, RawData | Scan):
        return data
    raw = data if isinstance(data, RawData) else RawData.of_scan(data)
    groups = raw.generate_grouped_data(
        raw.scan.pattern_size,
        K=max(config.neighbor_count, config.model.gridsize**2),
        seed=config.subsample_seed,
        gridsize=config.model.gridsize,
        n_groups=config.n_groups,
        enable_oversampling=config.enable_oversampling,
        neighbor_pool_size=config.neighbor_pool_size,
    )
    return load(lambda: groups, raw.probeGuess)
