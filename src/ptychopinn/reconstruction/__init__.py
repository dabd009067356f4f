"""Predict, stitch, and what comes of it."""

from ptychopinn.reconstruction.canvas import Frame, check_one_image
from ptychopinn.reconstruction.predict import Progress, Timing, expected_counts, predict_and_stitch, predict_patches
from ptychopinn.reconstruction.result import Reconstruction
from ptychopinn.reconstruction.stitch import ScanStitcher, Stitcher, stitch

__all__ = [
    "Frame",
    "Progress",
    "Reconstruction",
    "ScanStitcher",
    "Stitcher",
    "Timing",
    "check_one_image",
    "expected_counts",
    "predict_and_stitch",
    "predict_patches",
    "stitch",
]
