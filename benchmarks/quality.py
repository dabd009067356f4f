"""How good are the images, and how long does it take? The rows of docs/measurements.md.

    python benchmarks/quality.py ../shared/data -o outputs/quality [--only siemens64] [--halves]

Every row runs `ptychopinn.run` with the default recipe and is scored on a fixed rectangle after complex alignment.
With --halves the scan is cut in two by place: a model is trained on one half, saved, and reconstructs the other half;
it is compared, on the same rectangle, with the model that was trained on the whole scan.
"""

import argparse
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ptychopinn
from ptychopinn.api.evaluate import Region

REGIONS: dict[str, Region] = {
    "siemens64": (36, 202, 36, 202),
    "siemens128": (72, 404, 72, 404),
    "synth_dev_1e6": (40, 260, 40, 260),
    "synth_dev_1e4": (40, 260, 40, 260),
}
"""Rows and columns that are scored."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    report: dict[str, Any]
    data: dict[str, Any]
    seconds: dict[str, float]

    def text(self) -> str:
        """The line in Markdown."""
        report = self.report
        cells = [
            self.name,
            f"{report['psnr_phase']:.2f}",
            f"{report['psnr_amplitude']:.2f}",
            f"{report['frc_0.5_nyquist']:.3f}",
            f"{report['ssim_phase']:.3f}",
            f"{report['contrast_phase']:.2f}",
            f"{report['contrast_amplitude']:.2f}",
            f"{self.data['amplitude_misfit']:.4f}",
            f"{self.data['poisson_deviance_per_pixel']:.2f} / {self.data['poisson_deviance_of_a_perfect_model']:.2f}",
            f"{self.seconds['train_s']:.0f}",
            f"{self.seconds['patterns_per_s']:.0f}",
        ]
        return "| " + " | ".join(cells) + " |"


HEADER = (
    "| scan | phase PSNR (peak 2 pi), dB | amplitude PSNR (peak 1), dB | FRC 0.5, of Nyquist | phase SSIM "
    "| phase contrast | amplitude contrast | misfit | Poisson deviance / that of a perfect model "
    "| training, s | patterns per s |\n|" + " --- |" * 11
)


def whole(folder: Path, name: str, output: Path, overrides: list[str]) -> Row:
    """Train on a scan, reconstruct it, score it."""
    scan = ptychopinn.read_scan(folder / f"{name}.npz")
    result = ptychopinn.run(scan, output / name, overrides=overrides)
    evaluation = ptychopinn.evaluate(result.reconstruction, scan, output / name / "scored", region=REGIONS[name])
    metrics = result.reconstructed.metrics
    return Row(name, evaluation.report, metrics["data"], metrics["timings"])


def halves(folder: Path, name: str, output: Path, overrides: list[str]) -> list[tuple[str, float, float]]:
    """Phase PSNR of a model from the left half and of the model from the whole scan, on the right half."""
    scan = ptychopinn.read_scan(folder / f"{name}.npz")
    columns = scan.positions_px[:, 1]
    left = columns < np.median(columns)
    y0, y1, _, x1 = REGIONS[name]
    region = (y0, y1, int(np.ceil(columns[~left].min())), x1)
    ptychopinn.train(scan.select(left), output / f"{name}_left", overrides=overrides)
    other = ptychopinn.reconstruct(scan.select(~left), output / f"{name}_left", output / f"{name}_right")
    both = ptychopinn.reconstruct(scan, output / name, output / f"{name}_whole")
    return [
        (what, report["psnr_phase"], report["psnr_amplitude"])
        for what, image in (("trained on the other half", other), ("trained on the whole scan", both))
        for report in [ptychopinn.evaluate(image.reconstruction, scan, region=region).report]
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the scans lie")
    parser.add_argument("-o", "--output", type=Path, default=Path("outputs/quality"))
    parser.add_argument("--only", action="append", choices=list(REGIONS))
    parser.add_argument("--halves", action="store_true", help="the halves by place instead; needs the whole runs first")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="section.key=value")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    names = arguments.only or list(REGIONS)
    if arguments.halves:
        for name in names:
            for what, phase, amplitude in halves(arguments.folder, name, arguments.output, arguments.overrides):
                print(f"{name}, {what}: phase {phase:.2f} dB, amplitude {amplitude:.2f} dB", flush=True)
        return
    print(HEADER)
    for name in names:
        row = whole(arguments.folder, name, arguments.output, arguments.overrides)
        print(row.text(), flush=True)
        (arguments.output / name / "row.json").write_text(json.dumps(row.report, indent=2))


if __name__ == "__main__":
    main()
