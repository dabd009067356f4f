"""How a run is carried out, apart from what it computes; never written to the legacy dictionary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ptychopinn.errors import ConfigError

ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
PRECISIONS = ("16-mixed", "32-true", "bf16-mixed")


@dataclass
class PyTorchExecutionConfig:
    """Hardware, arithmetic, optimiser and bookkeeping of a PyTorch run.

    Raises:
        ConfigError: at construction, a value that breaks a rule.
    """

    accelerator: str = "auto"
    devices: int | Literal["auto"] = 1
    strategy: str = "auto"
    deterministic: bool | Literal["warn"] = True
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: Literal["norm", "value", "agc"] = "norm"
    accum_steps: int = 1
    num_workers: int = 0
    pin_memory: bool = False
    persistent_workers: bool = False
    prefetch_factor: int | None = None
    learning_rate: float = 1e-3
    scheduler: str = "Default"
    enable_progress_bar: bool = False
    enable_checkpointing: bool = True
    checkpoint_save_top_k: int = 1
    checkpoint_monitor_metric: str = "val_loss"
    checkpoint_mode: str = "min"
    early_stop_patience: int = 100
    logger_backend: str | None = "csv"
    recon_log_every_n_epochs: int | None = None
    recon_log_num_patches: int = 4
    recon_log_fixed_indices: list[int] | None = None
    recon_log_stitch: bool = False
    recon_log_max_stitch_samples: int | None = None
    ffno_encoder_blocks: int = 24
    ffno_encoder_modes: int = 12
    ffno_encoder_share_weights: bool = True
    ffno_encoder_gate_init: float = 0.1
    ffno_encoder_norm: str = "instance"
    ffno_encoder_mlp_ratio: float = 2.0
    spectral_bottleneck_blocks: int = 6
    spectral_bottleneck_modes: int = 12
    spectral_bottleneck_share_weights: bool = True
    spectral_bottleneck_gate_init: float = 0.1
    spectral_bottleneck_gate_mode: Literal["shared", "per_block"] = "shared"
    inference_batch_size: int | None = None
    middle_trim: int = 0
    pad_eval: bool = False

    def __post_init__(self) -> None:
        _check_accelerator(self.accelerator)
        _check_devices(self.devices)
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("checkpoint_mode", self.checkpoint_mode, ("max", "min"))
        for name in ("num_workers", "checkpoint_save_top_k"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be non-negative, got {getattr(self, name)}")
        for name in ("learning_rate", "accum_steps", "early_stop_patience", "inference_batch_size"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be positive, got {value}")


def _check_accelerator(accelerator: str) -> None:
    if accelerator == "tpu":
        raise ConfigError(
            "Torch-XLA TPU execution is unsupported by this PyTorch runtime. "
            "Use accelerator='cpu', 'gpu'/'cuda', or 'mps'."
        )
    _check_choice("accelerator", accelerator, ACCELERATORS)


def _check_devices(devices: int | str) -> None:
    whole = isinstance(devices, int) and not isinstance(devices, bool) and devices > 0
    if not whole and devices != "auto":
        raise ConfigError(f"devices must be a positive integer or 'auto', got {devices}")


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"Invalid {name}: {value!r}. Expected one of {list(allowed)}.")
