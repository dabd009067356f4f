"""`ptycho_evaluate`: score a reconstruction against the known object."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ptycho.commands.flags import Flag, Options
from ptycho.commands.session import command
from ptycho.commands.settings import QUIET, given_values, needed

if TYPE_CHECKING:
    from ptychopinn.data.reconstruction import Reconstruction

_TRUTH = "A scan with objectGuess, or another reconstruction.npz."
OPTIONS = Options(
    "ptycho_evaluate",
    "Score a reconstruction against a known object; shift, global phase, phase ramp and scale are removed first.",
    "ptycho_evaluate --reconstruction recon --ground_truth scan.npz --output_dir scores",
    {
        "run": [
            Flag("reconstruction", "reconstruction", Path, "reconstruction.npz, or the folder that holds it."),
            Flag("model_dir", "model_dir", Path, "Instead: a trained model, which reconstructs --test_data first."),
            Flag("ground_truth", "ground_truth", Path, _TRUTH, others=("test_data", "test_data_file")),
            Flag("output_dir", "output_dir", Path, "For metrics.json, evaluation.png and frc.png; none by default."),
            Flag("region", "region", str, "y0,y1,x0,x1: scored rows and columns; by default what was scanned."),
            QUIET,
        ]
    },
)


@command
def main(argv: Sequence[str]) -> None:
    """Do what the words say; as an entry point it returns the exit code."""
    from ptychopinn.api.evaluate import evaluate
    from ptychopinn.cli.evaluate import parse_region
    from ptychopinn.cli.summary import show_metrics, show_path

    values = given_values(OPTIONS, argv)
    truth = needed(values, "ground_truth", "--ground_truth", "the scan or image to compare with")
    if "model_dir" in values and "reconstruction" not in values:
        reconstruction = _reconstructed(values["model_dir"], truth, values.get("output_dir"))
    else:
        reconstruction = needed(values, "reconstruction", "--reconstruction", "the image to score")
    region = parse_region(values["region"]) if "region" in values else None
    result = evaluate(reconstruction, truth, values.get("output_dir"), region=region)
    if not values.get("quiet", False):
        show_metrics({"reference": result.report})
        show_path("figure", result.paths.get("figure"))
        show_path("resolution", result.paths.get("frc"))


def _reconstructed(model_dir: Path, scan: Path, output_dir: Path | None) -> "Path | Reconstruction":
    """The image of a scan by a trained model; written where there is a folder."""
    from ptychopinn.api.reconstruct import reconstruct

    made = reconstruct(scan, model_dir, output_dir)
    return made.reconstruction if output_dir is None else output_dir
