"""Training in one call, for legacy scripts."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ptycho.backend import only_pytorch
from ptycho.commands.flags import Flag, Options
from ptycho.commands.session import command
from ptycho.commands.settings import unprefixed
from ptycho.commands.train import options, run
from ptycho.config.config import PyTorchExecutionConfig
from ptycho_torch.api.base_api import ConfigManager, PtychoDataLoader, PtychoModel, Trainer
from ptycho_torch.config_factory import of_execution
from ptycho_torch.config_params import TrainingConfig
from ptycho_torch.lightning_utils import MODEL_NAME
from ptycho_torch.model import PtychoPINN_Lightning


def main(
    ptycho_dir: str | Path | None = None,
    config_path: str | Path | None = None,
    existing_config: Sequence[Any] | None = None,
    disable_mlflow: bool = False,
    output_dir: str | Path | None = None,
    execution_config: PyTorchExecutionConfig | None = None,
) -> Path:
    """Train on the `*.npz` of a folder; returns the checkpoint of the trained model.

    Args:
        ptycho_dir: folder or file; by default `train_data_file` or the first of `training_directories` of the settings.
        config_path: JSON file, see `ConfigManager._from_json`.
        existing_config: the configurations (data, model, training, inference, datagen), of which later ones may lack.
        disable_mlflow: record nothing in MLflow, whatever `orchestrator` of the settings says.
        output_dir: the run makes its folder in it; `output_dir` of the settings, where that was changed, without it.
        execution_config: hardware and optimiser, in place of those of the settings.

    Raises:
        ValueError: settings or scans that cannot be used, or one of the folders was not named.
        FileNotFoundError: there are no scans, or no such file of settings.
    """
    manager = ConfigManager(*(existing_config or ()))
    if config_path is not None:
        manager.read(config_path)
    if execution_config is not None:
        manager.update(training_config=of_execution(execution_config))
    training = manager.training_config
    if disable_mlflow:
        manager.update(orchestrator="Lightning")
    loader = PtychoDataLoader(ptycho_dir or _place(training), manager, output_dir=output_dir or _output(training))
    model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=manager)
    Trainer._from_lightning(model=model, dataloader=loader, config_manager=manager).train()
    return Path(loader.output_dir or "") / MODEL_NAME


def cli_main(argv: Sequence[str] | None = None) -> int:
    """`python -m ptycho_torch.train`: `ptycho_train` by PyTorch; with `--ptycho_dir` what `main` does."""
    words = sys.argv[1:] if argv is None else list(argv)
    return _from_folder(words) if any(word.startswith("--ptycho_dir") for word in words) else _from_file(words)


@command
def _from_file(argv: Sequence[str]) -> None:
    with only_pytorch():
        run(argv, _OPTIONS)


@command
def _from_folder(argv: Sequence[str]) -> None:
    values = _FOLDER.parse(argv)
    place = values["ptycho_dir"], values.get("config"), None, values.get("disable_mlflow", False)
    print(main(*place, values.get("output_dir")))


_OPTIONS = options(
    "python -m ptycho_torch.train",
    "python -m ptycho_torch.train --train_data_file scan.npz --output_dir out",
    *unprefixed({"max_epochs": "nepochs"}),
)
_FOLDER = Options(
    "python -m ptycho_torch.train",
    "Train on all scans of a folder by a JSON file of settings.",
    "python -m ptycho_torch.train --ptycho_dir scans --config settings.json --output_dir out",
    {
        "run": [
            Flag("ptycho_dir", "ptycho_dir", Path, "Folder with *.npz."),
            Flag("config", "config", Path, "JSON file with data_config, model_config, training_config and so on."),
            Flag("output_dir", "output_dir", Path, "The run makes its folder in it."),
            Flag("disable_mlflow", "disable_mlflow", bool, "Record nothing in MLflow."),
        ]
    },
)


def _output(training: TrainingConfig) -> str:
    if training.output_dir == TrainingConfig.output_dir:
        raise ValueError("no folder for the result was named; give output_dir, here or in the training settings")
    return training.output_dir


def _place(training: TrainingConfig) -> str:
    given = [place for place in (training.train_data_file, *training.training_directories) if place]
    if not given:
        raise ValueError("no scans were named; give ptycho_dir, or train_data_file in the training settings")
    return str(given[0])


if __name__ == "__main__":
    sys.exit(cli_main())
