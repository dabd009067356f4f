"""A model with its configurations: new, loaded, saved."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.plain_configs import KINDS, Four
from ptychopinn.errors import MissingExtraError

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
        configs = as_dicts(self.data_config, self.model_config, self.training_config, self.inference_config)
        return write_checkpoint(Path(checkpoint_path), module.trained(), module.recipe, configs, module.bad_pixels)

    def module(self) -> "PtychoPINN_Lightning":
        """The network module; a `RuntimeError` where there is none yet.

        Raises:
            RuntimeError: there is none yet.
        """
        if self.model is None:
            raise RuntimeError("the model has no network module; take PtychoModel._new_model or PtychoModel.load")
        return self.model

    def save_mlflow(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not there yet: always an `ImportError`, with the line that will install it, and what works without.

        Raises:
            ImportError: always, with the line that will install it, and what works without.
        """
        raise _no_mlflow("PtychoModel.save")

    @classmethod
    def load_from_mlflow(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Not there yet, as `save_mlflow`.

        Raises:
            ImportError: always, with the line that will install it, and what works without.
        """
        raise _no_mlflow("PtychoModel.load")


def trained_model(module: "PtychoPINN_Lightning") -> "TrainedModel":
    """The trained network of a module, with its recipe and the pixels that training never saw."""
    from ptychopinn.models import TrainedModel

    unseen = None if module.bad_pixels is None else module.bad_pixels.cpu().numpy()
    return TrainedModel(module.trained(), module.recipe, unseen)


def _no_mlflow(instead: str) -> MissingExtraError:
    return MissingExtraError(
        f"MLflow support is an extra of later versions (pip install 'ptychopinn[mlflow]'); "
        f"{instead}(path) keeps a model in one file without it"
    )
