"""What the prior adds to the solver, on kinds of samples that its training never drew.

    python benchmarks/prior.py --choose                   # best penalties without a prior, by dose, seeds from 1000
    python benchmarks/prior.py --results benchmarks/results/prior.md                   # 100 scans, seeds from 2000

Without a prior a scan is solved with the best penalty for its dose (`BEST`), with it as the solver chooses. Both have
40 iterations. Amplitude is scored with the scale as it is. The correlation is the larger one of the error of the
amplitude with the true phase and of the error of the phase with the true amplitude, both after alignment.
"""

import math
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from record import add_results_option, record
from unseen_objects import Unseen, unseen

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics.report import score
from ptychopinn.prior import Prior, load_prior, with_prior
from ptychopinn.solver import estimate_of, refine
from ptychopinn.solver.penalties import EDGE, smoothness_by_dose
from ptychopinn.solver.solver import photons_per_px, placed_power

ITERATIONS = 40
FACTORS = (0.5, 1.0, 2.0)
"""On the penalty that the solver chooses."""
DOSES = (1e3, 1e4, 1e5)
BEST = (1.0, 1.0, 1.0)
"""The factor for each of `DOSES`. 1 is the solver's own choice, made on other scans (results/penalties.md); --choose
compares it with the others on samples of these kinds."""
LOSS_DB = 0.3
"""A loss that counts."""
HEAD = (
    "| seed | sample | relation | photons | solver, dB | gain, dB | FRC | correlation | strength | sigma | withheld "
    "| CPU |\n" + "|" + " --- |" * 12
)


def main() -> None:
    """Measure what was asked for, line by line."""
    options = arguments()
    torch.set_num_threads(1)
    if options.choose:
        print("\n".join(chosen(options)))
        return
    prior = load_prior(options.prior)
    rows = list(measured(options, prior))
    body = summary(rows) + "\n\n" + HEAD + "\n" + "\n".join(line(row) for row in rows)
    print(summary(rows))
    if options.results:
        record(options.results, body, NOTE)


NOTE = (
    "Solver and gain are amplitude (scale kept) / phase PSNR. `FRC` is the crossing of 0.5 without and with the prior, "
    "of Nyquist. `correlation` is that of errors of the one with the truth of the other, without and with. `sigma` is "
    "the rms correction. `withheld` is the difference of the deviance of withheld photons in standard errors, above 0 "
    "where the prior explains them less well. `CPU` is the time of prior and strength over that of the solver."
)


def arguments() -> Namespace:
    """The command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="2000:2100", help="first and last + 1")
    parser.add_argument("--prior", default="default")
    parser.add_argument("--choose", action="store_true", help="find BEST")
    parser.add_argument("--photons", type=float, help="of all scans; by default 1e3 to 1e5")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="images of the solver, to use again")
    add_results_option(parser)
    return parser.parse_args()


def chosen(options: Namespace) -> Iterator[str]:
    """Mean amplitude and phase PSNR for each dose and factor, on six scans with seeds from 1000."""
    for dose in DOSES:
        scans = [unseen(seed, dose) for seed in range(1000, 1006)]
        for factor in FACTORS:
            found = [scores(solved(one, factor, options.images)[0], one) for one in scans]
            amplitude, phase = (np.mean([each[name] for each in found]) for name in ("amplitude", "phase"))
            yield f"{dose:g} photons, factor {factor}: {amplitude:.2f} / {phase:.2f} dB, sum {amplitude + phase:.2f}"


def measured(options: Namespace, prior: Prior) -> Iterator[dict[str, Any]]:
    """A row for each seed; printed when it is known."""
    first, last = map(int, options.seeds.split(":"))
    print(HEAD)
    for seed in range(first, last):
        row = measure(seed, options.photons, prior, options.images)
        print(line(row), flush=True)
        yield row


def measure(seed: int, photons: float | None, prior: Prior, folder: Path | None) -> dict[str, Any]:
    """Scores of a scan without and with the prior."""
    one = unseen(seed, photons)
    image, config = solved(one, 1.0, folder)
    (result, effect), prior_s = timed(lambda: with_prior(image, ScanTensors(one.drawn.scan), prior, config=config))
    factor = best_factor(one.photons)
    before = scores(image if factor == 1 else solved(one, factor, folder)[0], one)
    withheld = effect.withheld
    assert withheld is not None
    return {
        "seed": seed,
        "sample": one.kind,
        "related": one.related,
        "photons": one.photons,
        "before": before,
        "after": scores(result, one),
        "strength": effect.strengths,
        "sigma": effect.rms_sigma,
        "withheld": withheld.errors,
        "cpu": prior_s / image.metadata["cpu_s"],
    }


def best_factor(photons: float) -> float:
    """That of the nearest of `DOSES`."""
    return BEST[int(np.argmin([abs(math.log(photons / dose)) for dose in DOSES]))]


def solved(one: Unseen, factor: float, folder: Path | None = None) -> tuple[Reconstruction, RefineConfig]:
    """The image of the solver, with its CPU seconds among the metadata, and the settings that made it."""
    config = RefineConfig(iterations=ITERATIONS)
    if factor != 1:
        config = config.changed(smoothness=factor * smoothness_by_dose(dose_of(one)), edge_preserving=EDGE)
    path = folder / f"{one.seed}_{one.photons:.4g}_{factor:g}.npz" if folder else None
    if path and path.exists():
        return Reconstruction.load(path), config
    result, seconds = timed(lambda: refine(one.drawn.start(), ScanTensors(one.drawn.scan), config))
    image = result.reconstruction
    image = replace(image, metadata={**image.metadata, "cpu_s": seconds})
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return image, config


def dose_of(one: Unseen) -> float:
    """Photons on a pixel, by which the solver chooses its penalty."""
    start = one.drawn.start()
    frame = Frame.of_positions(start.positions_px, start.probe.shape[-1], margin=2)
    return photons_per_px(ScanTensors(one.drawn.scan), placed_power(estimate_of(start, frame, torch.device("cpu")), 64))


def scores(image: Reconstruction, one: Unseen) -> dict[str, float]:
    """PSNR of amplitude and phase, FRC 0.5, and how errors go with the truth of the other part."""
    truth = one.drawn.scan.object_guess
    assert truth is not None
    found = score(image.object_, truth, mask=image.covered, region=one.drawn.region)
    aligned, true = found.alignment.object_[found.scored_part], truth[found.scored_part]
    by_amplitude = correlation(np.abs(aligned) - np.abs(true), np.angle(true))
    by_phase = correlation(np.angle(aligned * true.conj()), np.abs(true))
    report = found.report
    return {
        "amplitude": report["psnr_amplitude_scale_kept"],
        "phase": report["psnr_phase"],
        "frc": report["frc_0.5_nyquist"],
        "correlation": max(abs(by_amplitude), abs(by_phase)),
    }


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Pearson's, of two fields."""
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """A result and the CPU seconds that it took."""
    begin = time.process_time()
    return work(), time.process_time() - begin


def gain(row: dict[str, Any], name: str) -> float:
    """dB."""
    return float(row["after"][name] - row["before"][name])


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    before, after = row["before"], row["after"]
    cells = (
        row["seed"],
        row["sample"],
        "one image" if row["related"] else "unrelated",
        f"{row['photons']:.2g}",
        f"{before['amplitude']:.1f} / {before['phase']:.1f}",
        f"{gain(row, 'amplitude'):+.2f} / {gain(row, 'phase'):+.2f}",
        f"{before['frc']:.2f}, {after['frc']:.2f}",
        f"{before['correlation']:.2f}, {after['correlation']:.2f}",
        f"{row['strength'][0]:.2f} / {row['strength'][1]:.2f}",
        f"{row['sigma']:.2f}",
        f"{row['withheld']:+.1f}",
        f"{row['cpu']:.2f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def summary(rows: list[dict[str, Any]]) -> str:
    """Mean gains and losses, for related and unrelated samples and for each kind."""
    head = (
        "| samples | scans | mean gain, dB | worst, dB | lose > 0.3 dB | FRC lower | correlation, mean change | CPU |\n"
        "|" + " --- |" * 8 + "\n"
    )
    groups = {
        "one image": [row for row in rows if row["related"]],
        "unrelated": [row for row in rows if not row["related"]],
    }
    groups |= {
        kind: [row for row in rows if row["sample"] == kind] for kind in dict.fromkeys(r["sample"] for r in rows)
    }
    return head + "\n".join(_group(name, of) for name, of in groups.items() if of)


def _group(name: str, rows: list[dict[str, Any]]) -> str:
    gains = {part: np.array([gain(row, part) for row in rows]) for part in ("amplitude", "phase", "frc", "correlation")}
    worst = np.minimum(gains["amplitude"], gains["phase"])
    return (
        f"| {name} | {len(rows)} | {gains['amplitude'].mean():+.2f} / {gains['phase'].mean():+.2f} "
        f"| {gains['amplitude'].min():+.2f} / {gains['phase'].min():+.2f} | {int((worst < -LOSS_DB).sum())} "
        f"| {int((gains['frc'] < -0.01).sum())} | {gains['correlation'].mean():+.3f} "
        f"| {np.mean([row['cpu'] for row in rows]):.2f} |"
    )


if __name__ == "__main__":
    main()
