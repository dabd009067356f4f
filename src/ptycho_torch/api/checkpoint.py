"""The one file of a trained model, and where a run left it."""

from pathlib import Path

from ptychopinn.api.client_checkpoint import Checkpoint as Checkpoint
from ptychopinn.api.client_checkpoint import read_checkpoint as read_checkpoint
from ptychopinn.api.client_checkpoint import write_checkpoint as write_checkpoint

MODEL_NAME = "model.ckpt"
"""What the trained model is called inside a run's folder."""
_ORDER = (MODEL_NAME, "checkpoints/best.ckpt", "checkpoints/last.ckpt")


def find_best_checkpoint(run_dir: str | Path) -> Path | None:
    """The trained model of a run; of a run that did not end, the epoch with the lowest validation loss; else None.

    `run_dir` is the folder of the run, or holds folders `run_<timestamp>`, of which the newest counts.
    """
    folder = Path(run_dir)
    for place in (folder, *sorted(folder.glob("run_*"), reverse=True)):
        for name in _ORDER:
            if (place / name).is_file():
                return place / name
    return None
