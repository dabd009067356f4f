"""Several models, and the iterative solver, on one scan: their images on one canvas, scored against one reference."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptychopinn.api.evaluate import Evaluations, evaluate_several
from ptychopinn.api.inputs import ScanSource, as_recipe, as_scan
from ptychopinn.api.reconstruct import reconstruct
from ptychopinn.data.io import check_output_folder, write_text_atomically
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError

logger = logging.getLogger("ptychopinn.studies")
SOLVER = "solver"
"""The row of the iterative reconstruction."""
SCORES = ("psnr_amplitude", "psnr_phase", "ssim_amplitude", "ssim_phase", "frc_1/7_nyquist")


@dataclass(frozen=True)
class Comparison:
    """What was compared."""

    evaluations: Evaluations
    """Scores, and figures of all images beside the reference."""
    seconds: dict[str, float]
    """Time of each reconstruction."""
    paths: dict[str, Path]
    """`table`, and those of the evaluation."""


def compare_models(
    scan: ScanSource,
    models: Mapping[str, str | Path],
    output: str | Path,
    *,
    reference: Any = None,
    iterative: bool = True,
    overrides: Sequence[str] = (),
    device: str = "auto",
) -> Comparison:
    """Reconstruct a scan by each model and by the solver, align every image with the reference, and score them.

    Args:
        scan: a file, or a `Scan`.
        models: by name, bundles or their folders.
        output: folder for `<name>/reconstruction.npz`, `evaluation.png`, `frc.png`, `metrics.json` and `table.csv`.
        reference: as for `evaluate`; the scan's own object by default.
        iterative: whether the solver reconstructs too.
        overrides: `section.key=value` texts, for the solver and for how the scan is read.
        device: where it runs.

    Raises:
        PtychoPINNError: scan, a model, reference or folder cannot be used, or there is nothing to compare.
    """
    if SOLVER in models or not (models or iterative):
        raise ConfigError(f"models are {', '.join(models) or 'none'}; name at least one, and none of them {SOLVER!r}")
    folder = check_output_folder(output)
    loaded = as_scan(scan, as_recipe(None, overrides))
    images: dict[str, Reconstruction] = {}
    seconds: dict[str, float] = {}
    for name, model in {**models, **({SOLVER: None} if iterative else {})}.items():
        made = reconstruct(loaded, model, folder / name, overrides=overrides if model is None else (), device=device)
        images[name], seconds[name] = made.reconstruction, sum(made.metrics.get("timings", {}).values())
        logger.info("%s: reconstructed", name)
    done = evaluate_several(images, loaded if reference is None else reference, folder)
    table = write_text_atomically(folder / "table.csv", _table(done, seconds))
    return Comparison(done, seconds, {**done.paths, "table": table})


def _table(done: Evaluations, seconds: Mapping[str, float]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", *SCORES, "seconds"))
    for name, report in done.reports.items():
        writer.writerow((name, *(report.get(key) for key in SCORES), round(seconds[name], 3)))
    return text.getvalue()
