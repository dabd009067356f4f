"""Saving and loading trained models under the legacy names; the file is the bundle of the core."""

import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ptycho import params
from ptycho.model import TrainedModel, session
from ptychopinn.api.inputs import log_backend
from ptychopinn.api.model_files import UNSEEN, model_of, save_model
from ptychopinn.bundle import BUNDLE_NAME, Bundle, bundle_file, load_bundle
from ptychopinn.bundle.params import storable_params
from ptychopinn.config import Recipe
from ptychopinn.data.io import check_output_folder, write_text_atomically
from ptychopinn.errors import BundleError
from ptychopinn.training.history import HistoryTable

logger = logging.getLogger("ptychopinn.ptycho")
MODEL_FILE_NAME = BUNDLE_NAME
"""Name of the archive in the folder of a model, `wts.h5.zip`."""


def save(out_prefix: str | Path) -> Path:
    """Write the model of this process as `wts.h5.zip`, with `recipe.yaml` and `history.csv`; returns its path.

    A `BundleError` without a model; an `OutputError` where the folder, which is made if need be, cannot be written.

    Args:
        out_prefix: folder; it is made if need be.

    Returns:
        The bundle.

    Raises:
        BundleError: no model was trained or loaded yet.
        OutputError: the folder cannot be written.
    """
    model, folder = session.held(), check_output_folder(out_prefix)
    path = save_trained_model(model, folder / BUNDLE_NAME)
    write_text_atomically(folder / "recipe.yaml", model.recipe.to_yaml())
    if session.history:
        table = HistoryTable()
        rows = zip(*session.history.values(), strict=True)
        table.rows = [dict(zip(session.history, row, strict=True)) for row in rows]
        write_text_atomically(folder / "history.csv", table.as_csv())
    logger.info("model saved to %s", path)
    return path


def save_trained_model(model: TrainedModel, path: Path) -> Path:
    """Write one model, with `params.cfg` as it stands, as a bundle; returns its path."""
    settings, refused = storable_params(params.cfg)
    for entry in refused.items():
        logger.warning("params.cfg[%r] is not saved: %s", *entry)
    settings.pop(UNSEEN, None)
    return save_model(path, model.trained, settings)


def load_trained_model(path: str | Path, backend: str | None = None) -> TrainedModel:
    """As `ptycho.workflows.components.load_inference_bundle_with_backend`; the model becomes that of the process.

    Args:
        path: a bundle, the folder that holds it as `wts.h5.zip`, or a folder with its unpacked members.
        backend: asked for; the archive's own by default.

    Raises:
        FileNotFoundError: there is no bundle.
        BundleError: it is damaged or foreign.
        ConfigError: another backend was asked for.
    """
    bundle = load_bundle(_existing(Path(path)))
    model = TrainedModel(model_of(bundle, backend))
    params.cfg.update(_saved_settings(bundle, model.recipe))
    session.hold(model)
    log_backend(model.recipe, "auto")
    return model


class ModelManager:
    """Several names for one trained model in one file."""

    @staticmethod
    def save_model(
        model: TrainedModel, model_dir: str | Path, custom_objects: Any = None, intensity_scale: float | None = None
    ) -> Path:
        """Write one model as `wts.h5.zip` into a folder; arguments and errors are those of `save_multiple_models`."""
        folder = check_output_folder(model_dir)
        return ModelManager.save_multiple_models({"": model}, folder, custom_objects, intensity_scale)

    @staticmethod
    def load_model(model_dir: str | Path) -> TrainedModel:
        """The model of a folder, or of its `wts.h5.zip`; `params.cfg` is restored.

        Raises:
            FileNotFoundError: no such file.
            BundleError: it is no bundle.
        """
        return load_trained_model(model_dir)

    @staticmethod
    def save_multiple_models(
        models_dict: Mapping[str, TrainedModel] | None = None,
        base_path: str | Path = "",
        custom_objects: Any = None,
        intensity_scale: float | None = None,
        *,
        models: Mapping[str, TrainedModel] | None = None,
        scale: float | None = None,
    ) -> Path:
        """Write models that share one network to `base_path` + ".zip", such as `outputs/wts.h5` + ".zip".

        Args:
            models_dict: name -> model; `models` is another spelling.
            base_path: such as `outputs/wts.h5`, or a folder.
            custom_objects: not used; a bundle holds no code.
            intensity_scale: of the saved dictionary; `scale` is another spelling.

        Raises:
            BundleError: no model, or models with different networks.
        """
        given = (models if models_dict is None else models_dict) or {}
        if len({id(model.network) for model in given.values()}) != 1:
            raise BundleError(f"{base_path}: a bundle holds one network under several names; save others apart")
        factor = scale if intensity_scale is None else intensity_scale
        if factor is not None:
            params.cfg["intensity_scale"] = float(factor)
        path = _zip_path(base_path)
        check_output_folder(path.parent)
        return save_trained_model(next(iter(given.values())), path)

    @staticmethod
    def load_multiple_models(
        base_path: str | Path, model_names: Iterable[str] | None = None, *, names: Iterable[str] | None = None
    ) -> dict[str, TrainedModel]:
        """The model of `base_path` + ".zip" under each of its names, or those asked for; `params.cfg` is restored.

        Args:
            base_path: such as `outputs/wts.h5`, the archive, or its folder.
            model_names: which names; `names` is another spelling.

        Raises:
            FileNotFoundError: no such file.
            BundleError: it is no bundle, or holds no model of that name.
        """
        path = _zip_path(base_path)
        model, known = load_trained_model(path), load_bundle(path).manifest.models
        wanted = list(known if (asked := names if model_names is None else model_names) is None else asked)
        if missing := [name for name in wanted if name not in known]:
            raise BundleError(f"{path}: holds no model {', '.join(missing)}; choose among {', '.join(known)}")
        return dict.fromkeys(wanted, model)


def _zip_path(base_path: str | Path) -> Path:
    path = Path(base_path)
    if path.is_dir():
        return path / BUNDLE_NAME
    return path if path.suffix == ".zip" else path.with_name(path.name + ".zip")


def _existing(path: Path) -> Path:
    file = bundle_file(path)
    if file.exists():
        return path
    raise FileNotFoundError(
        f"{path}: holds neither {BUNDLE_NAME} nor the unpacked members of one (manifest.json, ...); "
        "give the folder of a saved model"
    )


def _saved_settings(bundle: Bundle, recipe: Recipe) -> dict[str, Any]:
    """The saved dictionary; what a bundle of the core's own commands lacks follows from its recipe."""
    fitted = recipe.fitted
    assert fitted is not None
    return {
        "N": fitted.pattern_size,
        "gridsize": math.isqrt(recipe.data.group_size),
        "model_type": recipe.model.kind,
        "intensity_scale": 2 * math.sqrt(fitted.mean_count),
        **bundle.params,
    }
