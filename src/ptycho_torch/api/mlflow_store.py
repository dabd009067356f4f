"""A model of the high-level API as plain files, as folders and MLflow keep it: the archive, and its configurations."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.plain_configs import Four, as_dicts, from_dicts

if TYPE_CHECKING:
    from ptycho_torch.model import PtychoPINN_Lightning

CONFIGS = "configs.json"
"""File with the four configurations, beside the archive."""


def notes_of(four: Four) -> dict[str, str]:
    """The text of `configs.json` by its name."""
    return {CONFIGS: json.dumps(as_dicts(*four), indent=2)}


def model_of_folder(folder: Path) -> "PtychoPINN_Lightning":
    """The network module of a folder with `wts.h5.zip`, and `configs.json` where it was written too.

    A training by `ptychopinn train` leaves none; the configurations are then the defaults with its group size.

    Raises:
        FileNotFoundError: there is no archive.
        BundleError: it is damaged or has been changed.
    """
    from ptycho_torch.model import PtychoPINN_Lightning
    from ptychopinn.api.model_files import BUNDLE_NAME, load_model

    archive, configs = folder / BUNDLE_NAME, folder / CONFIGS
    if not archive.exists():
        raise FileNotFoundError(f"{folder}: holds neither a checkpoint nor {BUNDLE_NAME}; give the file of a model")
    trained = load_model(archive, "pytorch")
    manager = ConfigManager()
    if configs.is_file():
        manager = ConfigManager(*from_dicts(json.loads(configs.read_text(encoding="utf-8"))))
    else:
        recipe = trained.recipe
        manager.update(C=recipe.data.group_size, architecture=recipe.model.generator.architecture)
    module = PtychoPINN_Lightning(**manager.named)
    module.take(trained.network, trained.recipe, trained.unseen)
    return module
