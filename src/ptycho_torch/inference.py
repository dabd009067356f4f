"""Reconstruction in one call, for legacy scripts."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptycho.backend import only_pytorch
from ptycho.commands.inference import options, run
from ptycho.commands.session import command
from ptycho.commands.settings import unprefixed
from ptycho_torch.api.base_api import ConfigManager, InferenceEngine, PtychoDataLoader, PtychoModel
from ptycho_torch.lightning_utils import find_best_checkpoint
from ptychopinn.data.io.atomic import check_output_folder
from ptychopinn.plotting import figure_reconstruction, save_figure


def main(
    model_path: str | Path,
    data_path: str | Path,
    output_dir: str | Path | None = None,
    device: str | None = None,
) -> NDArray[np.complex64]:
    """The object (Y, X) of a scan by a saved model.

    Args:
        model_path: the checkpoint, or the folder of its run.
        data_path: the scan, or a folder with `*.npz`, of which `inference_config.experiment_number` names one.
        output_dir: folder for `reconstruction.npz` and `reconstruction.png`; nothing is written without it.
        device: instead of that of the settings.

    Raises:
        FileNotFoundError: no such model or scan.
        ValueError: the model does not fit the scan, or one of them cannot be read.
    """
    place = Path(model_path)
    checkpoint = find_best_checkpoint(place) if place.is_dir() else place
    if checkpoint is None:
        raise FileNotFoundError(f"{place}: holds no checkpoint; give a .ckpt file, or the folder of a training run")
    model = PtychoModel.load(checkpoint)
    manager = ConfigManager.from_loaded_model(model)
    if device is not None:
        manager.update(device=device)
    engine = InferenceEngine(config_manager=manager, ptycho_model=model)
    result = engine.reconstruct(PtychoDataLoader(data_path, manager))
    if output_dir is not None:
        folder = check_output_folder(output_dir)
        result.save(folder)
        save_figure(figure_reconstruction(result, None), folder / "reconstruction.png")
    return result.object_


def cli_main(argv: Sequence[str] | None = None) -> int:
    """`python -m ptycho_torch.inference`: `ptycho_inference` by PyTorch; returns the exit code."""
    return _reconstruct(argv)


@command
def _reconstruct(argv: Sequence[str]) -> None:
    with only_pytorch():
        run(argv, _OPTIONS)


_OPTIONS = options(
    "python -m ptycho_torch.inference",
    "python -m ptycho_torch.inference --model_path out --test_data scan.npz --output_dir recon",
    *unprefixed({}),
)


if __name__ == "__main__":
    sys.exit(cli_main())
