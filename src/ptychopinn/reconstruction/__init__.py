"""From a trained model and a scan to one image: prediction and stitching."""

from ptychopinn.reconstruction.live import Joined, LiveImage
from ptychopinn.reconstruction.predict import Progress, Timing
from ptychopinn.reconstruction.reconstructor import ProbeChoice, Reconstructor, prediction_groups
from ptychopinn.reconstruction.stitch import ScanStitcher, Stitcher, stitch

__all__ = [
    "Joined",
    "LiveImage",
    "ProbeChoice",
    "Progress",
    "Reconstructor",
    "ScanStitcher",
    "Stitcher",
    "Timing",
    "prediction_groups",
    "stitch",
]
