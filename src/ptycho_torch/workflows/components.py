"""Training and reconstruction by the PyTorch workflows: those of `ptycho.workflows.components`, with tensors.

Importing this module does not need PyTorch; calling one of its functions does.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptycho import params
from ptycho.backend import only_pytorch
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.model_manager import TorchModel, for_pytorch, import_with_torch
from ptycho_torch.model_manager import load_torch_bundle as load_torch_bundle
from ptycho_torch.model_manager import save_torch_bundle as save_torch_bundle
from ptychopinn.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ptycho.config.config import PyTorchExecutionConfig, TrainingConfig

__all__ = ["create_container_from_raw", "load_inference_bundle_torch", "load_torch_bundle"]
__all__ += ["run_cdi_example_torch", "save_torch_bundle", "train_cdi_model_torch"]

logger = logging.getLogger("ptychopinn-torch")
TORCH_AVAILABLE = any((Path(place) / "torch").is_dir() for place in sys.path)
"""Whether PyTorch is installed, which the functions of this module need."""
_SHARED = "ptycho.workflows.components"


def run_cdi_example_torch(
    train_data: Any,
    test_data: Any,
    config: TrainingConfig,
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
    M: int = 20,
    do_stitching: bool = False,
    *,
    execution_config: PyTorchExecutionConfig | None = None,
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None, dict[str, Any]]:
    """As `ptycho.workflows.components.run_cdi_example`, always by PyTorch; an `ImportError` where that is missing.

    Where `config.output_dir` differs from its default, `wts.h5.zip`, `recipe.yaml` and `history.csv` go into it. The
    containers are `PtychoDataContainerTorch`, and the results have `models` with the model too.

    Raises:
        ImportError: PyTorch is not installed.
        PtychoPINNError: data or settings cannot be used.
    """
    shared = import_with_torch(_SHARED)
    older = (train_data, test_data, for_pytorch(config), flip_x, flip_y, transpose, M, do_stitching)
    with only_pytorch():
        amplitude, phase, results = shared.run_cdi_example(*older, torch_execution_config=execution_config)
    return amplitude, phase, _finished(results, config)


def train_cdi_model_torch(train_data: Any, test_data: Any, config: TrainingConfig) -> dict[str, Any]:
    """Train on one scan; arguments, results and files are those of `run_cdi_example_torch` without stitching."""
    return run_cdi_example_torch(train_data, test_data, config)[2]


def create_container_from_raw(data: Any, config: TrainingConfig) -> PtychoDataContainerTorch:
    """`RawData` as a container with the groups of the settings; a container stays what it is."""
    return _as_tensors(import_with_torch(_SHARED).create_ptycho_data_container(data, for_pytorch(config)))


def _as_tensors(container: Any) -> Any:
    from ptycho.loader import PtychoDataContainer

    return PtychoDataContainerTorch(container) if isinstance(container, PtychoDataContainer) else container


_ensure_container = create_container_from_raw


def _train_with_lightning(
    train_container: Any,
    test_container: Any,
    config: TrainingConfig,
    execution_config: PyTorchExecutionConfig | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """As `train_cdi_model_torch`, with settings of the execution; `overrides` are fields of `config` that win."""
    changed = replace(config, **dict(overrides or {}))
    return run_cdi_example_torch(train_container, test_container, changed, execution_config=execution_config)[2]


def _reassemble_cdi_image_torch(
    test_data: Any,
    config: TrainingConfig,
    flip_x: bool,
    flip_y: bool,
    transpose: bool,
    M: int,
    train_results: Mapping[str, Any] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, Any]]:
    """As `ptycho.workflows.components.reassemble_cdi_image`, by the model of `train_results` or of the process."""
    shared = import_with_torch(_SHARED)
    if train_results is not None:
        shared.session.hold(train_results["models"][shared.MODEL_NAME].trained, train_results.get("history"))
    image: tuple[Any, Any, dict[str, Any]]
    with only_pytorch():
        image = shared.reassemble_cdi_image(test_data, for_pytorch(config), flip_x, flip_y, transpose, M)
    return image


def load_inference_bundle_torch(
    bundle_dir: str | Path,
    model_name: str = "diffraction_to_obj",
    *,
    scale_contract_version: str | None = None,
    measurement_domain: str | None = None,
) -> tuple[TorchModel, dict[str, Any]]:
    """Load a model by PyTorch; what was saved with it replaces the same entries of `ptycho.params.cfg`.

    The model is also found as `models["diffraction_to_obj"]`; a copy of the dictionary comes with it. The two keywords
    have no effect: bundle and scan say them.

    Args:
        bundle_dir: folder with `wts.h5.zip`, or with its unpacked members.
        model_name: `diffraction_to_obj` or `autoencoder`.

    Raises:
        ImportError: PyTorch is not installed.
        FileNotFoundError: there is no bundle.
        BundleError: it is damaged or foreign, or holds no model of that name.
    """
    manager = import_with_torch("ptycho.model_manager")
    if scale_contract_version is not None or measurement_domain is not None:
        logger.warning("scale_contract_version and measurement_domain have no effect: bundle and scan say them")
    with only_pytorch():
        model = manager.load_trained_model(bundle_dir)
    names = manager.load_bundle(bundle_dir).manifest.models
    if model_name not in names:
        raise BundleError(f"{bundle_dir}: holds no model {model_name!r}; choose one of {', '.join(names)}")
    return TorchModel(model), dict(params.cfg)


def __getattr__(name: str) -> Any:
    """`_LossHistoryCallback`, which needs Lightning, when it is first used."""
    if name != "_LossHistoryCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_with_torch("ptycho_torch.lightning_utils")._LossHistoryCallback


def _finished(results: dict[str, Any], config: TrainingConfig) -> dict[str, Any]:
    """The results with containers of tensors and the models, which are saved where a folder was given."""
    from ptycho.model import session
    from ptycho.model_manager import save
    from ptychopinn.bundle.store import MODELS

    for name in ("train_container", "test_container"):
        results[name] = _as_tensors(results[name])
    if config.output_dir not in (None, type(config).output_dir):
        save(config.output_dir)
    results["models"] = dict.fromkeys(MODELS, TorchModel(session.held()))
    return results
