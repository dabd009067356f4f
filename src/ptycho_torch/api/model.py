"""A model with its configurations: new, loaded, saved."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.plain_configs import KINDS, Four

if TYPE_CHECKING:
    from ptycho_torch.model import PtychoPINN_Lightning
    from ptychopinn.models import TrainedModel


@dataclass(eq=False, repr=False)
class PtychoModel:
    """Configurations, and the network module that belongs to them in `model`, which may be assigned."""

    model_config: ModelConfig
    data_config: DataConfig
    training_config: TrainingConfig
    inference_config: InferenceConfig
    model: "PtychoPINN_Lightning | None" = field(default=None, init=False)
    run_id: str | None = field(default=None, init=False)
    """Number of the MLflow run in which the training was recorded."""

    @classmethod
    def _new_model(cls, model: type["PtychoPINN_Lightning"], config_manager: ConfigManager) -> "PtychoModel":
        """A model of that class, to be trained; a `ValueError` for settings that contradict each other."""
        configs: dict[str, Any] = {name: getattr(config_manager, name) for name in KINDS}
        new = cls(**configs)
        new.model = model(**configs)
        return new

    @staticmethod
    def _extract_configs_from_checkpoint(checkpoint_path: str | Path) -> Four:
        """The configurations of a checkpoint: data, model, training, inference; errors are those of `load`."""
        from ptycho_torch.api.checkpoint import read_checkpoint
        from ptycho_torch.to_recipe import from_dicts

        return from_dicts(read_checkpoint(checkpoint_path).configs)

    @classmethod
    def load(cls, checkpoint_path: str | Path) -> "PtychoModel":
        """The model of a checkpoint; `FileNotFoundError` for no such file, `ValueError` for one of another kind.

        Raises:
            FileNotFoundError: no such file.
            ValueError: it is no checkpoint; the message names the file.
        """
        from ptycho_torch.model import PtychoPINN_Lightning

        module = PtychoPINN_Lightning.load_from_checkpoint(checkpoint_path)
        loaded = cls(module.model_config, module.data_config, module.training_config, module.inference_config)
        loaded.model = module
        return loaded

    def save(self, checkpoint_path: str | Path) -> Path:
        """Write the trained model as one checkpoint; a `RuntimeError` where it has not been trained.

        Raises:
            RuntimeError: it has not been trained.
        """
        from ptycho_torch.api.checkpoint import write_checkpoint
        from ptycho_torch.to_recipe import as_dicts

        module = self.module()
        configs = as_dicts(*self.four)
        return write_checkpoint(Path(checkpoint_path), module.trained(), module.recipe, configs, module.bad_pixels)

    @property
    def four(self) -> Four:
        """The configurations: data, model, training, inference."""
        return self.data_config, self.model_config, self.training_config, self.inference_config

    def module(self) -> "PtychoPINN_Lightning":
        """The network module; a `RuntimeError` where there is none yet.

        Raises:
            RuntimeError: there is none yet.
        """
        if self.model is None:
            raise RuntimeError("the model has no network module; take PtychoModel._new_model or PtychoModel.load")
        return self.model

    def save_mlflow(self, destination_path: str | Path, current_mlflow_tracking_uri: str | None = None) -> str:
        """Write the trained model as a run of MLflow: parameters, metrics, and the archive as a plain file.

        Args:
            destination_path: folder of the store, whose database is `mlflow.db`, or the address of a server.
            current_mlflow_tracking_uri: store in which the training was recorded; that of the process by default.

        Returns:
            The number of the run.

        Raises:
            ImportError: MLflow is not installed; the message has the line that installs it.
            RuntimeError: the model has not been trained.
            ValueError: a store cannot be used.
        """
        from ptycho_torch.api.mlflow_store import save_run
        from ptychopinn.training.mlflow_runs import check_store, open_run

        check_store(destination_path)
        trained = trained_model(self.module())
        earlier = None if self.run_id is None else open_run(self.run_id, current_mlflow_tracking_uri)
        return save_run(trained, self.four, destination_path, earlier)

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
        from ptycho_torch.api.mlflow_store import load_run

        module, known = load_run(run_id, mlflow_tracking_uri)
        loaded = PtychoModel(module.model_config, module.data_config, module.training_config, module.inference_config)
        loaded.model, loaded.run_id = module, known
        return loaded


def trained_model(module: "PtychoPINN_Lightning") -> "TrainedModel":
    """The trained network of a module, with its recipe and the pixels that training never saw."""
    from ptychopinn.models import TrainedModel

    unseen = None if module.bad_pixels is None else module.bad_pixels.cpu().numpy()
    return TrainedModel(module.trained(), module.recipe, unseen)
