"""What the simulation section refuses, each with its setting in the message."""

import pytest

from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.errors import ConfigError

REFUSED = {
    "object_kind=lena": "object_kind",
    "object_size_px=31": "object_size_px = 31: must be",
    "object_size_px=[192, 9000]": "two of them",
    "object_size_px=[192, 192, 192]": "two of them",
    "object_size_px=64.5": "whole number",
    "object_size_px=65": "raise object_size_px",
    "object_size_px=[192, 65]": "raise object_size_px",
    "object_text=": "object_text",
    "object_correlation=1.1": "object_correlation",
    "amplitude_min=0": "amplitude_min",
    "phase_range_rad=7": "phase_range_rad",
    "probe_kind=laser": "probe_kind",
    "probe_size_px=4": "probe_size_px",
    "probe_diameter_px=0": "probe_diameter_px",
    "probe_central_stop=1": "probe_central_stop",
    "probe_modes=0": "probe_modes",
    "probe_mode_ratio=0": "probe_mode_ratio",
    "probe_relaxation=6": "probe_relaxation",
    "probe_relaxation_power=0": "probe_relaxation_power",
    "scan_kind=lissajous": "scan_kind",
    "step_px=0": "step_px",
    "jitter_px=-1": "jitter_px",
    "position_error_px=-1": "position_error_px",
    "energy_eV=0": "energy_eV",
    "distance_m=0": "distance_m",
    "pixel_m=0": "pixel_m",
    "photons_per_pattern=0": "photons_per_pattern",
    "poisson_noise=perhaps": "poisson_noise",
    "beamstop_diameter_px=-1": "beamstop_diameter_px",
    "beamstop_diameter_px=64": "lower beamstop_diameter_px",
    "bad_pixel_fraction=0.6": "bad_pixel_fraction",
    "labels=some": "labels",
    "seed=-1": "seed",
    "device=tpu": "device",
    "object_kind=file": "which needs object_file",
    "object_kind=image": "which needs object_file",
    "probe_kind=file": "which needs probe_file",
    "scan_kind=file": "which needs scan_file",
    "object_file=a.npz": "set object_kind=image or file",
    "phase_image_file=a.png": "set object_kind=image",
    "probe_file=a.npz": "set probe_kind=file",
    "probe_zernike=[1.0]": "set probe_kind=zernike",
    "scan_file=a.npz": "set scan_kind=file",
}


@pytest.mark.parametrize("override", REFUSED)
def test_bad_setting_is_refused_by_name(override: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[override]):
        Recipe().with_overrides([f"simulation.{override}"])


def test_every_bounded_setting_is_in_the_list() -> None:
    bounded = {
        name
        for name, field in SimulationConfig.model_fields.items()
        if field.metadata or "Literal" in str(field.annotation)
    }
    assert bounded - {item.partition("=")[0] for item in REFUSED} == set()


def test_defocus_of_a_pinhole_and_correlation_of_a_picture_are_refused() -> None:
    disk = ["simulation.probe_kind=disk", "simulation.probe_defocus_px=3"]
    with pytest.raises(ConfigError, match="set probe_kind=zone_plate or zernike"):
        Recipe().with_overrides(disk)
    image = ["object_kind=image", "object_file=a.png", "object_correlation=0.5"]
    with pytest.raises(ConfigError, match="drop object_correlation"):
        Recipe().with_overrides([f"simulation.{setting}" for setting in image])


def test_settings_survive_their_own_text() -> None:
    given = [
        "simulation.object_size_px=[128, 160]",
        "simulation.object_kind=text",
        "simulation.object_text=2026",
        "simulation.probe_kind=zernike",
        "simulation.probe_zernike=[0.5, 0, 0.1]",
        "simulation.scan_kind=file",
        "simulation.scan_file=some/scan.npz",
    ]
    recipe = Recipe().with_overrides(given)
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert recipe.simulation.object_shape == (128, 160)
    assert recipe.simulation.object_text == "2026"
