"""The diffraction physics: pure functions, and the thin modules that own parameters."""

from typing import TYPE_CHECKING

from ptychopinn.lazy import loads

if TYPE_CHECKING:
    from ptychopinn.physics.detection import amplitude, count_photons, intensity
    from ptychopinn.physics.forward import DiffractionModel, detect_patches
    from ptychopinn.physics.fourier import to_detector, to_sample
    from ptychopinn.physics.illumination import exit_wave, shifted_probes, support_mask
    from ptychopinn.physics.merge import accumulate, average, merge_group, patch_weight, power_weight
    from ptychopinn.physics.patches import add_weighted, centred_part, check_inside, extract_patches, place_patches
    from ptychopinn.physics.propagation import FarField, Propagator, propagator_of
    from ptychopinn.physics.shift import bilinear_shift, fourier_shift, split_position

__all__ = [
    "DiffractionModel",
    "FarField",
    "Propagator",
    "accumulate",
    "add_weighted",
    "amplitude",
    "average",
    "bilinear_shift",
    "centred_part",
    "check_inside",
    "count_photons",
    "detect_patches",
    "exit_wave",
    "extract_patches",
    "fourier_shift",
    "intensity",
    "merge_group",
    "patch_weight",
    "place_patches",
    "power_weight",
    "propagator_of",
    "shifted_probes",
    "split_position",
    "support_mask",
    "to_detector",
    "to_sample",
]

__getattr__ = loads(
    globals(),
    {
        "amplitude": "ptychopinn.physics.detection",
        "count_photons": "ptychopinn.physics.detection",
        "intensity": "ptychopinn.physics.detection",
        "DiffractionModel": "ptychopinn.physics.forward",
        "detect_patches": "ptychopinn.physics.forward",
        "to_detector": "ptychopinn.physics.fourier",
        "to_sample": "ptychopinn.physics.fourier",
        "exit_wave": "ptychopinn.physics.illumination",
        "shifted_probes": "ptychopinn.physics.illumination",
        "support_mask": "ptychopinn.physics.illumination",
        "accumulate": "ptychopinn.physics.merge",
        "average": "ptychopinn.physics.merge",
        "merge_group": "ptychopinn.physics.merge",
        "patch_weight": "ptychopinn.physics.merge",
        "power_weight": "ptychopinn.physics.merge",
        "add_weighted": "ptychopinn.physics.patches",
        "centred_part": "ptychopinn.physics.patches",
        "check_inside": "ptychopinn.physics.patches",
        "extract_patches": "ptychopinn.physics.patches",
        "place_patches": "ptychopinn.physics.patches",
        "FarField": "ptychopinn.physics.propagation",
        "Propagator": "ptychopinn.physics.propagation",
        "propagator_of": "ptychopinn.physics.propagation",
        "bilinear_shift": "ptychopinn.physics.shift",
        "fourier_shift": "ptychopinn.physics.shift",
        "split_position": "ptychopinn.physics.shift",
    },
)
