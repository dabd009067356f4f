"""From a trained model and a scan to one image: prediction and stitching."""

from ptychopinn.reconstruction.predict import Progress, Timing, expected_counts, predict_and_stitch, predict_patches
from ptychopinn.reconstruction.stitch import ScanStitcher, Stitcher, stitch

__all__ = [
    "Progress",
    "ScanStitcher",
    "Stitcher",
    "Timing",
    "expected_counts",
    "predict_and_stitch",
    "predict_patches",
    "stitch",
]
