"""The legacy dictionary of settings: the only global state, and only for legacy clients.

>>> get("gridsize"), get("bigN")
(2, 132)
"""

from typing import Any

DEFAULT_CFG: dict[str, Any] = {
    "N": 128,
    "offset": 4,
    "gridsize": 2,
    "outer_offset_train": None,
    "outer_offset_test": None,
    "batch_size": 16,
    "nepochs": 60,
    "n_filters_scale": 2,
    "output_prefix": "outputs",
    "big_gridsize": 10,
    "max_position_jitter": 10,
    "sim_jitter_scale": 0.0,
    "default_probe_scale": 0.7,
    "mae_weight": 0.0,
    "nll_weight": 1.0,
    "tv_weight": 0.0,
    "realspace_mae_weight": 0.0,
    "realspace_weight": 0.0,
    "nphotons": 1e9,
    "nimgs_train": 9,
    "nimgs_test": 3,
    "data_source": "generic",
    "probe.trainable": False,
    "intensity_scale.trainable": False,
    "positions.provided": False,
    "object.big": True,
    "probe.big": False,
    "probe_scale": 10.0,
    "set_phi": False,
    "probe.mask": True,
    "pad_object": True,
    "model_type": "pinn",
    "label": "",
    "size": 392,
    "amp_activation": "sigmoid",
    "h5_path": "wts.h5",
    "npseed": 42,
    "debug": True,
    "gaussian_smoothing_sigma": 0.0,
    "use_xla_translate": True,
}
"""What `cfg` holds at import."""

cfg: dict[str, Any] = dict(DEFAULT_CFG)
"""The settings in force; `ptycho.config.config.update_legacy_dict` fills it."""


def get(key: str) -> Any:
    """A setting, or one of the derived sizes `bigN`, `padding_size`, `padded_size`; a `KeyError` for another key.

    Raises:
        KeyError: no such setting.
    """
    if key in _DERIVED:
        return _DERIVED[key]()
    return cfg[key]


def set(key: str, value: Any) -> None:
    """Set one entry of `cfg`."""
    cfg[key] = value


def _group_span() -> int:
    return (cfg["gridsize"] - 1) * cfg["offset"]


_DERIVED = {
    "bigN": lambda: cfg["N"] + _group_span(),
    "padding_size": lambda: _group_span() + cfg["max_position_jitter"],
    "padded_size": lambda: cfg["N"] + _group_span() + cfg["max_position_jitter"],
}
"""Pixels: side of a group's window; its margin for offsets and jitter; the side with jitter."""
