"""Predict, stitch, and what comes of it."""

from ptychopinn.reconstruction.canvas import Frame, check_one_image
from ptychopinn.reconstruction.predict import Progress, Timing, expected_counts, predict_and_stitch, predict_patches
from ptychopinn.reconstruction.refine import IterationHook, Refined, flat_start, photons_of, refine
from ptychopinn.reconstruction.result import Reconstruction
from ptychopinn.reconstruction.stitch import ScanStitcher, Stitcher, stitch

__all__ = [
    "Frame",
    "IterationHook",
    "Progress",
    "Reconstruction",
    "Refined",
    "ScanStitcher",
    "Stitcher",
    "Timing",
    "check_one_image",
    "expected_counts",
    "flat_start",
    "photons_of",
    "predict_and_stitch",
    "predict_patches",
    "refine",
    "stitch",
]
