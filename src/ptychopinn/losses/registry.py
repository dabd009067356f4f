"""The only tables of data losses and of penalties; training and the iterative solver both look here.

Installed packages add to them by entry points of the groups `ptychopinn.losses` and `ptychopinn.penalties`. Each entry
is a class, or another callable without arguments, that makes a `DataLoss` or a `Penalty`.
"""

from collections.abc import Callable
from functools import partial

from ptychopinn.config import LossConfig
from ptychopinn.losses.data import LIKELIHOOD, AmplitudeDifference, AmplitudeSquare, DataLoss, Poisson
from ptychopinn.losses.penalties import MeanDeviation, Penalty, SingleMaterial, Smoothness, TotalVariation
from ptychopinn.plugins import Registry

DATA_LOSSES: Registry[Callable[[], DataLoss]] = Registry(
    "data loss",
    {
        "poisson": Poisson,
        "poisson_likelihood": lambda: LIKELIHOOD,
        "amplitude": AmplitudeSquare,
        "amplitude_mae": AmplitudeDifference,
    },
    setting="model.loss.terms or reconstruction.refine.loss",
    group="ptychopinn.losses",
)

PENALTIES: Registry[Callable[[], Penalty]] = Registry(
    "penalty",
    {
        "total_variation": TotalVariation,
        "mean_deviation": MeanDeviation,
        "amplitude_total_variation": partial(TotalVariation, "amplitude"),
        "amplitude_mean_deviation": partial(MeanDeviation, "amplitude"),
        "phase_total_variation": partial(TotalVariation, "phase"),
        "phase_mean_deviation": partial(MeanDeviation, "phase"),
        "smoothness": Smoothness,
        "edge_preserving": partial(Smoothness, 0.03),
        "single_material": SingleMaterial,
    },
    setting="model.loss.penalties or reconstruction.refine.penalties",
    group="ptychopinn.penalties",
)

_NAME_OF_SETTING = {"poisson": "poisson_likelihood"}
"""Settings `model.loss.<name>_weight` whose loss has another name in the table."""


def data_loss(name: str) -> DataLoss:
    """The data loss of that name.

    Raises:
        ConfigError: nobody registered it, or it is no `DataLoss`.
    """
    return DATA_LOSSES.create(name, DataLoss)  # type: ignore[type-abstract]


def penalty(name: str) -> Penalty:
    """The penalty of that name.

    Raises:
        ConfigError: nobody registered it, or it is no `Penalty`.
    """
    return PENALTIES.create(name, Penalty)  # type: ignore[type-abstract]


def data_terms(config: LossConfig) -> dict[str, tuple[float, DataLoss]]:
    """Name of each data term that training minimises, with its weight.

    Raises:
        ConfigError: a name that nobody registered.
    """
    weights = {name: getattr(config, f"{name}_weight") for name in ("poisson", "amplitude_mae")} | config.terms
    return {name: (weight, data_loss(_NAME_OF_SETTING.get(name, name))) for name, weight in weights.items() if weight}


def penalty_terms(config: LossConfig) -> dict[str, tuple[float, Penalty]]:
    """Name of each penalty that training adds, with its weight.

    Raises:
        ConfigError: a name that nobody registered.
    """
    kinds = [f"{part}{name}" for part in ("", "amplitude_", "phase_") for name in ("total_variation", "mean_deviation")]
    weights = {name: getattr(config, f"{name}_weight") for name in kinds} | config.penalties
    return {name: (weight, penalty(name)) for name, weight in weights.items() if weight}
