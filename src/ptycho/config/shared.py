"""Settings that both older families have, and what they share of the way into a recipe."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ptycho.config.checks import KNOWN, NON_NEGATIVE
from ptycho.config.field_mapping import ANY, jointly, no_effect, sets
from ptychopinn.config import DataConfig
from ptychopinn.errors import ConfigError

SCHEDULES = {
    "Constant": "constant",
    "Exponential": "exponential",
    "Cosine": "cosine",
    "WarmupCosine": "cosine",
    "ReduceLROnPlateau": "plateau",
    "MultiStage": "multi_stage",
    "Adaptive": "adaptive",
}
"""Scheduler of the older settings -> that of the recipe."""


def device_of(name: str) -> str:
    """Device of a recipe: a GPU where there is one, else the CPU, for the names that ask for any GPU.

    >>> device_of("cuda"), device_of("cuda:1"), device_of("cpu")
    ('auto', 'cuda:1', 'cpu')
    """
    return "auto" if name.casefold() in ("auto", "cuda", "gpu") else name.casefold()


def devices_of(count: int | str) -> int:
    """Number of devices; `auto` is one."""
    if str(count).casefold() == "auto":
        return 1
    if not str(count).isdecimal():
        raise ConfigError(f"devices must be a positive integer or 'auto', got {count!r}")
    return int(count)


OTHER_NETWORK = no_effect("no architecture of this version has this part")
OWN_SCALE = no_effect("the scale follows from the counts: probe and patterns are compared as they are")
PHOTONS = no_effect(OWN_SCALE.how, 1e5, 1e6, 1e9)
WHOLE_CANVAS = no_effect("the canvas always has room for every patch")
NO_ACTIVATION = no_effect("the network gives real and imaginary part, so that no activation bounds the amplitude")
STRATEGY = no_effect(
    "one device trains in this process, several in processes of their own", "ddp", "ddp_spawn", "auto", None
)
WIDTH = sets(
    "model.generator.width",
    "four times it: 2 is the default of 8 channels",
    lambda scale: 4 * scale,
    given={"architecture": ("cnn",)},
)
_FOURIER = ("ffno", "fno", "fno_vanilla", "hybrid", "hybrid_resnet", "neuralop_uno")
_FOURIER_WIDTH = sets("model.generator.width", "channels at full resolution", given={"architecture": _FOURIER})
_RESNET_WIDTH = sets(
    "model.generator.width",
    "channels of the bottleneck: an eighth of it at full resolution; None leaves `fno_width`",
    lambda width: max(1, width // 8),
    leaves=(None,),
    given={"architecture": ("hybrid_resnet",)},
)
_REFINER = sets(
    "model.generator.refiner_blocks",
    "pairs of convolutions: half of it",
    lambda count: (count + 1) // 2,
    given={"architecture": ("fno", "ffno")},
)
SEED = sets("training.seed", "one seed fixes sub-sample, groups and weights; None is 0", leaves=(None,))
SCALE_TRAINABLE = sets(
    "model.intensity_scale", "`trainable`, else `auto`", lambda fitted: "trainable" if fitted else "auto"
)
MASK = jointly(
    "model.probe.mask_radius",
    "model.probe.mask_edge_px",
    how="a disk of radius N/4, which is 0.5 in the unit of the recipe, unless `probe_mask_diameter` is given",
)
NEIGHBORS = jointly("data.neighbors", how="at least group size - 1, because a group holds its seed point too")
BATCH = jointly("training.patterns_per_step", how="groups there, patterns here: times the group size")
DIAMETER = "divided by N, at most 1"
DEVICE = sets("training.device", "`cuda` and `gpu` become `auto`: the CPU where there is no GPU", device_of)
DEVICES = sets("training.devices", "", devices_of, caveats={"auto": "one device is used; give their number"})
CLIP_ALGORITHM = sets("training.gradient_clip_algorithm", given={"gradient_clip_val": (ANY,)})
MERGE = sets("model.merge.enabled", "the patches of a group are merged before they are compared")
BACK_PROJECTED = no_effect("the network sees back-projected patterns, normalised by statistics of the training scan")
_CLIP = sets("training.gradient_clip", "None leaves the limit of 1; a very large value switches it off", leaves=(None,))
_NAME = sets(
    "model.generator.architecture",
    "one that is not registered is refused when the model is built; decides which field sets the width",
    also=("model.generator.width", "model.generator.refiner_blocks"),
)
_OUTPUT = sets(
    "model.generator.output",
    "`real_imaginary` or `amplitude_phase`; logits have no meaning of their own",
    lambda mode: "real_imaginary" if mode == "real_imag" else "amplitude_phase",
)
_SCHEDULE = sets(
    "training.scheduler",
    "`Default` is the default of the recipe, a cosine; `MultiStage` and `Adaptive` need stages",
    SCHEDULES.__getitem__,
    leaves=("Default",),
)
COSINE = {"scheduler": ("WarmupCosine", "Cosine")}
_PLATEAU = {"scheduler": ("ReduceLROnPlateau",)}
_BETA = jointly("training.betas", given={"optimizer": ("adam", "adamw")})

Architecture = Literal["cnn", "ffno", "fno", "fno_vanilla", "hybrid", "hybrid_resnet", "neuralop_uno"]
Clipping = Literal["norm", "value", "agc"]
LossMode = Literal["poisson", "mae"]
Output = Literal["real_imag", "amp_phase_logits", "amp_phase"]
Scheduler = Literal[
    "Default", "Exponential", "WarmupCosine", "ReduceLROnPlateau", "Cosine", "Constant", "MultiStage", "Adaptive"
]
Transform = Literal["none", "sqrt", "log1p", "instancenorm"]


@dataclass(kw_only=True)
class NetworkSettings:
    """The part of `ModelConfig` that both families have."""

    architecture: Annotated[Architecture, _NAME, KNOWN] = "cnn"
    fno_modes: Annotated[int, sets("model.generator.spectral_modes")] = 12
    fno_width: Annotated[int, _FOURIER_WIDTH] = 32
    fno_blocks: Annotated[int, sets("model.generator.blocks")] = 4
    fno_cnn_blocks: Annotated[int, _REFINER] = 2
    learned_input_channels: Annotated[int, OTHER_NETWORK] = 1
    max_hidden_channels: Annotated[int | None, OTHER_NETWORK] = None
    resnet_width: Annotated[int | None, _RESNET_WIDTH] = None
    fno_input_transform: Annotated[Transform, BACK_PROJECTED] = "none"
    generator_output_mode: Annotated[Output, _OUTPUT] = "real_imag"
    object_big: Annotated[bool, MERGE] = True
    probe_big: Annotated[bool, no_effect("every patch is reconstructed over the whole window")] = True
    probe_mask_sigma: Annotated[float, sets("model.probe.mask_edge_px", given={"probe_mask": (True,)})] = 1.0
    pad_object: Annotated[bool, WHOLE_CANVAS] = True
    gaussian_smoothing_sigma: Annotated[float, sets("model.probe.smoothing_px"), NON_NEGATIVE] = 0.0


@dataclass(kw_only=True)
class BottleneckSettings:
    """Spectral bottleneck, which `ptycho_torch.config_params.ModelConfig` and the execution settings have."""

    spectral_bottleneck_blocks: Annotated[int, OTHER_NETWORK] = 6
    spectral_bottleneck_modes: Annotated[int, OTHER_NETWORK] = 12
    spectral_bottleneck_share_weights: Annotated[bool, OTHER_NETWORK] = True
    spectral_bottleneck_gate_init: Annotated[float, OTHER_NETWORK] = 0.1
    spectral_bottleneck_gate_mode: Annotated[Literal["shared", "per_block"], OTHER_NETWORK] = "shared"


@dataclass(kw_only=True)
class OptimizerSettings:
    """The part of `TrainingConfig` that both families have."""

    torch_mae_pred_l2_match_target: Annotated[bool, no_effect("model and counts have one scale")] = False
    gradient_clip_val: Annotated[float | None, _CLIP] = None
    gradient_clip_algorithm: Annotated[Clipping, CLIP_ALGORITHM] = "norm"
    optimizer: Annotated[Literal["adam", "adamw", "sgd"], sets("training.optimizer")] = "adam"
    momentum: Annotated[float, sets("training.momentum", given={"optimizer": ("sgd",)})] = 0.9
    weight_decay: Annotated[float, sets("training.weight_decay")] = 0.0
    adam_beta1: Annotated[float, _BETA] = 0.9
    adam_beta2: Annotated[float, _BETA] = 0.999
    scheduler: Annotated[Scheduler, _SCHEDULE] = "Default"
    lr_warmup_epochs: Annotated[int, sets("training.warmup_epochs", given=COSINE)] = 0
    lr_min_ratio: Annotated[float, sets("training.min_lr_ratio", given=COSINE)] = 0.1
    plateau_factor: Annotated[float, sets("training.plateau_factor", given=_PLATEAU)] = 0.5
    plateau_patience: Annotated[int, sets("training.plateau_patience", given=_PLATEAU)] = 2
    plateau_min_lr: Annotated[float, sets("training.plateau_min_lr", given=_PLATEAU)] = 5e-5
    plateau_threshold: Annotated[float, sets("training.plateau_threshold", given=_PLATEAU)] = 0.0

    def betas(self) -> dict[str, Any]:
        """`training.betas`, where the optimiser has them."""
        return {} if self.optimizer == "sgd" else {"training.betas": (self.adam_beta1, self.adam_beta2)}


def mask_radius(enabled: bool, diameter_px: float | None, pattern_size: int) -> dict[str, Any]:
    """`model.probe.mask_radius`: a disk of a quarter of the pattern's size, or of the diameter given."""
    if not enabled:
        return {}
    radius = 0.5 if diameter_px is None or not pattern_size else min(diameter_px / pattern_size, 1.0)
    return {"model.probe.mask_radius": radius}


def merged_together(patterns: int, available: int | None) -> int:
    """Patterns that one group merges.

    Legacy PtychoPINN shows a group of patterns to its network at once, and merges that group. Networks here see one
    pattern at a time, so that 1 leaves the merging to the default of the recipe, which a good image needs.

    >>> merged_together(1, None), merged_together(1, 9), merged_together(4, None)
    (16, 9, 4)
    """
    if patterns > 1:
        return patterns
    usual = DataConfig().group_size
    return usual if available is None else max(1, min(usual, available))


def group_count(n_groups: int | None, n_patterns: int | None, group_size: int, oversampling: bool) -> int | None:
    """Groups that a scan of `n_patterns` patterns can give, as legacy PtychoPINN counts them.

    Single patterns are never repeated. Larger groups may be more than the patterns only with oversampling, else there
    is a `ConfigError`.
    """
    if n_groups is None or n_patterns is None or n_groups <= n_patterns:
        return n_groups
    if group_size == 1:
        return n_patterns
    if not oversampling:
        raise ConfigError(
            f"n_groups is {n_groups} but the scan has {n_patterns} patterns to start groups of {group_size} from; "
            "set enable_oversampling=True, lower n_groups, or leave it None for one group for every pattern"
        )
    return n_groups
