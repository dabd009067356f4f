"""A model with its configurations: new, loaded, saved."""

import logging
import shutil
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.mlflow_store import model_of_folder, notes_of
from ptycho_torch.api.strategies import Orchestration
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.plain_configs import KINDS, Four, as_dicts, from_dicts
from ptychopinn.data.io.atomic import check_output_folder
from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from ptycho_torch.model import PtychoPINN_Lightning

logger = logging.getLogger("ptychopinn-torch")


@dataclass(eq=False, repr=False)
class PtychoModel:
    """Configurations, and the network module that belongs to them in `model`, which may be assigned."""

    model_config: ModelConfig = field(default=None)  # type: ignore[assignment]
    data_config: DataConfig = field(default=None)  # type: ignore[assignment]
    training_config: TrainingConfig = field(default=None)  # type: ignore[assignment]
    inference_config: InferenceConfig = field(default=None)  # type: ignore[assignment]
    model: "PtychoPINN_Lightning | None" = field(default=None, init=False)
    run_id: str | None = field(default=None, init=False)
    """Number of the MLflow run in which the training was recorded."""

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            if getattr(self, name) is None:
                setattr(self, name, kind())

    @classmethod
    def of_module(cls, module: "PtychoPINN_Lightning") -> "PtychoModel":
        """A network module with the configurations that it holds."""
        made = cls(**{name: getattr(module, name) for name in KINDS})
        made.model = module
        return made

    @classmethod
    def _new_model(
        cls,
        model: "type[PtychoPINN_Lightning] | None" = None,
        config_manager: ConfigManager | None = None,
        model_config: ModelConfig | None = None,
        data_config: DataConfig | None = None,
        training_config: TrainingConfig | None = None,
        inference_config: InferenceConfig | None = None,
    ) -> "PtychoModel":
        """A model of a class, `PtychoPINN_Lightning` by default, to be trained; configurations win over the manager.

        Raises:
            ValueError: settings that contradict each other.
        """
        if model is None:
            from ptycho_torch.model import PtychoPINN_Lightning as model
        given = (data_config, model_config, training_config, inference_config)
        configs = (config_manager or ConfigManager()).named | _given(given)
        new = cls(**configs)
        new.model = model(**configs)  # type: ignore[misc]
        return new

    @classmethod
    def _load(
        cls,
        config_manager: ConfigManager | None = None,
        model_config: ModelConfig | None = None,
        data_config: DataConfig | None = None,
        training_config: TrainingConfig | None = None,
        inference_config: InferenceConfig | None = None,
        strategy: Orchestration = Orchestration.MLFLOW,
        **kwargs: Any,
    ) -> "PtychoModel":
        """A saved model; configurations that are given take the place of the stored ones, and win over the manager.

        Args:
            strategy: how it was saved, where no `path` is given.
            kwargs: `path` of a file or folder; else those of `load_from_mlflow`, or `run_path`.

        Raises:
            ConfigError: neither a path nor MLflow.
            FileNotFoundError: no such file.
            ValueError: it holds no model.
        """
        place = next((kwargs[name] for name in ("path", "checkpoint_path", "run_path") if name in kwargs), None)
        if place is not None:
            loaded = cls.load_from_pytorch(place, kwargs.get("config_path"))
        elif strategy is Orchestration.MLFLOW:
            loaded = cls.load_from_mlflow(kwargs.get("run_id"), kwargs.get("mlflow_tracking_uri"))
        else:
            raise ConfigError("no file was named; give PtychoModel._load(path=...)")
        given = _given((data_config, model_config, training_config, inference_config))
        vars(loaded).update({} if config_manager is None else config_manager.named, **given)
        return loaded

    @staticmethod
    def _extract_configs_from_checkpoint(checkpoint_path: str | Path) -> Four:
        """The configurations of a checkpoint: data, model, training, inference; errors are those of `load`."""
        from ptycho_torch.api.checkpoint import read_checkpoint

        return from_dicts(read_checkpoint(checkpoint_path).configs)

    @classmethod
    def load(cls, checkpoint_path: str | Path) -> "PtychoModel":
        """The model of a checkpoint.

        Raises:
            FileNotFoundError: no such file.
            ValueError: it is no checkpoint; the message names the file.
        """
        from ptycho_torch.model import PtychoPINN_Lightning

        return cls.of_module(PtychoPINN_Lightning.load_from_checkpoint(checkpoint_path))

    @staticmethod
    def load_from_pytorch(path: str | Path | None = None, config_path: str | Path | None = None) -> "PtychoModel":
        """The model of a checkpoint, of an archive `wts.h5.zip`, or of a folder that holds one of them.

        The configurations of the JSON file `config_path` take the place of the stored ones.

        Raises:
            FileNotFoundError: no such file.
            ValueError: it holds no model; the message names the file.
        """
        from ptycho_torch.api.checkpoint import find_best_checkpoint

        place = Path(path or "")
        checkpoint = find_best_checkpoint(place) if place.is_dir() else place
        if checkpoint is not None and checkpoint.suffix != ".zip":
            loaded = PtychoModel.load(checkpoint)
        else:
            loaded = PtychoModel.of_module(model_of_folder(place.parent if place.suffix == ".zip" else place))
        if config_path is not None:
            vars(loaded).update(ConfigManager._from_json(config_path).named)
        return loaded

    @staticmethod
    def load_from_checkpoint(
        checkpoint_path: str | Path, model: Any = None, config_path: str | Path | None = None
    ) -> "PtychoModel":
        """As `load_from_pytorch`; `model`, its class, is not needed."""
        return PtychoModel.load_from_pytorch(checkpoint_path, config_path)

    @staticmethod
    def load_from_lightning(
        data_config: Any,
        model_config: Any,
        training_config: Any,
        inference_config: Any,
        run_path: str | Path,
        model_class: Any,
    ) -> Any:
        """The network module of the best checkpoint of a run, with these configurations.

        Raises:
            FileNotFoundError: the folder holds no checkpoint.
        """
        from ptycho_torch.api.checkpoint import find_best_checkpoint

        checkpoint = find_best_checkpoint(run_path)
        if checkpoint is None:
            raise FileNotFoundError(f"{run_path}: holds no checkpoint; give the folder of a training run")
        return model_class.load_from_checkpoint(
            checkpoint, model_config, data_config, training_config, inference_config
        )

    def save(self, path: str | Path, strategy: Orchestration = Orchestration.MLFLOW, **kwargs: Any) -> "str | Path":
        """Write the trained model; returns the file, or the number of the run.

        A path that ends in `.ckpt` is always one checkpoint file.

        Args:
            path: of that file; or the folder of a store of MLflow, or of plain files.
            strategy: what a folder is; MLflow means plain files, with a line in the log, where it is not installed.
            kwargs: those of `save_mlflow`, or `source_run_path` for `LIGHTNING`.

        Raises:
            RuntimeError: it has not been trained.
        """
        if Path(path).suffix == ".ckpt":
            return self.save_checkpoint(path)
        if strategy is Orchestration.LIGHTNING and "source_run_path" in kwargs:
            return self.save_lightning(path, kwargs["source_run_path"])
        if strategy is Orchestration.MLFLOW and find_spec("mlflow") is not None:
            return self.save_mlflow(path, **kwargs)
        if strategy is Orchestration.MLFLOW:
            logger.info("MLflow is not installed: the model is saved as plain files")
        return self.save_pytorch(path)

    def save_checkpoint(self, destination_path: Any = str) -> Path:
        """Write the trained model as one checkpoint.

        Raises:
            ValueError: no file was named.
            RuntimeError: it has not been trained.
        """
        from ptycho_torch.api.checkpoint import write_checkpoint

        if destination_path is str:
            raise ValueError("no file was named; give save_checkpoint(path), such as model.ckpt")
        module = self.module()
        configs = as_dicts(*self.four)
        return write_checkpoint(Path(destination_path), module.trained(), module.recipe, configs, module.bad_pixels)

    def save_pytorch(self, destination_path: str | Path, checkpoint_path: str | Path | None = None) -> Path:
        """Write `wts.h5.zip` and `configs.json` into a folder, which is made if need be and returned.

        `checkpoint_path` names a model to write in place of this one.

        Raises:
            RuntimeError: it has not been trained.
            OutputError: the folder cannot be written.
        """
        from ptychopinn.api.model_files import files_of

        model = self if checkpoint_path is None else PtychoModel.load(checkpoint_path)
        folder = check_output_folder(destination_path)
        with files_of(model.module().as_trained(), notes_of(model.four)) as paths:
            for path in paths:
                shutil.copyfile(path, folder / path.name)
        return folder

    def save_lightning(self, destination_base_path: str | Path, source_run_path: str | Path) -> Path:
        """Copy the folder of a run into another folder; returns the copy.

        Raises:
            FileNotFoundError: no such run.
        """
        source = Path(source_run_path)
        if not source.is_dir():
            raise FileNotFoundError(f"{source}: no such run; give the folder of a training run")
        return Path(shutil.copytree(source, Path(destination_base_path) / source.name, dirs_exist_ok=True))

    @property
    def four(self) -> Four:
        """The configurations: data, model, training, inference."""
        return self.data_config, self.model_config, self.training_config, self.inference_config

    def module(self) -> "PtychoPINN_Lightning":
        """The network module.

        Raises:
            RuntimeError: there is none yet.
        """
        if self.model is None:
            raise RuntimeError("the model has no network module; take PtychoModel._new_model or PtychoModel.load")
        return self.model

    def save_mlflow(self, destination_path: str | Path, current_mlflow_tracking_uri: str | None = None) -> str:
        """Write the trained model as a run of MLflow, whose number is returned; the archive is a plain file of it.

        Args:
            destination_path: folder of the store, whose database is `mlflow.db`, or the address of a server.
            current_mlflow_tracking_uri: store in which the training was recorded; that of the process by default.

        Raises:
            ImportError: MLflow is not installed; the message has the line that installs it.
            RuntimeError: the model has not been trained.
            ValueError: a store cannot be used.
        """
        from ptychopinn.api.model_runs import save_run
        from ptychopinn.training.mlflow_runs import check_store

        check_store(destination_path)
        earlier = None if self.run_id is None else (self.run_id, current_mlflow_tracking_uri)
        name, notes = self.training_config.model_name, notes_of(self.four)
        return save_run(self.module().as_trained(), destination_path, name=name, notes=notes, recorded_in=earlier)

    @staticmethod
    def load_from_mlflow(run_id: str | None = None, mlflow_tracking_uri: str | Path | None = None) -> "PtychoModel":
        """The model of a run of MLflow; nothing of it is executed.

        Args:
            run_id: number of the run; the newest one that holds a model by default.
            mlflow_tracking_uri: address of the store, or its folder; that of the process by default.

        Raises:
            ImportError: MLflow is not installed; the message has the line that installs it.
            ValueError: there is no such store or run, or the run holds no model, or one that was changed.
        """
        from ptychopinn.training.mlflow_runs import model_files

        with model_files(run_id, mlflow_tracking_uri) as folder:
            loaded = PtychoModel.of_module(model_of_folder(folder))
        loaded.run_id = run_id
        return loaded


def _given(four: tuple[Any, ...]) -> dict[str, Any]:
    """Those of the four configurations that are there, by name."""
    return {name: value for name, value in zip(KINDS, four, strict=True) if value is not None}
