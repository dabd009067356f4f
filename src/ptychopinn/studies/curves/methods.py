"""The methods of the curves: the solver with and without a prior, a trained network, LSQML of pty-chi."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ptychopinn.api.evaluate import evaluate
from ptychopinn.api.prior_use import NONE, without_prior
from ptychopinn.api.reconstruct import reconstruct
from ptychopinn.api.run import run
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.studies.iterative import has_ptychi, solve_with_ptychi

logger = logging.getLogger("ptychopinn.studies")
KEPT = ("psnr_amplitude", "psnr_phase", "frc_0.5_nyquist")
SOLVER, WITH_PRIOR, NETWORK, PTYCHI = "solver", "solver, prior", "network", "pty-chi LSQML"
PTYCHI_EPOCHS = 60
"""As in docs/refine.md."""


@dataclass(frozen=True)
class Settings:
    """How the methods run."""

    prior: str = NONE
    """As `reconstruction.prior`."""
    iterations: int = 40
    """Of the solver."""
    network: tuple[str, ...] = ()
    """Overrides of the training of the network; that of `ptychopinn run` without any."""

    def stated(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "network": list(self.network)}


@dataclass(frozen=True)
class Scores:
    """What a method reached on one scan."""

    psnr_amplitude: float
    psnr_phase: float
    frc: float
    """FRC 0.5, of Nyquist; 0 where it is nowhere above."""
    cpu_s: float
    """CPU time, all of it."""

    @classmethod
    def of(cls, image: Reconstruction, scan: Scan, cpu_s: float) -> "Scores":
        """Against the object guess of the scan, on the rectangle of its positions."""
        report = evaluate(image, scan).report
        amplitude, phase, frc = (report.get(key) for key in KEPT)
        return cls(_known(amplitude), _known(phase), 0.0 if frc is None else float(frc), cpu_s)


def _known(score: float | None) -> float:
    return float("nan") if score is None else float(score)


Measure = Callable[[Scan, int, Settings], dict[str, Scores]]
"""Scores by the name of the line that they belong to, of a scan and the seed of the method."""


@dataclass(frozen=True)
class Method:
    """One kind of reconstruction; it may give several lines."""

    measure: Measure
    problem: Callable[[], str | None] = lambda: None
    """Why it cannot run here, and the way out."""
    axes: Sequence[str] | None = None
    """Of the curves, where it takes too long for all."""
    has_settings: bool = True
    """Whether `Settings` changes its result."""


def by_solver(scan: Scan, seed: int, settings: Settings) -> dict[str, Scores]:
    """The solver, and where there is a prior the same image with it; positions with errors are refined."""
    overrides = [
        "reconstruction.check=false",
        f"reconstruction.refine.seed={seed}",
        f"reconstruction.refine.positions={str(has_position_errors(scan)).lower()}",
    ]
    before = time.process_time()
    prior = [f"reconstruction.prior={settings.prior}"]
    made = reconstruct(scan, refine=settings.iterations, overrides=[*overrides, *prior])
    spent, of_prior = time.process_time() - before, made.metrics["timings"].get("prior_s", 0.0)
    image = made.reconstruction
    scores = {SOLVER: Scores.of(without_prior(image), scan, spent - of_prior)}
    return scores if settings.prior == NONE else {**scores, WITH_PRIOR: Scores.of(image, scan, spent)}


def by_network(scan: Scan, seed: int, settings: Settings) -> dict[str, Scores]:
    """The network of `ptychopinn run`, trained on the scan with the probe and positions that the solver found."""
    before = time.process_time()
    seeds = [f"training.seed={seed}", f"reconstruction.refine.seed={seed}", "reconstruction.check=false"]
    made = run(scan, overrides=[*seeds, *settings.network])
    spent = time.process_time() - before
    assert made.choice is not None
    assert made.other is not None
    chosen = made.reconstructed if made.choice.result == "network" else made.other
    return {NETWORK: Scores.of(chosen.reconstruction, scan, spent)}


def by_ptychi(scan: Scan, seed: int, settings: Settings) -> dict[str, Scores]:
    """LSQML with momentum; the probe is fitted, the positions are not."""
    before = time.process_time()
    image = solve_with_ptychi(scan, scan.probe, epochs=PTYCHI_EPOCHS, seed=seed, fit_probe=True)
    return {PTYCHI: Scores.of(image, scan, time.process_time() - before)}


def has_position_errors(scan: Scan) -> bool:
    """Whether the simulator recorded other positions than it used."""
    return "true_positions_px" in scan.metadata


METHODS: dict[str, Method] = {
    "solver": Method(by_solver),
    "network": Method(by_network, axes=("dose",)),
    "pty-chi": Method(
        by_ptychi,
        lambda: None if has_ptychi() else "pty-chi cannot be imported; pip install ptychi",
        has_settings=False,
    ),
}
