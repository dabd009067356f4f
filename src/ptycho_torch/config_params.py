"""The settings of the PyTorch contract: mutable, picklable, and cheap to import (no torch, no Lightning).

Fields and defaults are those that ptychodus 1.7.0 passes; the rest is what earlier scripts set. Values are checked by
`ptycho_torch.to_recipe.recipe_of`, not at construction; an unknown name raises `TypeError`.
Each field's way into a recipe stands in docs/config-mapping.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class DataConfig:
    """How patterns are grouped and scaled. `C` patterns make a group; `n_subsample` groups are drawn per position."""

    nphotons: float = 1e5
    scale_contract_version: Literal["ci_intensity_v2", "legacy_v1"] = "ci_intensity_v2"
    measurement_domain: Literal["count_intensity", "normalized_amplitude"] = "count_intensity"
    N: int = 128
    C: int = 4
    K: int = 6
    K_quadrant: int = 30
    n_subsample: int = 7
    subsample_seed: int | None = None
    grid_size: tuple[int, int] = (2, 2)
    neighbor_function: Literal["Nearest", "Min_dist", "4_quadrant"] = "Nearest"
    min_neighbor_distance: float = 0.0
    max_neighbor_distance: float = 3.0
    scan_pattern: Literal["Isotropic", "Rectangular"] = "Isotropic"
    normalize: Literal["Group", "Batch", "None"] = "Batch"
    probe_scale: float = 4.0
    probe_normalize: bool = True
    data_scaling: Literal["Parseval", "Max"] = "Parseval"
    phase_subtraction: bool = True
    x_bounds: tuple[float, float] = (0.1, 0.9)
    y_bounds: tuple[float, float] = (0.1, 0.9)
    probe_ramp_removal: bool = False
    n_groups: int | None = None
    neighbor_count: int | None = None


@dataclass
class ModelConfig:
    """What the network is, what it is compared with, and how."""

    mode: Literal["Supervised", "Unsupervised"] = "Unsupervised"
    architecture: Literal["cnn", "ffno", "fno", "fno_vanilla", "hybrid", "neuralop_uno"] = "cnn"
    fno_modes: int = 12
    fno_width: int = 32
    fno_blocks: int = 4
    fno_cnn_blocks: int = 2
    learned_input_channels: int = 1
    fno_input_transform: Literal["none", "sqrt", "log1p", "instancenorm"] = "none"
    max_hidden_channels: int | None = None
    resnet_width: int | None = None
    spectral_bottleneck_blocks: int = 6
    spectral_bottleneck_modes: int = 12
    spectral_bottleneck_share_weights: bool = True
    spectral_bottleneck_gate_init: float = 0.1
    spectral_bottleneck_gate_mode: Literal["shared", "per_block"] = "shared"
    generator_output_mode: Literal["real_imag", "amp_phase_logits", "amp_phase"] = "real_imag"
    cnn_output_mode: Literal["amp_phase", "real_imag"] = "amp_phase"
    use_shared_decoder: bool = False
    intensity_scale_trainable: bool = False
    intensity_scale: float = 10000.0
    max_position_jitter: int = 10
    num_datasets: int = 1
    C_model: int = 4
    n_filters_scale: int = 2
    amp_activation: Literal["silu", "sigmoid", "swish", "softplus", "relu"] = "silu"
    batch_norm: bool = False
    probe_mask: Any = None
    probe_mask_tensor: Any = None
    probe_mask_sigma: float = 1.0
    probe_mask_diameter: float | None = None
    edge_pad: int = 10
    decoder_last_c_outer_fraction: float = 0.125
    decoder_last_amp_channels: int = 4
    use_legacy_decoder_channel_override: bool = False
    eca_encoder: bool = False
    cbam_encoder: bool = True
    cbam_bottleneck: bool = False
    cbam_decoder: bool = False
    eca_decoder: bool = False
    spatial_decoder: bool = False
    decoder_spatial_kernel: int = 7
    object_big: bool = True
    probe_big: bool = True
    offset: int = 6
    C_forward: int = 4
    training_patch_weighting: Literal["central_mask", "probe", "uniform"] = "central_mask"
    physics_forward_mode: Literal["amplitude", "rectangular_scaled"] = "amplitude"
    rect_s1s2_trainable: bool = True
    rect_s1s2_init: Literal["ones", "data"] = "ones"
    amplitude_physics_gain: float = 1.0
    pad_object: bool = True
    gaussian_smoothing_sigma: float = 0.0
    loss_function: Literal["MAE", "Poisson"] = "Poisson"
    amp_loss: Literal["Total_Variation", "Mean_Deviation"] | None = None
    phase_loss: Literal["Total_Variation", "Mean_Deviation"] | None = None
    amp_loss_coeff: float = 1.0
    phase_loss_coeff: float = 1.0
    probe_reference_coeff: float = 0.0
    amplitude_variance_loss: bool = False
    amplitude_variance_coeff: float = 0.01


@dataclass
class TrainingConfig:
    """Budget, optimiser, hardware and names of a training run."""

    training_directories: list[str] = field(default_factory=list)
    nll: bool = True
    device: str = "cuda"
    strategy: str | None = "ddp_spawn"
    n_devices: int | str = 1
    framework: Literal["Default", "Lightning"] = "Lightning"
    orchestrator: Literal["Mlflow", "Lightning"] = "Lightning"
    learning_rate: float = 1e-3
    epochs: int = 50
    batch_size: int = 16
    epochs_fine_tune: int = 0
    fine_tune_gamma: float = 0.1
    scheduler: Literal["Default", "Exponential", "WarmupCosine", "ReduceLROnPlateau", "Cosine", "Constant"] = "Default"
    lr_warmup_epochs: int = 0
    lr_min_ratio: float = 0.1
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    plateau_min_lr: float = 5e-5
    plateau_threshold: float = 0.0
    num_workers: int = 4
    accum_steps: int = 1
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: Literal["norm", "value", "agc"] = "norm"
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    log_grad_norm: bool = False
    grad_norm_log_freq: int = 1
    stage_1_epochs: int = 0
    stage_2_epochs: int = 0
    stage_3_epochs: int = 0
    physics_weight_schedule: Literal["linear", "cosine", "exponential"] = "cosine"
    stage_3_lr_factor: float = 0.1
    torch_loss_mode: Literal["poisson", "mae"] = "poisson"
    torch_mae_pred_l2_match_target: bool = False
    experiment_name: str = "Synthetic_Runs"
    notes: str = ""
    model_name: str = "PtychoPINNv2"
    output_dir: str = "training_outputs"
    train_data_file: str | None = None
    test_data_file: str | None = None
    n_groups: int | None = None
    neighbor_count: int | None = None
    warmup_epochs: int = 0
    min_lr_ratio: float = 0.1
    enable_staged_finetuning: bool = False
    finetune_stage1_epochs: int = 7
    finetune_stage2_epochs: int = 7
    finetune_stage3_epochs: int = 5
    finetune_stage1_lr_decoder: float = 0.1
    finetune_stage2_lr_encoder_top: float = 0.01
    finetune_stage2_lr_decoder: float = 0.05
    finetune_stage2_lr_phase_head: float = 0.1
    finetune_stage3_lr_encoder_bottom: float = 0.005
    finetune_stage3_lr_encoder_top: float = 0.01
    finetune_stage3_lr_decoder: float = 0.02
    finetune_stage3_lr_phase_head: float = 0.05
    finetune_skip_stage3: bool = True
    finetune_early_stop_patience: int = 3
    finetune_val_split: float = 0.05


@dataclass
class InferenceConfig:
    """Prediction and stitching."""

    middle_trim: int = 32
    batch_size: int = 1000
    experiment_number: int = 0
    pad_eval: bool = True
    window: int = 20
    patch_weighting: Literal["uniform", "probe"] = "probe"
    varpro_scaling: bool = True
    log_patch_stats: bool = False
    patch_stats_limit: int | None = None


@dataclass
class DatagenConfig:
    """Settings of simulated data."""

    objects_per_probe: int = 4
    diff_per_object: int = 7000
    object_class: str = "dead_leaves"
    image_size: tuple[int, int] = (250, 250)
    probe_paths: list[str] = field(default_factory=list)
    beamstop_diameter: int = 4
