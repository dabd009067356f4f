"""The settings of the PyTorch contract: mutable, picklable, and cheap to import (no torch, no Lightning).

Fields and defaults are those that ptychodus 1.7.0 passes; the rest is what legacy scripts set. Values are checked by
`ptycho_torch.to_recipe.recipe_of`, not at construction; an unknown name raises `TypeError`.
Where a setting arrives stands on its field; docs/config-mapping.md is made of it.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from ptycho.config import shared
from ptycho.config.field_mapping import ANY, jointly, no_effect, not_available, read_by, sets
from ptycho.config.shared import COSINE, OWN_SCALE, WHOLE_CANVAS

_RULES = {"Nearest": "nearest", "Min_dist": "min_distance", "4_quadrant": "four_quadrants"}
_MERGES = {"central_mask": "central", "probe": "probe", "uniform": "uniform"}

_OWN_NETWORK = no_effect("the network is a plain U-Net; `n_filters_scale` sets its width")
_ATTENTION = no_effect(_OWN_NETWORK.how, False)
_ON = {"enable_staged_finetuning": (True,)}
_TOP, _ALL = "training.fine_tune.encoder_top", "training.fine_tune.whole"
_WHOLE = sets(f"{_ALL}.epochs", given={**_ON, "finetune_skip_stage3": (False,)})
_EPOCHS = sets("training.epochs", given={f"stage_{number}_epochs": (0,) for number in (1, 2, 3)})
_ENDS = ("training.epochs",)
_RISE = sets("training.stages.physics_weight")
_LAST_RATE = sets(
    "training.stages.physics_learning_rate", given={"scheduler": ("MultiStage", "Adaptive"), "stage_3_epochs": (ANY,)}
)
_API = read_by("`ptycho_torch.api`")
_WORKERS = read_by("`ptycho_torch.api`", "for batches as dictionaries; else the scan lies in memory")
_NAME = read_by("`ptycho_torch.api`", "kept with the model")
_SIMULATION = read_by("`ptycho_torch.datagen.Datagen`")
_NO_GRADIENT_LOG = no_effect("the norm of the gradient is not logged")
_NO_PATCH_LOG = no_effect("patches are not logged")
_NO_VARIANCE = no_effect("there is no such term; `amp_loss` = Mean_Deviation is similar")
_ONE_PATTERN = no_effect("every pattern has a patch of its own; a number that differs from C is named in the log", ANY)

_DOMAIN = sets(
    "data.domain",
    "`normalized_amplitude` is `amplitude`; the default becomes `auto`, which recognises counts",
    {"normalized_amplitude": "amplitude", "count_intensity": "auto"}.__getitem__,
)
_GROUP = jointly(
    "data.group_size",
    "training.patterns_per_step",
    how="any number; a step holds `batch_size` groups; 1 merges the usual 16, and a step holds `batch_size` patterns; "
    "a warning names `grid_size` or `C_model` where they differ",
)
_PER_PATTERN = jointly("data.groups_per_pattern", how="at most as many as there are different groups")
_GRID = read_by("`ptycho_torch.config_bridge`", "a group has `C` patterns, on any kind of grid")
_NEAREST = {"neighbor_function": ("Min_dist",)}
_FARTHEST = sets(
    "data.max_distance_px",
    "with the other rules 3 px would leave most positions without neighbours",
    given=_NEAREST,
)
_RULE = sets("data.neighbor_rule", "", _RULES.__getitem__)
_ANY_SCAN = no_effect("neighbours are found by their distance on any scan")
_KIND = sets("model.kind", "`Unsupervised` is `pinn`", {"Unsupervised": "pinn", "Supervised": "supervised"}.__getitem__)
_BOTH_PARTS = no_effect("every generator gives real and imaginary part", "real_imag")
_ONLY_DISK = not_available("only a disk is known: probe_mask=True and probe_mask_diameter")
_ORCHESTRATOR = sets(
    "training.logger",
    "`Mlflow` is `mlflow`; `Lightning` leaves the logger of the recipe",
    {"Mlflow": "mlflow"}.__getitem__,
    leaves=("Lightning",),
)
_EXPERIMENT = sets("training.experiment", "an empty name leaves that of the recipe", leaves=("",))
_BOUNDS = "for training only; every position is reconstructed"
_N_GROUPS = jointly("data.n_groups", how="instead of `n_subsample` groups for every pattern")
_NEIGHBORS = jointly("data.neighbors", how="instead of `K`")
_RAMP = no_effect("a phase ramp of the probe shifts every pattern alike and is kept")
_MASK = replace(shared.MASK, how=f"{shared.MASK.how}; a mask given as an array is refused")
_DIAMETER = jointly("model.probe.mask_radius", how=shared.DIAMETER, given={"probe_mask": (True,)})
_MERGE_WEIGHT = sets("model.merge.weight", "`central_mask` is `central`, half of each side", _MERGES.__getitem__)
_LOSS = jointly(
    "model.loss.poisson_weight",
    "model.loss.amplitude_mae_weight",
    how="`MAE` in any of `loss_function`, `nll`, `torch_loss_mode` leaves only the amplitude MAE",
)
_AMPLITUDE_TERMS = ("model.loss.amplitude_total_variation_weight", "model.loss.amplitude_mean_deviation_weight")
_PHASE_TERMS = ("model.loss.phase_total_variation_weight", "model.loss.phase_mean_deviation_weight")
_AMPLITUDE_WEIGHT = jointly(*_AMPLITUDE_TERMS, how="the weight of `amp_loss`", given={"amp_loss": (ANY,)})
_PHASE_WEIGHT = jointly(*_PHASE_TERMS, how="the weight of `phase_loss`", given={"phase_loss": (ANY,)})
_WARMUP = sets("training.warmup_epochs", "instead of `lr_warmup_epochs`", given=COSINE, leaves=(0,))
_END = sets("training.min_lr_ratio", "instead of `lr_min_ratio`", given=COSINE, leaves=(0.1,))
_WINDOW = sets("reconstruction.window_px", given={"patch_weighting": ("uniform",)})
_BATCH = sets(
    "reconstruction.batch_size",
    "the default of 1000 leaves that of the recipe, 64, with which large patterns fit into memory",
    leaves=(1000,),
)
_WEIGHT = sets(
    "reconstruction.weight",
    "`uniform` is `central` with a window of `middle_trim`, where patches are weighted by their illumination",
    {"uniform": "central", "probe": "probe"}.__getitem__,
    also=("reconstruction.window_px",),
)

AuxiliaryLoss = Literal["Total_Variation", "Mean_Deviation"] | None


@dataclass
class DataConfig:
    """How patterns are grouped and scaled. `C` patterns make a group; `n_subsample` groups are drawn per position."""

    nphotons: Annotated[float, shared.PHOTONS] = 1e5
    scale_contract_version: Annotated[Literal["ci_intensity_v2", "legacy_v1"], OWN_SCALE] = "ci_intensity_v2"
    measurement_domain: Annotated[Literal["count_intensity", "normalized_amplitude"], _DOMAIN] = "count_intensity"
    N: Annotated[int, read_by("`ptycho_torch.api`", "the size of a model is that of its training patterns")] = 128
    C: Annotated[int, _GROUP] = 4
    K: Annotated[int, shared.NEIGHBORS] = 6
    K_quadrant: Annotated[int, no_effect("neighbours in the four quadrants are chosen among eight times K")] = 30
    n_subsample: Annotated[int, _PER_PATTERN] = 7
    subsample_seed: Annotated[int | None, shared.SEED] = None
    grid_size: Annotated[tuple[int, int], _GRID] = (2, 2)
    neighbor_function: Annotated[Literal["Nearest", "Min_dist", "4_quadrant"], _RULE] = "Nearest"
    min_neighbor_distance: Annotated[float, sets("data.min_distance_px", given=_NEAREST)] = 0.0
    max_neighbor_distance: Annotated[float, _FARTHEST] = 3.0
    scan_pattern: Annotated[Literal["Isotropic", "Rectangular"], _ANY_SCAN] = "Isotropic"
    normalize: Annotated[Literal["Group", "Batch", "None"], OWN_SCALE] = "Batch"
    probe_scale: Annotated[float, OWN_SCALE] = 4.0
    probe_normalize: Annotated[bool, OWN_SCALE] = True
    data_scaling: Annotated[Literal["Parseval", "Max"], OWN_SCALE] = "Parseval"
    phase_subtraction: Annotated[bool, no_effect("labels are taken as they are", ANY)] = True
    x_bounds: Annotated[tuple[float, float], sets("data.bounds_x", _BOUNDS, tuple)] = (0.1, 0.9)
    y_bounds: Annotated[tuple[float, float], sets("data.bounds_y", _BOUNDS, tuple)] = (0.1, 0.9)
    probe_ramp_removal: Annotated[bool, _RAMP] = False
    n_groups: Annotated[int | None, _N_GROUPS] = None
    neighbor_count: Annotated[int | None, _NEIGHBORS] = None


@dataclass
class ModelConfig(shared.NetworkSettings, shared.BottleneckSettings):
    """What the network is, what it is compared with, and how."""

    mode: Annotated[Literal["Supervised", "Unsupervised"], _KIND] = "Unsupervised"
    cnn_output_mode: Annotated[Literal["amp_phase", "real_imag"], _BOTH_PARTS] = "amp_phase"
    use_shared_decoder: Annotated[bool, no_effect("one decoder gives both parts of the patch")] = False
    intensity_scale_trainable: Annotated[bool, shared.SCALE_TRAINABLE] = False
    intensity_scale: Annotated[float, no_effect("the scale is measured from the counts")] = 10000.0
    max_position_jitter: Annotated[int, no_effect("the canvas of a group is as large as its positions need")] = 10
    num_datasets: Annotated[int, no_effect("taken from the files")] = 1
    C_model: Annotated[int, _ONE_PATTERN] = 4
    n_filters_scale: Annotated[int, shared.WIDTH] = 2
    amp_activation: Annotated[Literal["silu", "sigmoid", "swish", "softplus", "relu"], shared.NO_ACTIVATION] = "silu"
    batch_norm: Annotated[bool, no_effect("the network has group normalisation")] = False
    probe_mask: Annotated[Any, _MASK] = None
    probe_mask_tensor: Annotated[Any, _ONLY_DISK] = None
    probe_mask_diameter: Annotated[float | None, _DIAMETER] = None
    edge_pad: Annotated[int, WHOLE_CANVAS] = 10
    decoder_last_c_outer_fraction: Annotated[float, _OWN_NETWORK] = 0.125
    decoder_last_amp_channels: Annotated[int, _ONE_PATTERN] = 4
    use_legacy_decoder_channel_override: Annotated[bool, _OWN_NETWORK] = False
    eca_encoder: Annotated[bool, _OWN_NETWORK] = False
    cbam_encoder: Annotated[bool, _ATTENTION] = True
    cbam_bottleneck: Annotated[bool, _OWN_NETWORK] = False
    cbam_decoder: Annotated[bool, _OWN_NETWORK] = False
    eca_decoder: Annotated[bool, _OWN_NETWORK] = False
    spatial_decoder: Annotated[bool, _OWN_NETWORK] = False
    decoder_spatial_kernel: Annotated[int, _OWN_NETWORK] = 7
    offset: Annotated[int, no_effect("offsets are those of the positions")] = 6
    C_forward: Annotated[int, _ONE_PATTERN] = 4
    training_patch_weighting: Annotated[Literal["central_mask", "probe", "uniform"], _MERGE_WEIGHT] = "central_mask"
    physics_forward_mode: Annotated[Literal["amplitude", "rectangular_scaled"], OWN_SCALE] = "amplitude"
    rect_s1s2_trainable: Annotated[bool, OWN_SCALE] = True
    rect_s1s2_init: Annotated[Literal["ones", "data"], OWN_SCALE] = "ones"
    amplitude_physics_gain: Annotated[float, OWN_SCALE] = 1.0
    loss_function: Annotated[Literal["MAE", "Poisson"], _LOSS] = "Poisson"
    amp_loss: Annotated[AuxiliaryLoss, jointly(*_AMPLITUDE_TERMS, how="one of them")] = None
    phase_loss: Annotated[AuxiliaryLoss, jointly(*_PHASE_TERMS, how="one of them")] = None
    amp_loss_coeff: Annotated[float, _AMPLITUDE_WEIGHT] = 1.0
    phase_loss_coeff: Annotated[float, _PHASE_WEIGHT] = 1.0
    probe_reference_coeff: Annotated[float, no_effect("the probe is fixed; no term compares it with a reference")] = 0.0
    amplitude_variance_loss: Annotated[bool, _NO_VARIANCE] = False
    amplitude_variance_coeff: Annotated[float, _NO_VARIANCE] = 0.01


@dataclass
class TrainingConfig(shared.OptimizerSettings):
    """Budget, optimiser, hardware and names of a training run."""

    training_directories: Annotated[list[str], _API] = field(default_factory=list)
    nll: Annotated[bool, _LOSS] = True
    device: Annotated[str, shared.DEVICE] = "cuda"
    strategy: Annotated[str | None, shared.STRATEGY] = "ddp_spawn"
    n_devices: Annotated[int | str, shared.DEVICES] = 1
    framework: Annotated[Literal["Default", "Lightning"], no_effect("Lightning always trains")] = "Lightning"
    orchestrator: Annotated[Literal["Mlflow", "Lightning"], _ORCHESTRATOR] = "Lightning"
    learning_rate: Annotated[float, sets("training.learning_rate")] = 1e-3
    epochs: Annotated[int, _EPOCHS] = 50
    batch_size: Annotated[int, shared.BATCH] = 16
    epochs_fine_tune: Annotated[int, sets("training.fine_tune.epochs", "on top of `epochs`")] = 0
    fine_tune_gamma: Annotated[float, sets("training.fine_tune.learning_rate")] = 0.1
    num_workers: Annotated[int, _WORKERS] = 4
    accum_steps: Annotated[int, sets("training.accumulate_steps")] = 1
    log_grad_norm: Annotated[bool, _NO_GRADIENT_LOG] = False
    grad_norm_log_freq: Annotated[int, _NO_GRADIENT_LOG] = 1
    stage_1_epochs: Annotated[int, sets("training.stages.data_epochs", also=_ENDS)] = 0
    stage_2_epochs: Annotated[int, sets("training.stages.transition_epochs", also=_ENDS)] = 0
    stage_3_epochs: Annotated[int, sets("training.stages.physics_epochs", also=_ENDS)] = 0
    physics_weight_schedule: Annotated[Literal["linear", "cosine", "exponential"], _RISE] = "cosine"
    stage_3_lr_factor: Annotated[float, _LAST_RATE] = 0.1
    torch_loss_mode: Annotated[shared.LossMode, _LOSS] = "poisson"
    experiment_name: Annotated[str, _EXPERIMENT] = "Synthetic_Runs"
    notes: Annotated[str, _NAME] = ""
    model_name: Annotated[str, _NAME] = "PtychoPINNv2"
    output_dir: Annotated[str, _API] = "training_outputs"
    train_data_file: Annotated[str | None, _API] = None
    test_data_file: Annotated[str | None, read_by("`ptycho_torch.config_bridge`")] = None
    n_groups: Annotated[int | None, _N_GROUPS] = None
    neighbor_count: Annotated[int | None, _NEIGHBORS] = None
    warmup_epochs: Annotated[int, _WARMUP] = 0
    min_lr_ratio: Annotated[float, _END] = 0.1
    enable_staged_finetuning: Annotated[bool, sets("training.fine_tune.staged")] = False
    finetune_stage1_epochs: Annotated[int, sets("training.fine_tune.decoder.epochs", given=_ON)] = 7
    finetune_stage2_epochs: Annotated[int, sets(f"{_TOP}.epochs", given=_ON)] = 7
    finetune_stage3_epochs: Annotated[int, _WHOLE] = 5
    finetune_stage1_lr_decoder: Annotated[float, sets("training.fine_tune.decoder.decoder", given=_ON)] = 0.1
    finetune_stage2_lr_encoder_top: Annotated[float, sets(f"{_TOP}.encoder_top", given=_ON)] = 0.01
    finetune_stage2_lr_decoder: Annotated[float, sets(f"{_TOP}.decoder", given=_ON)] = 0.05
    finetune_stage2_lr_phase_head: Annotated[float, sets(f"{_TOP}.head", given=_ON)] = 0.1
    finetune_stage3_lr_encoder_bottom: Annotated[float, sets(f"{_ALL}.encoder_bottom", given=_ON)] = 0.005
    finetune_stage3_lr_encoder_top: Annotated[float, sets(f"{_ALL}.encoder_top", given=_ON)] = 0.01
    finetune_stage3_lr_decoder: Annotated[float, sets(f"{_ALL}.decoder", given=_ON)] = 0.02
    finetune_stage3_lr_phase_head: Annotated[float, sets(f"{_ALL}.head", given=_ON)] = 0.05
    finetune_skip_stage3: Annotated[bool, jointly(f"{_ALL}.epochs", how="True: 0 epochs", given=_ON)] = True
    finetune_early_stop_patience: Annotated[int, sets("training.fine_tune.patience", given=_ON)] = 3
    finetune_val_split: Annotated[float, sets("data.validation_fraction", "of the whole run", given=_ON)] = 0.05


@dataclass
class InferenceConfig:
    """Prediction and stitching."""

    middle_trim: Annotated[int, _WINDOW] = 32
    batch_size: Annotated[int, _BATCH] = 1000
    experiment_number: Annotated[int, read_by("`ptycho_torch.api`", "which of several scans is reconstructed")] = 0
    pad_eval: Annotated[bool, WHOLE_CANVAS] = True
    window: Annotated[int, no_effect("the image is as large as the input object, its edges included")] = 20
    patch_weighting: Annotated[Literal["uniform", "probe"], _WEIGHT] = "probe"
    varpro_scaling: Annotated[bool, OWN_SCALE] = True
    log_patch_stats: Annotated[bool, _NO_PATCH_LOG] = False
    patch_stats_limit: Annotated[int | None, _NO_PATCH_LOG] = None


@dataclass
class DatagenConfig:
    """Settings of simulated data."""

    objects_per_probe: Annotated[int, _SIMULATION] = 4
    diff_per_object: Annotated[int, _SIMULATION] = 7000
    object_class: Annotated[str, _SIMULATION] = "dead_leaves"
    image_size: Annotated[tuple[int, int], _SIMULATION] = (250, 250)
    probe_paths: Annotated[list[str], _SIMULATION] = field(default_factory=list)
    beamstop_diameter: Annotated[int, _SIMULATION] = 4
