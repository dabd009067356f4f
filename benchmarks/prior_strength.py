"""The strength of a prior that withheld photons ask for, beside that which fits the truth best.

    python benchmarks/prior_strength.py --results benchmarks/results/prior_strength.md

On scans of the kinds of the training (seeds from 4,999,900, which the training never draws) and on those of
benchmarks/prior.py with other seeds than it scores (from 1000). See `ptychopinn.prior.strength.ALL_FROM`.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from record import add_results_option, record
from unseen_objects import unseen

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.physics import DiffractionModel
from ptychopinn.prior import Prior, canvas_of, load_prior
from ptychopinn.prior.strength import parts_of, strength_of
from ptychopinn.solver import flat_start, refine
from ptychopinn.studies.prior.examples import FULL_WEIGHT, in_gauge_of
from ptychopinn.studies.prior.scans import DrawnScan, draw_scan
from ptychopinn.studies.prior.solved import aligned_truth

HEAD = (
    "| scans | number | part | part of lowest deviance | part closest to the truth | correlation "
    "| gain at full strength, dB | as used | at the part closest to the truth |\n" + "|" + " --- |" * 9
)
NOTE = (
    "Strengths of whole images: mean ± standard deviation over the scans. Gains are of the weighted squared error "
    "of the part, in the gauge of the image in each neighbourhood."
)


@dataclass(frozen=True)
class Found:
    """Of one scan, (2,) each: amplitude and phase."""

    asked: NDArray[np.float64]
    used: NDArray[np.float64]
    product: NDArray[np.float64]
    """Of error and correction, weighted by the photons."""
    square: NDArray[np.float64]
    """Of the correction."""
    error: NDArray[np.float64]
    """Square of the error."""

    @property
    def true(self) -> NDArray[np.float64]:
        """The strength that fits the truth best."""
        return self.product / self.square

    def gain(self, strength: NDArray[np.float64]) -> NDArray[np.float64]:
        """dB."""
        left = self.error - 2 * strength * self.product + strength**2 * self.square
        return -10 * np.log10(left / self.error)


def main() -> None:
    """Two rows for each group of scans."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prior", default="default")
    parser.add_argument("--scans", type=int, nargs=2, default=(50, 40), help="of the training's kinds, and of others")
    add_results_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    prior = load_prior(options.prior)
    rows = [HEAD]
    for name, scans in (("training's kinds", learnt(options.scans[0])), ("other kinds", other(options.scans[1]))):
        rows += table(name, [measured(drawn, prior) for drawn in scans])
    print("\n".join(rows))
    if options.results:
        record(options.results, "\n".join(rows), NOTE)


def learnt(number: int) -> Iterator[DrawnScan]:
    """Scans like those of the training."""
    return (draw_scan(seed) for seed in range(4_999_900, 4_999_900 + number))


def other(number: int) -> Iterator[DrawnScan]:
    """Scans of kinds that the training never draws."""
    for seed in range(1000, 1000 + number):
        one = unseen(seed)
        yield DrawnScan(one.drawn.scan, one.photons, {})


@torch.inference_mode()
def measured(drawn: DrawnScan, prior: Prior) -> Found:
    """Solve a scan by the default settings, and compare the correction with the photons and with the truth."""
    tensors, model, config = ScanTensors(drawn.scan), DiffractionModel(), RefineConfig(iterations=40)
    image = refine(flat_start(drawn.scan, torch.from_numpy(drawn.scan.probe)), tensors, config).reconstruction
    canvas = canvas_of(image, tensors, model)
    truth = in_gauge_of(canvas.object_, torch.from_numpy(aligned_truth(canvas, drawn)), canvas.covered)
    errors = parts_of(truth - canvas.object_, canvas.object_)
    parts = parts_of(prior.network.correction(canvas), canvas.object_)
    weight = canvas.power * (canvas.power > FULL_WEIGHT * canvas.power.max())
    found = strength_of(image, tensors, prior, model, config, 0)
    sums = ((parts.conj() * errors).real, parts.abs().square(), errors.abs().square())
    numbers = [(weight * value).sum((-2, -1)).double().numpy() for value in sums]
    return Found(np.array(found.asked), np.array(found.overall), *numbers)


def table(name: str, found: list[Found]) -> Iterator[str]:
    """Rows of amplitude and phase."""
    asked, true = (np.array([getattr(one, field) for one in found]) for field in ("asked", "true"))
    full, used, best = (
        np.array([one.gain(strength(one)) for one in found])
        for strength in (lambda one: np.ones(2), lambda one: one.used, lambda one: one.true)
    )
    for index, part in enumerate(("amplitude", "phase")):
        cells = (
            name,
            str(len(found)),
            part,
            *(f"{of[:, index].mean():.2f} ± {of[:, index].std():.2f}" for of in (asked, true)),
            f"{np.corrcoef(asked[:, index], true[:, index])[0, 1]:+.2f}",
            *(f"{of[:, index].mean():+.2f}, worst {of[:, index].min():+.2f}" for of in (full, used, best)),
        )
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
